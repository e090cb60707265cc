//! Describing a layer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use paceline_core::Verdict;
use paceline_core::headers::{Charges, Dialect, LONGEST_WAIT};

use super::LimitLayer;
use super::ahead::Ahead;
use super::found::{Finding, FoundLimit, Hook};
use crate::error::Error;
use crate::key::Amounts;
use crate::pipeline::{Call, Pipeline};
use crate::set::LimitSet;

/// What all calls of a layer have in common.
pub(super) struct Rules<B> {
    pub(super) pipeline: Pipeline,
    pub(super) ahead: Ahead,
    pub(super) finding: Finding,
    pub(super) on_found: Option<Box<Hook>>,
    pub(super) cost: Option<Box<Cost<B>>>,
    pub(super) within: Option<Duration>,
    pub(super) repeat: Option<Box<Repeat<B>>>,
    pub(super) retry_if: Option<Box<RetryIf<B>>>,
    pub(super) dialect: Dialect,
    /// What usage is settled by; none where it is not asked for.
    pub(super) charges: Option<Charges>,
    /// The members of a pool that are other providers'.
    pub(super) others: Vec<(LimitSet, Dialect, Charges)>,
    pub(super) longest_wait: Duration,
    pub(super) error_bytes: usize,
    pub(super) error_time: Duration,
    pub(super) body_time: Duration,
}

type Cost<B> = dyn for<'p> Fn(&'p Pipeline, &Request<B>) -> Call<'p> + Send + Sync;
type Repeat<B> = dyn Fn(&Request<B>) -> Option<Request<B>> + Send + Sync;
type RetryIf<B> = dyn Fn(&Request<B>, Verdict) -> bool + Send + Sync;

/// Describes a [`LimitLayer`]. Everything is checked by [`build`](Self::build).
///
/// | what | default |
/// |---|---|
/// | [`cost`](Self::cost) | one call, which names no limit |
/// | [`within`](Self::within) | waits as long as it takes |
/// | [`repeat`](Self::repeat), [`repeat_clones`](Self::repeat_clones) | no request is sent twice |
/// | [`retry_if`](Self::retry_if) | whatever the pipeline's policy says |
/// | [`dialect`](Self::dialect) | plain: the status and Retry-After |
/// | [`settle_usage`](Self::settle_usage) | what was charged stands |
/// | [`member`](Self::member) | all members of a pool are alike |
/// | [`on_found`](Self::on_found) | nobody is told |
/// | [`longest_wait`](Self::longest_wait) | a day |
/// | [`error_body`](Self::error_body) | 64 KiB, 5 s |
/// | [`body_timeout`](Self::body_timeout) | 10 minutes, as the SDKs of OpenAI and Anthropic have it for a whole answer |
#[must_use = "nothing is made until `build` is called"]
pub struct LimitLayerBuilder<B>(Rules<B>);

impl<B> LimitLayerBuilder<B> {
    pub(super) fn new(pipeline: Pipeline) -> Self {
        Self(Rules {
            pipeline,
            ahead: Ahead::default(),
            finding: Finding::default(),
            on_found: None,
            cost: None,
            within: None,
            repeat: None,
            retry_if: None,
            dialect: Dialect::default(),
            charges: None,
            others: Vec::new(),
            longest_wait: LONGEST_WAIT,
            error_bytes: 64 << 10,
            error_time: Duration::from_secs(5),
            body_time: Duration::from_secs(600),
        })
    }

    /// What a request asks of the limits. Called once a request, in its future: one that panics fails that request only.
    pub fn cost<A: Amounts>(mut self, cost: impl Fn(&Request<B>) -> A + Send + Sync + 'static) -> Self {
        self.0.cost = Some(Box::new(move |pipeline, request| pipeline.call(cost(request))));
        self
    }

    /// Gives up on a request after `deadline`: neither limits nor retries are waited for beyond it. Zero is now or not at
    /// all. An attempt under way is not cut short; its timeout is the inner service's.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.0.within = Some(deadline);
        self
    }

    /// Makes the copy of a request that is kept until it is known whether to send it again; none where it cannot be
    /// copied, as a body that is streamed: it is sent once.
    pub fn repeat(mut self, copy: impl Fn(&Request<B>) -> Option<Request<B>> + Send + Sync + 'static) -> Self {
        self.0.repeat = Some(Box::new(copy));
        self
    }

    /// Tries a request again only where `hook` says so too, besides the pipeline's [policy](crate::Retry::retry_if). Whether
    /// it is idempotent is the caller's to know: a request that may not be repeated once it was heard goes with
    /// `|_, verdict| matches!(verdict, Verdict::RateLimited { .. })`.
    pub fn retry_if(mut self, hook: impl Fn(&Request<B>, Verdict) -> bool + Send + Sync + 'static) -> Self {
        self.0.retry_if = Some(Box::new(hook));
        self
    }

    /// The provider's way to talk about its limits.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.0.dialect = dialect;
        self
    }

    /// Settles each call by the usage that its answer names, as services of the dialect [charge](Dialect::charges) it;
    /// so set the dialect first, or use [`settle_usage_as`](Self::settle_usage_as).
    ///
    /// JSON bodies are copied for that as they pass, up to 16 MiB; of event streams, single events. An inner service that
    /// has read a body already spares it that by putting the [`Usage`](crate::headers::Usage) in its answer's extensions.
    pub fn settle_usage(self) -> Self {
        let charges = self.0.dialect.charges();
        self.settle_usage_as(charges)
    }

    /// The same for a service that charges otherwise than its dialect says.
    pub fn settle_usage_as(mut self, charges: Charges) -> Self {
        self.0.charges = Some(charges);
        self
    }

    /// The same for one member of a pool that is another provider's: its way to talk about its limits, and what it
    /// charges. Usage is settled there whether or not it is elsewhere.
    pub fn member(mut self, set: &LimitSet, dialect: Dialect, charges: Charges) -> Self {
        self.0.others.push((set.clone(), dialect, charges));
        self
    }

    /// Calls `hook` with each limit that nobody stated and answers tell of, where the set is to
    /// [find them](crate::LimitSetBuilder::find_limits), and again with what later answers correct. It should be quick: the
    /// answer waits for it.
    pub fn on_found(mut self, hook: impl Fn(&LimitSet, &FoundLimit) + Send + Sync + 'static) -> Self {
        self.0.on_found = Some(Box::new(hook));
        self
    }

    /// Believes no wait that is longer.
    pub fn longest_wait(mut self, longest: Duration) -> Self {
        self.0.longest_wait = longest;
        self
    }

    /// How much of an error's body is read, and for how long, to learn what it is about. The caller gets all of it. The
    /// plain dialect has no words and reads none.
    pub fn error_body(mut self, bytes: usize, time: Duration) -> Self {
        (self.0.error_bytes, self.0.error_time) = (bytes, time);
        self
    }

    /// How long a body may take from the answer's head to its end; what takes longer ends with [`BodyError::TimedOut`]
    /// and gives its permit back. Watched while somebody reads.
    ///
    /// [`BodyError::TimedOut`]: super::BodyError::TimedOut
    pub fn body_timeout(mut self, time: Duration) -> Self {
        self.0.body_time = time;
        self
    }

    /// Makes the layer.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] for a time of zero where nothing could be read.
    pub fn build(self) -> Result<LimitLayer<B>, Error> {
        let Rules { longest_wait, error_time, body_time, .. } = &self.0;
        let times = [("longest_wait", longest_wait), ("error_body", error_time), ("body_timeout", body_time)];
        if let Some((parameter, _)) = times.into_iter().find(|(_, time)| time.is_zero()) {
            return Err(Error::parameter(parameter, "0s", "above zero"));
        }
        Ok(LimitLayer(Arc::new(self.0)))
    }
}

impl<B> Rules<B> {
    /// How the service behind `set` talks about its limits, and what usage is settled by there.
    pub(super) fn of(&self, set: &LimitSet) -> (Dialect, Option<Charges>) {
        let other = self.others.iter().find(|(other, ..)| other.is(set));
        other.map_or((self.dialect, self.charges), |(_, dialect, charges)| (*dialect, Some(*charges)))
    }
}

impl<B: Clone + 'static> LimitLayerBuilder<B> {
    /// Repeats requests by cloning them: for bodies that are in memory.
    pub fn repeat_clones(self) -> Self {
        self.repeat(|request| Some(request.clone()))
    }
}

impl<B> fmt::Debug for LimitLayerBuilder<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LimitLayerBuilder").field(&self.0).finish()
    }
}

impl<B> fmt::Debug for Rules<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("pipeline", &self.pipeline)
            .field("dialect", &self.dialect)
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}
