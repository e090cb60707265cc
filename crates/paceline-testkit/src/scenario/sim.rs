//! The simulation: one queue of events, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use paceline_core::{Time, Verdict};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::client::Client;
use super::outcome::{Answer, Outcome};
use super::retry::backoff;
use super::service::Running;
use super::{Scenario, Who};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The service changes, by the number of the change.
    Change(usize),
    /// A request arrives at the service: client and call.
    Arrive(usize, usize),
    /// Its answer arrives.
    Answer(usize, usize, Ended),
    /// A client's set has to look again.
    Wake(usize),
    /// A call may be tried again.
    Retry(usize, usize),
}

/// A verdict that has an order, for the queue's sake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ended {
    Success,
    RateLimited(Option<Duration>),
    Overloaded,
}

struct Sim<'a> {
    scenario: &'a Scenario,
    service: Running,
    clients: Vec<Client>,
    /// When each client will look again: a wake at another time is one that was put off.
    wakes: Vec<Option<Time>>,
    /// By time, then in the order in which they were made.
    queue: BinaryHeap<Reverse<(Time, u64, Event)>>,
    made: u64,
    rng: SmallRng,
    answers: Vec<Answer>,
}

/// Runs `scenario` by the rules of `who`; `seed` decides all that is random.
///
/// # Panics
///
/// If a setup has parameters that a controller refuses.
#[must_use]
pub fn run(scenario: &Scenario, who: Who, seed: u64) -> Outcome {
    let clients = scenario.clients.iter().zip(1..).map(|(setup, number)| Client::new(number, *setup, who));
    let mut sim = Sim {
        scenario,
        service: Running::new(scenario.service),
        clients: clients.collect(),
        wakes: vec![Some(Time::ZERO); scenario.clients.len()],
        queue: BinaryHeap::new(),
        made: 0,
        rng: SmallRng::seed_from_u64(seed),
        answers: Vec::new(),
    };
    for (number, change) in scenario.changes.iter().enumerate() {
        sim.at(Time::ZERO + change.at, Event::Change(number));
    }
    for client in 0..sim.clients.len() {
        sim.at(Time::ZERO, Event::Wake(client));
    }
    let end = Time::ZERO + scenario.lasts;
    while let Some(Reverse((now, _, event))) = sim.queue.pop() {
        if now > end {
            break;
        }
        sim.happen(event, now);
    }
    Outcome { answers: sim.answers, traces: sim.clients.into_iter().map(|client| client.trace).collect() }
}

impl Sim<'_> {
    fn at(&mut self, time: Time, event: Event) {
        self.made += 1;
        self.queue.push(Reverse((time, self.made, event)));
    }

    fn happen(&mut self, event: Event, now: Time) {
        let mut sent = Vec::new();
        let client = match event {
            Event::Change(number) => {
                let change = &self.scenario.changes[number];
                (self.service.service.rule, self.service.service.work) = (change.rule, change.work);
                return;
            }
            Event::Arrive(client, call) => return self.arrive(client, call, now),
            Event::Answer(client, call, ended) => {
                let verdict = ended.verdict();
                self.answers.push(Answer { client, at: now, verdict });
                if self.clients[client].ended(call, verdict, now, &mut sent) {
                    self.clients[client].retries += 1;
                    let wait = backoff(self.clients[client].calls[call].attempts, verdict, &mut self.rng);
                    self.at(now + wait, Event::Retry(client, call));
                }
                client
            }
            Event::Wake(client) if self.wakes[client] != Some(now) => return,
            Event::Wake(client) => {
                self.wakes[client] = None;
                self.clients[client].pump(now, &mut sent);
                client
            }
            Event::Retry(client, call) => {
                self.clients[client].retries -= 1;
                self.clients[client].ask(call, now, &mut sent);
                client
            }
        };
        self.clients[client].pull(now, &mut sent);
        for call in sent {
            let there = self.service.way_there(&mut self.rng);
            self.at(now + there, Event::Arrive(client, call));
        }
        if let Some(next) = self.clients[client].next() {
            let next = next.max(now);
            if self.wakes[client].is_none_or(|wake| next < wake) {
                self.wakes[client] = Some(next);
                self.at(next, Event::Wake(client));
            }
        }
    }

    fn arrive(&mut self, client: usize, call: usize, now: Time) {
        let (verdict, work) = self.service.arrive(now, &mut self.rng);
        let back = now + work + self.service.service.network / 2;
        let gives_up = self.clients[client].gives_up(call);
        let (at, ended) = if back <= gives_up { (back, Ended::from(verdict)) } else { (gives_up, Ended::Overloaded) };
        self.at(at, Event::Answer(client, call, ended));
    }
}

impl Ended {
    fn verdict(self) -> Verdict {
        match self {
            Self::Success => Verdict::Success,
            Self::RateLimited(retry_after) => Verdict::RateLimited { retry_after },
            Self::Overloaded => Verdict::Overloaded,
        }
    }
}

impl From<Verdict> for Ended {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Success => Self::Success,
            Verdict::RateLimited { retry_after } => Self::RateLimited(retry_after),
            _ => Self::Overloaded,
        }
    }
}
