//! `paceline top`: shared quotas, watched.

mod keys;
mod lines;
mod rate;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use console::Term;
use tokio::time::MissedTickBehavior;

use crate::args::TopArgs;
use crate::exit::{Exit, Halt};
use crate::progress::Canvas;
use crate::sharing::{Look, Sharing, Watch};
use crate::{screen, stop};
use keys::Keys;
use rate::Rates;

/// Between looks on a terminal, and elsewhere.
const REDRAWN: Duration = Duration::from_millis(250);
const A_LINE: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &TopArgs) -> Result<Exit, Halt> {
    let sharing = Sharing::new(args.shared.clone(), args.redis.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let mut watch = Watch::new(&sharing).await?;
        let shown = match args.once {
            true => print(once(&watch.look().await?)),
            false => follow(&mut watch).await,
        };
        watch.end().await;
        shown
    })?;
    Ok(Exit::Ok)
}

fn print(text: String) -> Result<()> {
    Ok(screen::print(text)?)
}

/// One look, in lines.
pub(crate) fn once(look: &Look) -> String {
    let (_, columns) = Term::stdout().size();
    lines::block(look, &[], columns.into(), usize::MAX).iter().flat_map(|line| [line, "\n"]).collect()
}

/// Shows it until that is enough, whatever the store is about to say.
async fn follow(watch: &mut Watch) -> Result<()> {
    let term = Term::stdout();
    let canvas = term.is_term().then(|| Canvas::new(term, Term::buffered_stdout()));
    let mut keys = Keys::of(canvas.is_some());
    let shown = tokio::select! {
        biased;
        ended = stop::asked_to_end() => ended.context("cannot listen for signals"),
        () = keys.quit() => Ok(()),
        failed = show(watch, canvas.as_ref()) => failed,
    };
    if let Some(canvas) = &canvas {
        canvas.leave();
    }
    shown
}

/// Shows it until it cannot be shown, or nobody reads it any more.
async fn show(watch: &mut Watch, canvas: Option<&Canvas>) -> Result<()> {
    let (mut rates, began) = (Rates::default(), Instant::now());
    let mut ticks = tokio::time::interval(if canvas.is_some() { REDRAWN } else { A_LINE });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let look = watch.look().await?;
        let rates = rates.note(began.elapsed(), &look);
        match canvas {
            Some(canvas) => {
                let (columns, rows) = canvas.size();
                canvas.draw(&lines::block(&look, &rates, columns, rows));
            }
            None => {
                if screen::follow(lines::line(&look, &rates) + "\n")?.is_break() {
                    return Ok(());
                }
            }
        }
    }
}
