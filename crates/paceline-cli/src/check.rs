//! `paceline check` and `paceline run --dry-run`: everything but sending.
//!
//! The input is read once, as a run reads it, and summed up: what cannot be sent, tokens, cost, how long each limit makes it
//! last. That is arithmetic on sums; [`simulate()`] is the run itself, with nobody at the other end.

mod json;
mod latency;
mod load;
mod plan;
mod simulate;
mod text;

use anyhow::{Result, bail};

use crate::args::CheckArgs;
use crate::exit::{Exit, Halt};
use crate::job::{Input, Job};
use crate::screen::{self, Screen, plain};
pub(crate) use latency::Latencies;
use plan::Plan;
use simulate::{Simulation, simulate};

/// How a check is to be made.
#[derive(Debug, Default)]
pub(crate) struct How {
    latencies: Option<Latencies>,
    simulate: bool,
    json: bool,
}

impl How {
    pub(crate) fn new(args: &CheckArgs) -> Result<Self> {
        let latencies = match (&args.latency, &args.latency_from) {
            (Some(latency), _) => Some(Latencies::given(*latency, args.seed)),
            (None, Some(results)) => Some(Latencies::of_job(results, args.seed)?),
            (None, None) => None,
        };
        Ok(Self { latencies, simulate: args.simulate, json: args.json })
    }
}

/// What a check found.
struct Checked {
    plan: Plan,
    simulation: Option<Simulation>,
}

pub(crate) fn run(job: &Job, how: How, screen: &Screen) -> Result<Exit, Halt> {
    if how.simulate && job.input == Input::Stdin {
        return Err(anyhow::anyhow!("a simulation reads its input twice, which stdin cannot; give a file").into());
    }
    let mean = how.latencies.as_ref().map(Latencies::mean);
    let mut show = |message: &str| if how.json { Ok(()) } else { out(screen, &format!("{}\n", plain(message))) };
    let plan = Plan::read(job, mean, &mut show)?;
    let simulation = match how.latencies {
        Some(latencies) if how.simulate => Some(simulate(job, latencies)?),
        _ => None,
    };
    let checked = Checked { plan, simulation };
    if how.json {
        out(screen, &format!("{}\n", json::object(job, &checked)))?;
    } else {
        out(screen, &plain(&text::lines(job, &checked)))?;
    }
    Ok(checked.exit(job))
}

fn out(screen: &Screen, text: &str) -> Result<()> {
    if !screen.is_quiet() {
        if let Err(error) = screen::print(text) {
            bail!("cannot write to stdout: {error}");
        }
    }
    Ok(())
}

impl Checked {
    fn stops(&self, job: &Job) -> Option<String> {
        self.plan.stops(job, self.simulation.as_ref().map(|it| it.elapsed))
    }

    /// As the run would end, as far as that can be told.
    fn exit(&self, job: &Job) -> Exit {
        let stops = self.stops(job).is_some() || self.simulation.as_ref().is_some_and(|it| it.stopped.is_some());
        if stops {
            Exit::Stopped
        } else if self.plan.bad + self.plan.known_failed > 0 {
            Exit::SomeFailed
        } else {
            Exit::Ok
        }
    }
}
