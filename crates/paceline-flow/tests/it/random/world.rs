//! The services that the nodes call: they keep what they see as plain lists, and note what is more than was allowed.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::support::scatter;

/// A minute, less what a timer of milliseconds may be late by.
const WINDOW: Duration = Duration::from_millis(59_998);

/// What all nodes share.
#[derive(Debug, Default)]
pub(super) struct World(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rolls: u64,
    /// Whether all goes well.
    calm: bool,
    meters: HashMap<String, Meter>,
    visits: HashMap<u64, u32>,
    wrong: Vec<String>,
    outcomes: Vec<u64>,
    /// Preps and posts that were begun.
    events: u64,
}

#[derive(Debug, Default)]
struct Meter {
    now: u64,
    peak: u64,
    calls: u64,
    window: VecDeque<Instant>,
}

/// What is counted together, and how much of it may be.
pub(super) struct Gauge {
    pub(super) name: String,
    pub(super) at_once: Option<u64>,
    pub(super) per_minute: Option<u64>,
}

/// A call under way.
pub(super) struct Inside<'a> {
    world: &'a World,
    gauges: Vec<Gauge>,
}

impl World {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(Mutex::new(State { rolls: seed >> 1, ..State::default() }))
    }

    /// A number that looks random, below `below`.
    pub(super) fn roll(&self, below: u64) -> u64 {
        let mut state = self.0.lock().unwrap();
        state.rolls += 1;
        scatter(state.rolls) % below
    }

    pub(super) fn is_calm(&self) -> bool {
        self.0.lock().unwrap().calm
    }

    /// From now on all goes well, and peaks are counted anew.
    pub(super) fn calm_down(&self) {
        let mut state = self.0.lock().unwrap();
        state.calm = true;
        state.meters.values_mut().for_each(|meter| meter.peak = meter.now);
    }

    /// How often the instance of these parameters has been somewhere, this time included.
    pub(super) fn visit(&self, params: u64) -> u32 {
        let mut state = self.0.lock().unwrap();
        let visits = state.visits.entry(params).or_default();
        *visits += 1;
        *visits
    }

    pub(super) fn enter(&self, gauges: Vec<Gauge>) -> Inside<'_> {
        let (mut state, now) = (self.0.lock().unwrap(), Instant::now());
        for Gauge { name, at_once, per_minute } in &gauges {
            let meter = state.meters.entry(name.clone()).or_default();
            meter.now += 1;
            meter.calls += 1;
            meter.peak = meter.peak.max(meter.now);
            meter.window.push_back(now);
            while meter.window.front().is_some_and(|first| now - *first >= WINDOW) {
                meter.window.pop_front();
            }
            let (inside, started) = (meter.now, meter.window.len() as u64);
            if at_once.is_some_and(|most| inside > most) || per_minute.is_some_and(|most| started > most) {
                let allowed = format!("{at_once:?} at once and {per_minute:?} a minute");
                state.wrong.push(format!("{name}: {inside} at once, {started} in a minute, where {allowed} may be"));
            }
        }
        Inside { world: self, gauges }
    }

    pub(super) fn expect(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.0.lock().unwrap().wrong.push(what());
        }
    }

    pub(super) fn wrong(&self) -> Vec<String> {
        self.0.lock().unwrap().wrong.clone()
    }

    pub(super) fn ended(&self, instance: u64) {
        self.0.lock().unwrap().outcomes.push(instance);
    }

    /// The instances of which an outcome was told, in order.
    pub(super) fn outcomes(&self) -> Vec<u64> {
        let mut outcomes = self.0.lock().unwrap().outcomes.clone();
        outcomes.sort_unstable();
        outcomes
    }

    /// A prep or a post was begun.
    pub(super) fn happened(&self) {
        self.0.lock().unwrap().events += 1;
    }

    /// Calls and events so far, and calls under way.
    pub(super) fn life(&self) -> (u64, u64, u64) {
        let state = self.0.lock().unwrap();
        let (calls, now) =
            state.meters.values().fold((0, 0), |(calls, now), meter| (calls + meter.calls, now + meter.now));
        (calls, state.events, now)
    }

    /// Calls that `name` has seen.
    pub(super) fn calls(&self, name: &str) -> u64 {
        self.0.lock().unwrap().meters.get(name).map_or(0, |meter| meter.calls)
    }

    /// The most at once of each that is called so, and has been called since all goes well.
    pub(super) fn peaks(&self, prefix: &str) -> Vec<u64> {
        let state = self.0.lock().unwrap();
        let named = state.meters.iter().filter(|(name, meter)| name.starts_with(prefix) && meter.peak > 0);
        named.map(|(_, meter)| meter.peak).collect()
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut state = self.world.0.lock().unwrap();
        for gauge in &self.gauges {
            state.meters.get_mut(&gauge.name).expect("it was entered").now -= 1;
        }
    }
}
