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
use crate::sharing::{Look, Watch};
use crate::{screen, stop};
use keys::Keys;
use rate::Rates;

/// Between looks on a terminal, and elsewhere.
const REDRAWN: Duration = Duration::from_millis(250);
const A_LINE: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &TopArgs) -> Result<Exit, Halt> {
    let mut watch = Watch::new(&args.shared)?;
    if args.once {
        screen::print(once(&watch.look()?)).map_err(anyhow::Error::new)?;
        return Ok(Exit::Ok);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let ended = runtime.block_on(follow(watch));
    // The thread that waits for a key may do so for ever.
    runtime.shutdown_background();
    ended?;
    Ok(Exit::Ok)
}

/// One look, in lines.
pub(crate) fn once(look: &Look) -> String {
    let (_, columns) = Term::stdout().size();
    lines::block(look, &[], columns.into(), usize::MAX).iter().flat_map(|line| [line, "\n"]).collect()
}

/// Shows it until that is enough.
async fn follow(mut watch: Watch) -> Result<()> {
    let term = Term::stdout();
    let canvas = term.is_term().then(|| Canvas::new(term, Term::buffered_stdout()));
    let (mut rates, began) = (Rates::default(), Instant::now());
    let mut ticks = tokio::time::interval(if canvas.is_some() { REDRAWN } else { A_LINE });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut keys = Keys::of(canvas.is_some());
    let mut enough = std::pin::pin!(stop::asked_to_end());
    loop {
        tokio::select! {
            biased;
            ended = &mut enough => break ended.context("cannot listen for signals")?,
            () = keys.quit() => break,
            _ = ticks.tick() => {}
        }
        let look = watch.look()?;
        let rates = rates.note(began.elapsed(), &look);
        match &canvas {
            Some(canvas) => {
                let (columns, rows) = canvas.size();
                canvas.draw(&lines::block(&look, &rates, columns, rows));
            }
            None => screen::print(lines::line(&look, &rates) + "\n")?,
        }
    }
    if let Some(canvas) = &canvas {
        canvas.leave();
    }
    Ok(())
}
