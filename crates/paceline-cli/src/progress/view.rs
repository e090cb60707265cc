//! A run as it stands: what there is to show, in plain data.

use std::sync::Arc;
use std::time::Duration;

use paceline::{Algorithm, LimitView, Quota};

use crate::screen::grouped;
use crate::time;
use crate::waits::{LEARNT, PAUSE};

/// What there is to show.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) elapsed: Duration,
    /// Not known of stdin, nor before the lines are counted.
    pub(super) total: Option<u64>,
    pub(super) ok: u64,
    pub(super) failed: u64,
    /// Items that had a result before.
    pub(super) skipped: u64,
    /// Results a second over the last ten seconds, and over the whole run.
    pub(super) rate: f64,
    pub(super) average: f64,
    pub(super) eta: Option<Duration>,
    pub(super) in_flight: u64,
    /// How many may be.
    pub(super) at_once: AtOnce,
    /// Requests that were sent and wait to be sent again.
    pub(super) waiting: u64,
    pub(super) refusals: u64,
    pub(super) retries: u64,
    pub(super) tokens: u64,
    /// What it has cost so far, as it is written, where that is known.
    pub(super) cost: Option<String>,
    pub(super) fills: Vec<Fill>,
    /// The limit that was waited for most since the last look.
    pub(super) binding: Option<Arc<str>>,
    /// How long the gate stays closed, if it is.
    pub(super) paused: Option<Duration>,
    /// Whether nothing more is sent.
    pub(super) stopping: bool,
    /// One for each quota, where there is more than one.
    pub(super) endpoints: Vec<Endpoint>,
}

/// How many may be in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AtOnce {
    pub(super) amount: u64,
    /// Whether that is what the answers have shown to be good.
    pub(super) learnt: bool,
}

/// How full a rate limit is.
#[derive(Debug)]
pub(crate) struct Fill {
    pub(super) name: Arc<str>,
    pub(super) used: u64,
    /// How much would fill it: a window's amount, a bucket's size.
    pub(super) whole: u64,
    /// What could be charged at once, which is less than the rest where it is paced.
    pub(super) available: u64,
    /// What it allows, as the quota in force says it.
    pub(super) amount: u64,
    pub(super) period: Duration,
}

/// What there is to say of the endpoints of one of several quotas.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) name: Arc<str>,
    pub(super) ok: u64,
    pub(super) refusals: u64,
    pub(super) in_flight: u64,
    pub(super) at_once: AtOnce,
    pub(super) paused: Option<Duration>,
}

impl View {
    pub(super) fn done(&self) -> u64 {
        self.ok + self.failed + self.skipped
    }

    pub(super) fn left(&self) -> Option<u64> {
        self.total.map(|total| total.saturating_sub(self.done()))
    }

    pub(super) fn of_total(&self) -> String {
        match self.total {
            Some(total) => format!("{}/{}", grouped(self.done()), grouped(total)),
            None => format!("{} done", grouped(self.done())),
        }
    }

    /// What holds it back now, in words.
    pub(super) fn held_by(&self) -> String {
        match (&self.binding, self.paused) {
            _ if self.stopping => "stopping: nothing more is sent".into(),
            (_, Some(pause)) => format!("paused by {PAUSE} for {}", time::rounded(pause)),
            (Some(name), None) => match self.fills.iter().find(|fill| fill.name == *name) {
                Some(fill) => format!("{name} binds: {}", fill.allows()),
                None if &**name == "concurrency" => format!("{name} binds: {} at once", grouped(self.at_once.amount)),
                None => format!("{name} binds"),
            },
            (None, None) if self.in_flight == 0 && self.waiting > 0 => "waiting to try again".into(),
            (None, None) => "no limit binds".into(),
        }
    }
}

impl Fill {
    pub(crate) fn new(name: Arc<str>, quota: Quota, view: &LimitView) -> Self {
        Self {
            name,
            used: view.used,
            available: view.available,
            whole: match quota.kind() {
                Algorithm::TokenBucket | Algorithm::Gcra => quota.capacity(),
                _ => quota.amount(),
            },
            amount: quota.amount(),
            period: quota.period(),
        }
    }

    pub(crate) fn share(&self) -> f64 {
        self.used as f64 / self.whole.max(1) as f64
    }

    /// `82 of 100 per 10s`, `3 of 5, 100 per 10s`
    pub(crate) fn state(&self) -> String {
        let bucket = if self.whole == self.amount { String::new() } else { format!("{}, ", grouped(self.whole)) };
        format!("{} of {bucket}{}", grouped(self.used), self.allows())
    }

    /// `100 per 10s`; a rate that was learnt is one per so many nanoseconds, which is better said as `23.3 a second`.
    pub(super) fn allows(&self) -> String {
        if self.is_learnt() {
            return format!("{:.1} a second", self.amount as f64 / self.period.as_secs_f64().max(1e-9));
        }
        format!("{} per {}", grouped(self.amount), time::exact(self.period))
    }

    /// Whether nobody stated it: a pace, of which nothing fills up.
    pub(super) fn is_learnt(&self) -> bool {
        &*self.name == LEARNT
    }
}
