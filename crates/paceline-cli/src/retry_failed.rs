//! `paceline retry-failed`: failed results are taken out, and then it is `paceline run`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::args::{Global, RunArgs};
use crate::exit::{Exit, Halt};
use crate::input::Source;
use crate::job::{Input, Job, Output};
use crate::journal::record::{Again, Record};
use crate::journal::{self, Opened};
use crate::screen::{Screen, count};
use crate::time::epoch_ms;
use crate::{check, output, resolve, resume, run};

/// The arguments are those of `run`, but that the results stand first and the input is an option.
pub(crate) fn run(mut args: RunArgs, global: &Global) -> Result<Exit, Halt> {
    if args.rehearse {
        return Err(anyhow!("a rehearsal has no results of a service to ask for again; leave --rehearse out").into());
    }
    let results = std::mem::take(&mut args.input);
    let named = args.output.replace(results.clone());
    args.input = named.map_or_else(|| input(&results), Ok)?;
    let job = resolve::resolve(&args, global)?;
    let screen = Screen::new(job.progress, global.quiet);
    if args.dry_run {
        return check::run(&job, check::How::default(), &screen);
    }
    let taken = retake(&job)?;
    let what = count(taken, "failed result");
    screen.say(&format!("{}: {what} taken out, to be asked for again", results.display()));
    run::run(job, screen)
}

/// The input of the latest run.
fn input(results: &Path) -> Result<PathBuf> {
    let mut recalled = resume::nothing();
    journal::peek(results, &mut recalled)?;
    let name = results.display();
    let Some(run) = recalled.run else {
        bail!("no journal beside {name} says where its requests are; name them by --input FILE");
    };
    let input = PathBuf::from(&run.input);
    if !input.is_file() {
        bail!("the requests of {name} were in {}, which is no file here; name them by --input FILE", run.input);
    }
    Ok(input)
}

fn retake(job: &Job) -> Result<u64> {
    let Output::File(path) = &job.output else {
        bail!("only the results of a run can be asked for again; name their file");
    };
    if !path.is_file() {
        bail!("there are no results in {}; run `paceline run` first", path.display());
    }
    if job.input == Input::Stdin {
        bail!("the requests are looked through before results are taken out; name a file by --input");
    }
    // What cannot be read must not cost a result.
    drop(Source::open(&job.input)?);
    let ids = resume::failed(job)?;
    output::retake(
        path,
        |id| ids.is_due(id),
        |taken| {
            let Opened { journal, .. } = journal::open(&job.output, resume::nothing())?;
            let at = epoch_ms();
            for id in taken {
                journal.note(&Record::Again(Again { at, id: *id }));
            }
            journal.sync().with_context(|| format!("cannot write the journal of {}", path.display()))
        },
    )
}
