//! A client as Paceline is one: core's set, a controller that resizes its concurrency, and retries that hold nothing.

use paceline_core::{
    Aimd, Arrival, Controller, CubicRate, Decision, Demand, Events, Gradient, Grant, Index, Limit, Order, Outcome,
    Pacing, Priority, Quota, Sample, Set, Ticket, Time, Verdict, Waiter,
};

use super::rivals::{Seed, Vector};
use super::setup::{Extra, Load, Setup};
use super::{Trace, Who};

const CONCURRENCY: Index = 0;
const RATE: Index = 1;
/// Retries that may wait before no more input is taken.
const WAITING_RETRIES: usize = 100;

/// An attempt to be sent.
pub(super) type Sent = usize;

#[derive(Debug)]
pub(super) struct Call {
    order: Order,
    pub(super) attempts: u32,
    began: Time,
    ticket: Option<Ticket>,
    grant: Option<Grant>,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) setup: Setup,
    set: Set<usize>,
    controller: Box<dyn Controller>,
    cubic: Option<CubicRate>,
    pacing: Option<Pacing>,
    /// What is set on the limits.
    quota: Option<Quota>,
    capacity: u64,
    rated: bool,
    pub(super) calls: Vec<Call>,
    in_flight: u64,
    /// Calls that were begun and not yet ended for good.
    unfinished: usize,
    pub(super) retries: usize,
    pub(super) trace: Trace,
}

impl Client {
    pub(super) fn new(number: u64, setup: Setup, who: Who) -> Self {
        let (initial, max) = (setup.initial, setup.max);
        let aimd = Aimd::builder().initial_concurrent(initial).max_concurrent(max).backoff_factor(0.7);
        let aimd = if setup.extra == Extra::LatencyGuard { aimd.latency_guard() } else { aimd };
        let gradient = Gradient::builder().initial_concurrent(initial).min_concurrent(1).max_concurrent(max);
        let controller: Box<dyn Controller> = match who {
            Who::Ours => Box::new(aimd.build().expect("parameters in range")),
            Who::Gradient => Box::new(gradient.build().expect("parameters in range")),
            Who::Vector => Box::new(Vector::new(initial, max)),
            Who::Seed => Box::new(Seed::new(initial, max)),
        };
        let ours = who == Who::Ours;
        let mut limits = vec![Limit::resource(initial).expect("a capacity above zero")];
        let cubic = (ours && setup.extra == Extra::Cubic).then(CubicRate::default);
        if cubic.is_some() {
            // Off until the first throttle; a bucket from the start, since a window would hand its whole past to it.
            let off = Quota::per_second(u64::from(u32::MAX)).burst(u64::from(u32::MAX));
            limits.push(Limit::rate(off, Time::ZERO).expect("a quota that can be kept"));
        }
        let mut pacing = None;
        if let Extra::Told(amount, period) = setup.extra {
            let told = Quota::new(amount, period);
            pacing = ours.then(|| Pacing::new(told).expect("a quota that can be kept"));
            let quota = pacing.as_ref().map_or(told, Pacing::quota);
            limits.push(Limit::rate(quota, Time::ZERO).expect("a quota that can be kept"));
        }
        let capacity = pacing.as_ref().and_then(Pacing::in_flight).map_or(initial, |most| most.min(initial));
        limits[0] = Limit::resource(capacity).expect("a capacity above zero");
        let rated = limits.len() > 1;
        Self {
            setup,
            set: Set::new(number, limits),
            controller,
            cubic,
            pacing,
            quota: None,
            capacity,
            rated,
            calls: Vec::new(),
            in_flight: 0,
            unfinished: 0,
            retries: 0,
            trace: Trace { levels: vec![(Time::ZERO, initial)], ..Trace::default() },
        }
    }

    /// Takes as much input as there is room for; what is granted at once is to be sent.
    pub(super) fn pull(&mut self, now: Time, sent: &mut Vec<Sent>) {
        while self.set.waiting() == 0 && self.retries < WAITING_RETRIES && self.has_input() {
            let number = self.calls.len();
            let arrival = Arrival { at: now, number: number as u64 + 1 };
            let order = Order::new(arrival, Priority::Normal);
            self.calls.push(Call { order, attempts: 0, began: now, ticket: None, grant: None });
            self.unfinished += 1;
            self.ask(number, now, sent);
        }
    }

    fn has_input(&self) -> bool {
        match self.setup.load {
            Load::Backlog => true,
            Load::AtOnce(calls) => self.unfinished < calls,
            Load::Once(calls) => self.calls.len() < calls,
        }
    }

    /// Asks for a permit, for a first attempt or another one.
    pub(super) fn ask(&mut self, number: usize, now: Time, sent: &mut Vec<Sent>) {
        let mut demand: Demand = [(CONCURRENCY, 1)].into_iter().collect();
        if self.rated {
            demand.add(RATE, 1);
        }
        let order = self.calls[number].order;
        let mut events = Events::default();
        if self.set.try_acquire(now, &mut demand, order, &mut events) == Decision::Granted {
            self.granted(number, Grant { at: now, charged: demand }, now, sent);
        } else {
            let waiter = Waiter { demand, order, deadline: None, party: None, waker: Some(number) };
            self.calls[number].ticket = Some(self.set.enqueue(now, waiter, &mut events));
        }
        self.collect(events, now, sent);
    }

    fn granted(&mut self, number: usize, grant: Grant, now: Time, sent: &mut Vec<Sent>) {
        let call = &mut self.calls[number];
        (call.began, call.grant, call.ticket) = (now, Some(grant), None);
        call.attempts += 1;
        self.in_flight += 1;
        self.trace.most_in_flight = self.trace.most_in_flight.max(self.in_flight);
        sent.push(number);
    }

    /// Time passed.
    pub(super) fn pump(&mut self, now: Time, sent: &mut Vec<Sent>) {
        let mut events = Events::default();
        self.set.pump(now, &mut events);
        self.collect(events, now, sent);
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.set.next()
    }

    fn collect(&mut self, events: Events<usize>, now: Time, sent: &mut Vec<Sent>) {
        for number in events.woken {
            let outcome = self.calls[number].ticket.and_then(|ticket| self.set.collect(ticket));
            match outcome {
                Some(Outcome::Granted(grant)) => self.granted(number, grant, now, sent),
                other => panic!("nothing refuses here, but {other:?}"),
            }
        }
    }

    /// When an attempt is given up.
    pub(super) fn gives_up(&self, number: usize) -> Time {
        self.calls[number].began + self.setup.timeout
    }

    /// An attempt ended: the controllers learn from it, and what it held is free. Says whether to try again.
    pub(super) fn ended(&mut self, number: usize, verdict: Verdict, now: Time, sent: &mut Vec<Sent>) -> bool {
        let began = self.calls[number].began;
        let sample = Sample { verdict, began, duration: now.since(began), in_flight: self.in_flight };
        self.in_flight -= 1;
        let mut events = Events::default();
        if !self.set_rate(&sample, now, &mut events) {
            self.controller.update(&sample, now);
        }
        if let Verdict::RateLimited { retry_after: Some(pause) } = verdict {
            self.set.pause(now, pause, &mut events);
        }
        self.set_level(now, &mut events);
        self.trace.cuts = self.controller.cuts();
        if let Some(grant) = self.calls[number].grant.take() {
            self.set.release(now, &grant, &mut events);
        }
        self.collect(events, now, sent);
        let again = verdict.is_retryable();
        self.unfinished -= usize::from(!again);
        again
    }

    /// Only what changes is set. Says whether the sample is explained by the rate, and no matter of concurrency.
    fn set_rate(&mut self, sample: &Sample, now: Time, events: &mut Events<usize>) -> bool {
        self.cubic.iter_mut().for_each(|cubic| cubic.update(sample, now));
        let explained = self.pacing.as_mut().is_some_and(|pacing| pacing.update(sample, now, None));
        let quota = self.cubic.as_ref().and_then(CubicRate::quota).or(self.pacing.as_ref().map(Pacing::quota));
        if quota != self.quota {
            self.quota = quota;
            let set = quota.map(|quota| self.set.set_quota(now, RATE, quota, events));
            set.transpose().expect("a quota that can be kept");
        }
        explained
    }

    fn set_level(&mut self, now: Time, events: &mut Events<usize>) {
        let level = self.controller.level();
        if self.trace.levels.last().is_some_and(|(_, last)| *last != level) {
            self.trace.levels.push((now, level));
        }
        let most = self.pacing.as_ref().and_then(Pacing::in_flight).unwrap_or(u64::MAX);
        let capacity = level.min(most);
        if capacity != self.capacity {
            self.capacity = capacity;
            self.set.set_capacity(now, CONCURRENCY, capacity, events).expect("a capacity above zero");
        }
    }
}
