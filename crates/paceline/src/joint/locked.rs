//! The locks of several sets, taken in one order.

use std::sync::Arc;

use paceline_core::{Events, Time};
use parking_lot::MutexGuard;

use crate::local::{After, Guarded, Local};
use crate::wait::Wake;

/// One set, locked.
pub(super) struct Member<'a> {
    pub(super) guard: MutexGuard<'a, Guarded>,
    pub(super) now: Time,
    pub(super) events: Events<Wake>,
}

/// One step under the locks of several sets; what it leaves to be done is added to `after`.
pub(super) fn with_all<R>(locals: &[&Arc<Local>], after: &mut After, call: impl FnOnce(&mut [Member<'_>]) -> R) -> R {
    // All locks first, the clocks only then: nobody is decided at an instant before the last lock was had.
    let guards: Vec<_> = locals.iter().map(|local| local.lock()).collect();
    let members = guards.into_iter().zip(locals);
    let members = members.map(|(guard, local)| Member { guard, now: local.now(), events: Events::default() });
    let mut members: Vec<_> = members.collect();
    let result = call(&mut members);
    for Member { mut guard, events, .. } in members {
        after.take(&mut guard, events);
    }
    result
}
