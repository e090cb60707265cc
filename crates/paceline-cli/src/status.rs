//! `paceline status`: what is done of a job, and what is left; or how shared quotas stand.

mod shared;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Result, bail};
use serde_json::json;

use crate::args::StatusArgs;
use crate::exit::{Exit, Halt};
use crate::input::{self, Ids, Results, Survey};
use crate::job::{Input, Output};
use crate::journal::record::{Endpoint, Limit, Run};
use crate::journal::{self, Recalled};
use crate::output::Sink;
use crate::screen::{self, count, grouped};
use crate::time::{epoch_ms, rounded};
use crate::{resume, time};

struct Status {
    results: String,
    ok: u64,
    failed: u64,
    unknown: u64,
    running: bool,
    /// Lines of the input without a result and lines in all, or why that is not known.
    left: Result<(u64, u64)>,
    recalled: Recalled,
}

pub(crate) fn run(args: &StatusArgs) -> Result<Exit, Halt> {
    if let Some(name) = &args.shared {
        return shared::run(name, args);
    }
    let Some(results) = &args.results else { unreachable!("clap asks for one of both") };
    let status = Status::of(results, args.input.clone())?;
    let text = if args.json { format!("{:#}\n", status.object()) } else { screen::plain(&status.text()) };
    screen::print(text).map_err(anyhow::Error::new)?;
    Ok(Exit::Ok)
}

impl Status {
    fn of(path: &Path, input: Option<PathBuf>) -> Result<Self> {
        let name = path.display().to_string();
        if !path.is_file() {
            bail!("there are no results in {name}; name the file that a run wrote (-o), not its input");
        }
        let mut results = Results::default();
        Sink::peek(&Output::File(path.to_owned()), &mut results)?;
        let mut recalled = resume::nothing();
        journal::peek(path, &mut recalled)?;
        let mut ids = Ids::known(std::mem::take(&mut recalled.starts), results);
        let [ok, failed, unknown] = ids.fates();
        let named = input.or_else(|| Some(recalled.run.as_ref()?.input.clone().into()));
        let left = match named.filter(|path| path.is_file()) {
            Some(input) => left(&input, &mut ids),
            None => Err(anyhow::anyhow!("its input is not here; name it by --input FILE")),
        };
        Ok(Self { results: name, ok, failed, unknown, running: is_running(path), left, recalled })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut say = |head: &str, what: String| text += &format!("{head:10} {what}\n");
        say("results", format!("{}: {} ok, {} failed", self.results, grouped(self.ok), grouped(self.failed)));
        let asked = if self.running { "in flight now" } else { "in flight when a run ended, with no result" };
        say("unknown", format!("{} {asked}", count(self.unknown, "request")));
        say(
            "left",
            match &self.left {
                Ok((left, lines)) => format!("{} of {}", grouped(*left), count(*lines, "line")),
                Err(why) => format!("not known: {why:#}"),
            },
        );
        let Some(run) = &self.recalled.run else {
            say("last run", "not known: there is no journal".into());
            return text;
        };
        say("last run", self.last(run));
        let of_endpoint = |endpoint: &Endpoint| {
            let whose = if run.endpoints.len() > 1 { format!("{}: ", endpoint.name) } else { String::new() };
            endpoint.limits.iter().map(|limit| format!("{whose}{}", written(limit))).collect::<Vec<_>>()
        };
        for (at, line) in run.endpoints.iter().flat_map(of_endpoint).enumerate() {
            say(if at == 0 { "limits" } else { "" }, line);
        }
        text
    }

    fn last(&self, run: &Run) -> String {
        let began = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(run.at));
        let ago = rounded(Duration::from_millis(epoch_ms().saturating_sub(self.recalled.latest)));
        let ended = match &self.recalled.stopped {
            _ if self.running => format!("still running, last heard of {ago} ago"),
            Some(cause) => format!("ended {ago} ago: {cause}"),
            None => format!("killed, last heard of {ago} ago"),
        };
        format!("of {}, began {began}, {ended}", run.input)
    }

    fn object(&self) -> serde_json::Value {
        let run = self.recalled.run.as_ref().map(|run| {
            json!({
                "input": run.input,
                "at": run.at,
                "latest": self.recalled.latest,
                "stopped": self.recalled.stopped,
                "concurrency": run.concurrency,
                "endpoints": run.endpoints,
            })
        });
        let (left, lines) = self.left.as_ref().ok().copied().unzip();
        json!({
            "results": self.results,
            "ok": self.ok,
            "failed": self.failed,
            "unknown": self.unknown,
            "left": left,
            "lines": lines,
            "running": self.running,
            "last_run": run,
        })
    }
}

fn left(input: &Path, ids: &mut Ids) -> Result<(u64, u64)> {
    let survey = Survey::take(&Input::File(input.to_path_buf()), ids)?;
    match survey {
        Some(survey) => Ok((survey.left(), survey.lines)),
        None => input::count(input).map(|lines| (lines, lines)).map_err(anyhow::Error::new),
    }
}

/// Whether a run holds the lock. One that begins at this very moment would be told that another is writing.
fn is_running(path: &Path) -> bool {
    let lock = File::open(path).map(|file| fs4::FileExt::try_lock_shared(&file));
    matches!(lock, Ok(Err(fs4::TryLockError::WouldBlock)))
}

/// As it would be given on the command line.
fn written(limit: &Limit) -> String {
    let Limit { counted, amount, window_ms, burst, .. } = limit;
    let burst = burst.map(|burst| format!(",burst={burst}")).unwrap_or_default();
    format!("{counted}={amount}/{}{burst}", time::exact(Duration::from_millis(*window_ms)))
}
