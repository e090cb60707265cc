//! Looking at a run: from counters and the limit set to a view.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use paceline::{LimitKind, LimitSnapshot, Quota, Snapshot};

use super::eta::{History, Rate, Seen, Steady, eta};
use super::view::{AtOnce, Endpoint, Fill, View};
use crate::drive::{Member, Shared};
use crate::limits::Counted;
use crate::tally;
use crate::waits::{binding, label};

/// Remembers enough to see what changes.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    recent: VecDeque<(Duration, u64)>,
    history: History,
    steady: Steady,
    waits: BTreeMap<Arc<str>, Duration>,
}

const RATE_OVER: Duration = Duration::from_secs(10);

impl Sampler {
    pub(super) fn sample(&mut self, shared: &Shared) -> View {
        let (tally, standing) = (&shared.tally, standing(shared));
        let (elapsed, fresh) = (tally.elapsed(), tally.succeeded.get() + tally.failed.get());
        let (waits, since) = (shared.waits.totals(), self.recent.back().map_or(Duration::ZERO, |(at, _)| *at));
        let binding = binding(&self.waits, &waits, elapsed.saturating_sub(since));
        let admitting = u64::from(shared.waits.is_waiting());
        self.waits = waits;
        let in_flight = tally.in_flight.get();
        let open = tally.met.get().saturating_sub(tally.done() + tally.abandoned.get());
        let mut view = View {
            elapsed,
            total: tally.total.get().copied(),
            ok: tally.succeeded.get(),
            failed: tally.failed.get(),
            skipped: tally.known.get(),
            rate: self.rate(elapsed, fresh),
            average: fresh as f64 / elapsed.as_secs_f64().max(0.001),
            eta: None,
            in_flight,
            at_once: standing.at_once,
            waiting: open.saturating_sub(in_flight + admitting),
            refusals: tally.refusals.get(),
            retries: tally.retries.get(),
            tokens: tally.tokens.get(),
            cost: shared.spend.spent().map(|spent| spent.to_string()),
            fills: standing.fills,
            binding,
            paused: standing.paused,
            stopping: shared.stop.is_draining(),
            endpoints: standing.endpoints,
        };
        self.history.push(elapsed, fresh);
        let seen = if view.stopping { None } else { seen(&view, shared, standing.rates) };
        let raw = seen.and_then(|seen| eta(&seen, &self.history));
        view.eta = self.steady.follow(elapsed, raw);
        view
    }

    fn rate(&mut self, elapsed: Duration, fresh: u64) -> f64 {
        while self.recent.len() > 1 && self.recent[0].0 + RATE_OVER < elapsed {
            self.recent.pop_front();
        }
        let (from, before) = self.recent.front().copied().unwrap_or_default();
        self.recent.push_back((elapsed, fresh));
        (fresh - before) as f64 / elapsed.saturating_sub(from).as_secs_f64().max(0.001)
    }
}

/// Quotas as they stand now.
struct Standing {
    fills: Vec<Fill>,
    rates: Vec<Rate>,
    at_once: AtOnce,
    /// How long nobody is let through, if that is so.
    paused: Option<Duration>,
    endpoints: Vec<Endpoint>,
}

fn standing(shared: &Shared) -> Standing {
    let mut all = Standing {
        fills: Vec::new(),
        rates: Vec::new(),
        at_once: AtOnce::default(),
        paused: Some(Duration::MAX),
        endpoints: Vec::new(),
    };
    for member in shared.members.iter() {
        let snapshot = member.set.snapshot();
        for limit in &snapshot.limits {
            // A rate is learnt only where one is needed.
            if let LimitKind::Rate(quota) = limit.view.kind {
                if quota.amount() < u64::MAX {
                    let name = shared.members.label(member, label(&limit.key));
                    all.fills.push(Fill::new(name.into(), quota, &limit.view));
                    all.rates.push(rate(shared, member, limit, quota));
                }
            }
        }
        let at_once = at_once(member, &snapshot);
        all.at_once.amount = all.at_once.amount.saturating_add(at_once.amount);
        all.at_once.learnt |= at_once.learnt;
        all.paused = snapshot.paused.and_then(|paused| all.paused.map(|before| before.min(paused)));
        if !shared.members.are_one() {
            all.endpoints.push(endpoint(shared, member, at_once, &snapshot));
        }
    }
    all
}

/// What an attempt costs is a mean over the attempts at all quotas: so it holds what share of them goes to this one.
fn rate(shared: &Shared, member: &Member, limit: &LimitSnapshot, quota: Quota) -> Rate {
    let tally = &shared.tally;
    let stated = member.limits.iter().position(|stated| *stated.name == *limit.key);
    let (guarded, charged) = match stated {
        Some(at) => (quota.period() + member.limits[at].guard, tally.charged(member.first_limit + at)),
        // Of a limit that was found, that is what answers say that they used; a learnt rate counts attempts.
        None => {
            let attempts: u64 = member.endpoints().map(|at| tally.endpoints[at].attempts.get()).sum();
            let used = match Counted::of_key(&limit.key) {
                Some(Counted::Tokens) => &tally.tokens,
                Some(Counted::InputTokens) => &tally.input_tokens,
                Some(Counted::OutputTokens) => &tally.output_tokens,
                Some(Counted::Requests) | None => &tally.attempts,
            };
            let each = used.get() as f64 / tally.attempts.get().max(1) as f64;
            (quota.period(), (attempts as f64 * each) as u64)
        }
    };
    Rate {
        amount: quota.amount(),
        period: guarded,
        available: limit.view.available,
        per_attempt: charged as f64 / tally.attempts.get().max(1) as f64,
    }
}

fn at_once(member: &Member, snapshot: &Snapshot) -> AtOnce {
    let most = member.concurrency.most();
    let level = snapshot.feedback.level;
    AtOnce { amount: level.unwrap_or(most).min(most), learnt: level.is_some() }
}

fn endpoint(shared: &Shared, member: &Member, at_once: AtOnce, snapshot: &Snapshot) -> Endpoint {
    let sum = |count: fn(&tally::Endpoint) -> u64| {
        member.endpoints().map(|at| count(&shared.tally.endpoints[at])).sum::<u64>()
    };
    Endpoint {
        name: member.name().into(),
        ok: sum(|it| it.succeeded.get()),
        refusals: sum(|it| it.refusals.get()),
        in_flight: snapshot.active,
        at_once,
        paused: snapshot.paused,
    }
}

fn seen(view: &View, shared: &Shared, rates: Vec<Rate>) -> Option<Seen> {
    let tally = &shared.tally;
    Some(Seen {
        left: view.left()?,
        results: view.ok + view.failed,
        ended: tally.attempts.get().saturating_sub(view.in_flight),
        busy: tally.busy(),
        level: view.at_once.amount,
        rates,
    })
}

/// Each limit's use as a share of what it would have allowed.
pub(crate) fn utilisation(shared: &Shared) -> Vec<(String, f64)> {
    let tally = &shared.tally;
    let admitting = tally.admitting().as_secs_f64();
    let of = |member: &Member| {
        let rates = member.limits.iter().enumerate().map(|(at, limit)| {
            let windows = admitting / limit.guarded().as_secs_f64();
            let allowed = match limit.burst {
                Some(burst) => burst as f64 + limit.amount as f64 * windows,
                None => limit.amount as f64 * (windows.floor() + 1.0),
            };
            let used = tally.charged(member.first_limit + at) as f64 / allowed;
            (shared.members.label(member, &limit.name), used)
        });
        let busy: Duration = member.endpoints().map(|at| tally.endpoints[at].busy()).sum();
        let at_once = member.concurrency.most() as f64 * tally.elapsed().as_secs_f64();
        let concurrency = busy.as_secs_f64() / at_once.max(f64::MIN_POSITIVE);
        let concurrency = (shared.members.label(member, "concurrency"), concurrency);
        rates.chain([concurrency]).collect::<Vec<_>>()
    };
    shared.members.iter().flat_map(of).collect()
}
