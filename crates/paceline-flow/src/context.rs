//! What a node is given: the shared state, its instance's parameters, and the attempt that it makes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use paceline::{LimitSet, Named, ServerState, Verdict};

use crate::call::Call;
use crate::event::{Event, Watch};
use crate::node::Node;

/// What the methods of a [`Node`] are given: its [`Context`].
pub type Cx<'a, N> = Context<'a, <N as Node>::Shared, <N as Node>::Params>;

/// The shared state and the parameters of an instance; within `exec` also the attempt, to be told what the answer says.
///
/// Copied freely. One for a test of a node alone is made by [`new`](Self::new).
pub struct Context<'a, S, P> {
    /// The state that all nodes and instances share.
    pub shared: &'a S,
    /// What this instance is about.
    pub params: &'a P,
    place: Place<'a>,
}

/// Where in a run it is.
#[derive(Clone, Copy)]
struct Place<'a> {
    instance: u64,
    node: &'a str,
    watch: Option<&'a Watch<'a>>,
    call: Option<&'a Arc<Call>>,
}

impl<S, P> Clone for Context<'_, S, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, P> Copy for Context<'_, S, P> {}

impl<'a, S, P> Context<'a, S, P> {
    /// A context of no flow, to try a node with.
    pub fn new(shared: &'a S, params: &'a P) -> Self {
        Self::of_run(shared, params, 0, None)
    }

    pub(crate) fn of_run(shared: &'a S, params: &'a P, instance: u64, watch: Option<&'a Watch<'a>>) -> Self {
        Self { shared, params, place: Place { instance, node: "", watch, call: None } }
    }

    /// The same for another set of parameters.
    pub(crate) fn with_params<'b, Q>(self, params: &'b Q) -> Context<'b, S, Q>
    where
        'a: 'b,
    {
        Context { shared: self.shared, params, place: self.place }
    }

    pub(crate) fn at(mut self, node: &'a str) -> Self {
        self.place.node = node;
        self
    }

    pub(crate) fn calling(mut self, call: &'a Arc<Call>) -> Self {
        self.place.call = Some(call);
        self
    }

    pub(crate) fn watch(&self) -> Option<&'a Watch<'a>> {
        self.place.watch
    }

    /// The attempt, for whoever has to hold its permits beyond `exec`.
    pub(crate) fn call(&self) -> Option<Arc<Call>> {
        self.place.call.cloned()
    }

    pub(crate) fn tell(&self, event: Event<'_>) {
        if let Some(watch) = self.place.watch {
            watch.tell(&event);
        }
    }

    /// Which instance of its flow it is, from 0, in the order of the parameters. Of a nested batch, the instance of
    /// that.
    #[must_use]
    pub fn instance(&self) -> u64 {
        self.place.instance
    }

    /// The node's name.
    #[must_use]
    pub fn node(&self) -> &'a str {
        self.place.node
    }

    /// Which attempt at its item this is: 1 is the first. 0 outside `exec`.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.place.call.map_or(0, |call| call.number())
    }

    /// The limit set that admitted this attempt: of a pool, the member that was chosen, whose
    /// [`config`](LimitSet::config) says the region or key. Of several sets acquired together, the first that is
    /// shared. None outside `exec`, or without limits.
    #[must_use]
    pub fn served_by(&self) -> Option<&'a LimitSet> {
        self.place.call.and_then(|call| call.served_by())
    }

    /// Corrects what this attempt was charged to what it really used, on every one of its sets that has the key. Does
    /// nothing outside `exec`, or without limits.
    ///
    /// # Errors
    ///
    /// A key that none of its sets has.
    pub fn settle<'k>(&self, actual: impl IntoIterator<Item = (&'k str, u64)>) -> Result<(), paceline::Error> {
        self.place.call.map_or(Ok(()), |call| call.settle(actual))
    }

    /// Takes the service's word on the limit `key` of the set that [served](Self::served_by) this attempt.
    ///
    /// # Errors
    ///
    /// As [`Permit::sync`](paceline::Permit::sync).
    pub fn sync(&self, key: impl Named, state: ServerState) -> Result<(), paceline::Error> {
        self.place.call.map_or(Ok(()), |call| call.sync(key, state))
    }

    /// Says how this attempt ended, where that is better known here than from what is returned. The first word counts.
    pub fn report(&self, verdict: Verdict) {
        if let Some(call) = self.place.call {
            call.tell(verdict);
        }
    }

    /// The service asks to wait so long before this call is tried again, whatever the verdict.
    pub fn retry_after(&self, wait: Duration) {
        if let Some(call) = self.place.call {
            call.retry_after(wait);
        }
    }
}

impl<S, P: fmt::Debug> fmt::Debug for Context<'_, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("params", self.params)
            .field("instance", &self.place.instance)
            .field("node", &self.place.node)
            .finish_non_exhaustive()
    }
}
