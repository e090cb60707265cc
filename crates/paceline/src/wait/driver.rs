//! The task that keeps a set's time while futures wait.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use paceline_core::Time;
use tokio::runtime::{Handle, Id};
use tokio::sync::Notify;

use super::Wake;
use crate::error::Error;
use crate::local::{Guarded, Local};

/// A set's driver, as the set knows it.
#[derive(Debug)]
pub(crate) struct Driver {
    number: u64,
    runtime: Id,
    pub(crate) notify: Arc<Notify>,
}

/// Sees to it that a driver runs on the runtime that polls now, whatever runs on others: they may have stopped.
pub(crate) fn ensure_driver(local: &Arc<Local>) -> Result<(), Error> {
    static DRIVERS: AtomicU64 = AtomicU64::new(0);
    let Ok(handle) = Handle::try_current() else {
        return Err(Error::NoRuntime { set: Arc::clone(&local.name) });
    };
    let is_driven = |guard: &mut Guarded| guard.keeper().drivers.iter().any(|driver| driver.runtime == handle.id());
    if is_driven(&mut local.lock()) {
        return Ok(());
    }
    // Tokio tells a runtime without timers by a panic only, and in the driver that would come too late.
    let timers = || drop(tokio::time::sleep(Duration::ZERO));
    if local.plan.clock.manual().is_none() && catch_unwind(timers).is_err() {
        return Err(Error::NoRuntime { set: Arc::clone(&local.name) });
    }
    let mut guard = local.lock();
    if is_driven(&mut guard) {
        return Ok(());
    }
    let number = DRIVERS.fetch_add(1, Ordering::Relaxed);
    let notify = Arc::new(Notify::new());
    guard.keeper().drivers.push(Driver { number, runtime: handle.id(), notify: Arc::clone(&notify) });
    drop(guard);
    let farewell = Farewell { set: Arc::downgrade(local), number };
    handle.spawn(drive(farewell, notify));
    Ok(())
}

enum Next {
    Sleep(Duration),
    Notified,
    Done,
}

async fn drive(farewell: Farewell, notify: Arc<Notify>) {
    loop {
        // Nothing of the set is held while it sleeps, so that a set nobody has any more can go.
        let next = match farewell.set.upgrade() {
            Some(local) => local.step(|guard, now, events| {
                guard.set.pump(now, events);
                next_step(guard, farewell.number, now, local.plan.clock.manual().is_some())
            }),
            None => Next::Done,
        };
        match next {
            Next::Sleep(time) => {
                tokio::select! {
                    () = tokio::time::sleep(time) => {}
                    () = notify.notified() => {}
                }
            }
            Next::Notified => notify.notified().await,
            Next::Done => return,
        }
    }
}

fn next_step(guard: &mut Guarded, number: u64, now: Time, manual: bool) -> Next {
    let (waiting, next) = (guard.set.waiting(), guard.set.next());
    let keeper = guard.keeper();
    let Some(place) = keeper.drivers.iter().position(|driver| driver.number == number) else { return Next::Done };
    if waiting == 0 {
        keeper.drivers.swap_remove(place);
        return Next::Done;
    }
    keeper.sleeps_until(next.unwrap_or(Time::MAX), keeper.drivers.len() == 1 && keeper.leader.is_none());
    match next {
        Some(then) if !manual => Next::Sleep(then.since(now)),
        _ => Next::Notified,
    }
}

/// Wakes all waiters where the last driver ends before its time, with its runtime or by a panic: whichever is polled
/// first makes the next driver.
struct Farewell {
    set: Weak<Local>,
    number: u64,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let Some(local) = self.set.upgrade() else { return };
        let mut guard = local.lock();
        let keeper = guard.keeper();
        let Some(place) = keeper.drivers.iter().position(|driver| driver.number == self.number) else { return };
        keeper.drivers.swap_remove(place);
        if !keeper.drivers.is_empty() {
            return;
        }
        keeper.armed = Time::MAX;
        let wakers: Vec<Wake> = guard.set.wakers().cloned().collect();
        drop(guard);
        wakers.into_iter().for_each(Wake::wake);
    }
}
