//! Describing what a node may do at a time.

use std::sync::Arc;
use std::time::Duration;

use paceline::presets::{self, Preset, UnknownPreset};
use paceline::{Aimd, LimitPool, LimitSet, Quota, Registry, Retry};

/// How many calls of a node may be under way, how many may start in a time, and what becomes of those that fail.
///
/// | what | default | |
/// |---|---|---|
/// | calls at once | all | [`concurrent`](Self::concurrent), [`sequential`](Self::sequential), [`adaptive`](Self::adaptive) |
/// | calls in a time | any | [`per_minute`](Self::per_minute) and its kin, [`calls`](Self::calls) |
/// | units in a time | any | [`rate`](Self::rate), charged by [`Node::cost`](crate::Node::cost) |
/// | shared with others | nothing | [`shared`](Self::shared), [`named`](Self::named), [`pool`](Self::pool) |
/// | attempts | 1 | [`retry`](Self::retry) |
/// | time for an attempt | any | [`timeout`](Self::timeout) |
///
/// What is stated here belongs to the instance of the flow: each of the slots of a [`BatchFlow`](crate::BatchFlow) has
/// its own copy, which is used again by the next instance in that slot. So at most the number of slots times the number
/// here is under way in the whole. What is *shared* is one for all.
///
/// Every attempt is charged, and one that waits to be made again holds nothing.
///
/// ```
/// use paceline::{Aimd, LimitSet, Quota, Retry};
/// use paceline_flow::Limits;
///
/// let openai = LimitSet::builder("openai").calls(Quota::per_minute(500)).concurrency(32).build()?;
/// let plain = Limits::sequential();
/// let throttled = Limits::concurrent(5).per_minute(100).shared(&openai);
/// let adaptive = Limits::adaptive(Aimd::builder().initial_concurrent(10).max_concurrent(50).build()?)
///     .retry(Retry::attempts(3));
/// let preset = Limits::preset("openai-tier-1")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Everything is checked by [`Graph::start`](crate::Graph::start).
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Limits {
    pub(crate) level: Level,
    pub(crate) rates: Vec<Rate>,
    pub(crate) sets: Vec<LimitSet>,
    pub(crate) pool: Option<LimitPool>,
    pub(crate) retry: Option<Retry>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) propagates: bool,
}

/// How many at once.
#[derive(Clone, Debug, Default)]
pub(crate) enum Level {
    #[default]
    All,
    Fixed(u64),
    Adaptive(Aimd),
}

/// How many in a time.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    pub(crate) key: Arc<str>,
    pub(crate) quota: Quota,
    pub(crate) counts: Counts,
}

/// What a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    Calls,
    Units,
}

impl Limits {
    /// All items at once: a parallel batch without limits.
    pub fn none() -> Self {
        Self::default()
    }

    /// At most so many calls at once.
    pub fn concurrent(calls: u64) -> Self {
        Self { level: Level::Fixed(calls), ..Self::default() }
    }

    /// One call after the other: a plain batch.
    pub fn sequential() -> Self {
        Self::concurrent(1)
    }

    /// As many calls at once as `controller` learns from how they end. Each slot learns for itself.
    pub fn adaptive(controller: Aimd) -> Self {
        Self { level: Level::Adaptive(controller), ..Self::default() }
    }

    /// The limits of a provider, by the name of a [preset](paceline::presets), in any case and spelling.
    ///
    /// They are each slot's own, as all that is stated here. Where the whole of a flow has that quota together, make
    /// one set of them instead: `Limits::none().shared(&preset.limits().build()?)`.
    ///
    /// # Errors
    ///
    /// The name is unknown; the error lists those there are.
    pub fn preset(name: &str) -> Result<Self, UnknownPreset> {
        Ok(presets::find(name)?.into())
    }

    /// At most so many calls start in any second.
    pub fn per_second(self, calls: u64) -> Self {
        self.calls(Quota::per_second(calls))
    }

    /// At most so many calls start in any minute.
    pub fn per_minute(self, calls: u64) -> Self {
        self.calls(Quota::per_minute(calls))
    }

    /// At most so many calls start in any hour.
    pub fn per_hour(self, calls: u64) -> Self {
        self.calls(Quota::per_hour(calls))
    }

    /// A quota on calls. Given more than once, all of them hold.
    pub fn calls(self, quota: Quota) -> Self {
        let others = self.rates.iter().filter(|rate| rate.counts == Counts::Calls).count();
        let key = if others == 0 { Arc::from("calls") } else { Arc::from(format!("calls/{}", others + 1)) };
        self.with_rate(Rate { key, quota, counts: Counts::Calls })
    }

    /// A quota on units of `key`, `tokens` say: charged as [`Node::cost`](crate::Node::cost) names them.
    pub fn rate(self, key: impl Into<Arc<str>>, quota: Quota) -> Self {
        self.with_rate(Rate { key: key.into(), quota, counts: Counts::Units })
    }

    /// Also stays within `set`, which whoever has a handle shares: other nodes, other flows, other code. May be given
    /// more than once; several are acquired together, all or nothing.
    ///
    /// It is charged at the instant at which the node's own rates are, and a call holds nothing of it while it waits
    /// for those; a place among the node's own [concurrent](Self::concurrent) calls is taken first, since nobody else
    /// could use it.
    ///
    /// A call that has it must not acquire of it again in its `exec`: where there is no more room, it waits for itself,
    /// until its [timeout](Self::timeout).
    pub fn shared(mut self, set: &LimitSet) -> Self {
        self.sets.push(set.clone());
        self
    }

    /// The same by the name that the set has in `registry`.
    ///
    /// # Errors
    ///
    /// The registry has no set of that name; the error says which it has.
    pub fn named(self, registry: &Registry, name: &str) -> Result<Self, paceline::Error> {
        Ok(self.shared(&registry.get(name)?))
    }

    /// Also takes a permit of whichever member of `pool` has room. Not beside a [shared](Self::shared) set.
    pub fn pool(mut self, pool: &LimitPool) -> Self {
        self.pool = Some(pool.clone());
        self
    }

    /// Tries again what fails. One budget of retries is shared by all slots.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Gives an attempt so much time, from its admission. One that takes longer is dropped, counts as overload, and may
    /// be tried again.
    pub fn timeout(mut self, longest: Duration) -> Self {
        self.timeout = Some(longest);
        self
    }

    /// Hands a rate limit on to the flow: the first attempt that is refused for its rate ends the instance, as
    /// [`Cause::RateLimited`](crate::Cause::RateLimited) with message, Retry-After and source, and the flow's own
    /// controller and gate learn of it. Such an attempt is not made again here, and no fallback is asked; the flow may
    /// have a [retry](crate::BatchFlowBuilder::retry) of its own.
    ///
    /// A [`RateLimitHit`](paceline::RateLimitHit) reaches the flow without this too, once retries and fallback have had it.
    pub fn propagate_rate_limit(mut self) -> Self {
        self.propagates = true;
        self
    }

    fn with_rate(mut self, rate: Rate) -> Self {
        self.rates.push(rate);
        self
    }

    /// Whether it has limits of its own, beside those it shares.
    pub(crate) fn has_own(&self) -> bool {
        !matches!(self.level, Level::All) || !self.rates.is_empty()
    }
}

impl From<&Preset> for Limits {
    fn from(preset: &Preset) -> Self {
        let mut limits = preset.concurrency.map_or_else(Self::none, Self::concurrent);
        if let Some(calls) = preset.requests_per_minute {
            limits = limits.per_minute(calls);
        }
        if let Some(calls) = preset.requests_per_day {
            limits = limits.calls(Quota::per_day(calls));
        }
        let tokens = [
            ("tokens", preset.tokens_per_minute),
            ("input_tokens", preset.input_tokens_per_minute),
            ("output_tokens", preset.output_tokens_per_minute),
        ];
        for (key, per_minute) in tokens {
            if let Some(per_minute) = per_minute {
                limits = limits.rate(key, Quota::per_minute(per_minute));
            }
        }
        limits
    }
}
