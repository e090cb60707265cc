//! What a journal comes to, gathered in one pass.

mod starts;

use std::collections::BTreeMap;
use std::io::BufRead;

use anyhow::Result;
use hdrhistogram::Histogram;

use super::bins::{Bin, Bins, Verdict};
use super::fullest::Fullest;
use crate::journal::Records;
use crate::journal::record::{self, Ended, Failure, Level, Record, Started};
use crate::price::Usd;
use starts::{Start, Starts};

/// A journal's figures. Time is that in which a run went on: what lay between runs is left out.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) input: String,
    pub(super) concurrency: String,
    pub(super) runs: u64,
    /// The first and the last instant, in milliseconds since the epoch.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Milliseconds of the gaps between runs.
    gaps: u64,
    /// Where each run after the first began, in milliseconds.
    pub(super) resumed: Vec<u64>,
    /// Why the last run ended, if it said so.
    pub(super) stopped: Option<String>,
    pub(super) retries: u64,
    /// What it cost, as far as prices were known.
    pub(super) spent: Usd,
    pub(super) bins: Bins,
    pub(super) endpoints: Vec<Endpoint>,
    /// Milliseconds that were waited for each limit.
    pub(super) waits: BTreeMap<String, u64>,
    /// The places in `endpoints` of what the run under way sends to.
    places: Vec<usize>,
    starts: Starts,
}

/// What was sent to an endpoint, and what it answered.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) name: String,
    pub(super) started: u64,
    pub(super) ended: [u64; Verdict::ALL.len()],
    pub(super) took: Histogram<u64>,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) limits: Vec<Limit>,
    in_flight: u64,
    level: Option<u64>,
}

/// A limit, and its fullest window.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) is: record::Limit,
    /// Whether answers told of it.
    pub(super) found: bool,
    pub(super) fullest: Fullest,
}

impl Facts {
    pub(super) fn gather(records: &mut Records<impl BufRead>) -> Result<Self> {
        let mut facts = Self::default();
        while let Some(record) = records.next()? {
            facts.add(record);
        }
        facts.settle_all();
        Ok(facts)
    }

    /// How long runs went on together, in milliseconds.
    pub(super) fn running(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_sub(self.gaps)
    }

    /// Of all endpoints.
    pub(super) fn ended(&self, verdict: Verdict) -> u64 {
        self.endpoints.iter().map(|endpoint| endpoint.ended[verdict as usize]).sum()
    }

    pub(super) fn started(&self) -> u64 {
        self.endpoints.iter().map(|endpoint| endpoint.started).sum()
    }

    fn add(&mut self, record: Record) {
        match record {
            Record::Run(run) => self.begin(run),
            Record::Started(started) => self.start(&started),
            Record::Ended(ended) => self.end(&ended),
            Record::Level(level) => self.level(&level),
            Record::Found(found) => {
                if let Some(endpoint) = self.endpoint(found.endpoint) {
                    endpoint.limit(found.limit, true);
                }
            }
            Record::Stopped(stopped) => {
                self.tick(stopped.at);
                self.stopped = Some(stopped.cause);
            }
            Record::Spent(spent) => self.spent = self.spent + Usd::from_pico(spent.pico_usd),
            Record::Again(_) => {}
        }
    }

    fn begin(&mut self, run: record::Run) {
        // Whoever was in flight when the run before was killed is nobody's any more.
        self.settle_all();
        self.endpoints.iter_mut().for_each(|endpoint| endpoint.in_flight = 0);
        if self.runs == 0 {
            (self.first, self.last) = (run.at, run.at);
        } else {
            self.gaps = self.gaps.saturating_add(run.at.saturating_sub(self.last));
            self.last = self.last.max(run.at);
            self.resumed.push(self.running());
        }
        self.runs += 1;
        self.stopped = None;
        (self.input, self.concurrency) = (run.input, run.concurrency);
        self.places.clear();
        for endpoint in run.endpoints {
            let known = self.endpoints.iter().position(|known| known.name == endpoint.name);
            let place = known.unwrap_or_else(|| {
                self.endpoints.push(Endpoint::new(endpoint.name));
                self.endpoints.len() - 1
            });
            endpoint.limits.into_iter().for_each(|limit| self.endpoints[place].limit(limit, false));
            self.places.push(place);
        }
        self.count_in_flight();
    }

    fn start(&mut self, started: &Started) {
        let bin = self.tick(started.at);
        bin.started += 1;
        self.retries += u64::from(started.attempt > 1);
        if let (Some(limit), 1..) = (&started.waited_for, started.waited_ms) {
            let waited = self.waits.entry(crate::waits::label(limit).to_owned()).or_default();
            *waited = waited.saturating_add(started.waited_ms);
        }
        if let Some(endpoint) = self.endpoint(started.endpoint) {
            endpoint.started += 1;
            endpoint.in_flight += 1;
        }
        let place = self.places.get(started.endpoint).copied();
        self.starts.push(started, place);
        self.count_in_flight();
    }

    fn end(&mut self, ended: &Ended) {
        let verdict = verdict(ended);
        let bin = self.tick(ended.at);
        bin.ended[verdict as usize] += 1;
        if verdict == Verdict::Success {
            // It grows to whatever it is told.
            let _ = bin.took.record(ended.took_ms.max(1));
        }
        if let Some(endpoint) = self.endpoint(ended.endpoint) {
            endpoint.ended[verdict as usize] += 1;
            endpoint.in_flight = endpoint.in_flight.saturating_sub(1);
            endpoint.input_tokens = endpoint.input_tokens.saturating_add(ended.input_tokens.unwrap_or(0));
            endpoint.output_tokens = endpoint.output_tokens.saturating_add(ended.output_tokens.unwrap_or(0));
            if verdict == Verdict::Success {
                let _ = endpoint.took.record(ended.took_ms.max(1));
            }
        }
        for start in self.starts.end(ended) {
            settle(&mut self.endpoints, &start);
        }
        self.count_in_flight();
    }

    fn level(&mut self, level: &Level) {
        if let Some(endpoint) = self.endpoint(level.endpoint) {
            endpoint.level = Some(level.concurrency);
        }
        let whole = self.endpoints.iter().filter_map(|endpoint| endpoint.level).reduce(u64::saturating_add);
        self.tick(level.at).level = whole;
    }

    fn count_in_flight(&mut self) {
        let in_flight = self.endpoints.iter().map(|endpoint| endpoint.in_flight).sum();
        let bin = self.tick(self.last);
        bin.in_flight = bin.in_flight.max(Some(in_flight));
        bin.still = Some(in_flight);
    }

    /// The part of the time that has this instant. A clock that was put back stands still for a while.
    fn tick(&mut self, at: u64) -> &mut Bin {
        self.last = self.last.max(at);
        let now = self.running();
        self.bins.at(now)
    }

    fn endpoint(&mut self, number: usize) -> Option<&mut Endpoint> {
        self.endpoints.get_mut(*self.places.get(number)?)
    }

    fn settle_all(&mut self) {
        for start in self.starts.drain() {
            settle(&mut self.endpoints, &start);
        }
    }
}

impl Endpoint {
    fn new(name: String) -> Self {
        let took = Histogram::new(2).expect("two significant figures are within what it can keep");
        let (ended, limits) = (Default::default(), Vec::new());
        Self { name, started: 0, ended, took, input_tokens: 0, output_tokens: 0, limits, in_flight: 0, level: None }
    }

    /// A limit of another amount is another limit.
    fn limit(&mut self, limit: record::Limit, found: bool) {
        if !self.limits.iter().any(|known| known.is == limit) {
            let fullest = Fullest::new(limit.window_ms);
            self.limits.push(Limit { is: limit, found, fullest });
        }
    }
}

fn verdict(ended: &Ended) -> Verdict {
    match (ended.status, ended.error) {
        (Some(200..=299), _) => Verdict::Success,
        (Some(429), _) => Verdict::Refused,
        (Some(500..), _) => Verdict::Server,
        (Some(_), _) => Verdict::Other,
        (None, Some(Failure::Timeout)) => Verdict::Timeout,
        (None, _) => Verdict::Connection,
    }
}

fn settle(endpoints: &mut [Endpoint], start: &Start) {
    let Some(endpoint) = start.place.and_then(|place| endpoints.get_mut(place)) else { return };
    for limit in &mut endpoint.limits {
        let units = match &*limit.is.counted {
            "requests" => 1,
            "tokens" => start.input_tokens.saturating_add(start.output_tokens),
            "input_tokens" => start.input_tokens,
            "output_tokens" => start.output_tokens,
            _ => 0,
        };
        limit.fullest.add(start.at, units);
    }
}
