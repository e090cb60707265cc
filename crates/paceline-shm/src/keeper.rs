//! The one thread of a member: it keeps the time while demands of this process wait, and hears the bell.
//!
//! Futures wait without a thread each, and none of them has to be polled for the others to go on. The thread sleeps on the
//! bell's futex until something can be decided. The member whose demand stands first wakes exactly then; the others a
//! little later, should that one be stopped or gone; and all of them twenty times a second, to look after the dead. Once
//! a second, waiting or not, it looks whether the files are still where others would open them.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::shared::{Membership, Shared};

/// How much later others look than the one who should.
const GRACE: Duration = Duration::from_millis(20);
/// How often to look, whatever the time.
const LOOK: Duration = Duration::from_millis(50);
/// How often to look whether the files are still there: for so long both the old and the new may be used.
const WATCH: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Keeper {
    membership: Weak<Membership>,
    sets: Mutex<Vec<Weak<Shared>>>,
    /// Those for which something could not be done: nobody else may have them any more.
    owing: Mutex<Vec<Arc<Shared>>>,
    /// Whether there is a thread, or somebody else who keeps the time.
    kept: Mutex<bool>,
    /// Whether the thread found nobody waiting.
    resting: AtomicBool,
}

impl Keeper {
    /// Makes its thread when it is first needed, unless `kept` by somebody else.
    pub(crate) fn new(membership: Weak<Membership>, kept: bool) -> Self {
        let (sets, owing, kept) = (Mutex::default(), Mutex::default(), Mutex::new(kept));
        Self { membership, sets, owing, kept, resting: AtomicBool::new(false) }
    }

    pub(crate) fn add(&self, set: &Arc<Shared>) {
        self.sets.lock().push(Arc::downgrade(set));
    }

    /// Keeps a set until what it could not do is done.
    pub(crate) fn pay_for(&self, set: Arc<Shared>) {
        self.owing.lock().push(Arc::clone(&set));
        if self.wake().is_err() {
            // Without a thread, its next step pays.
            self.let_go(&set);
        }
    }

    fn let_go(&self, set: &Arc<Shared>) {
        self.owing.lock().retain(|owing| !Arc::ptr_eq(owing, set));
    }

    fn sets(&self) -> Vec<Arc<Shared>> {
        let mut sets = self.sets.lock();
        sets.retain(|set| set.strong_count() > 0);
        sets.iter().filter_map(Weak::upgrade).collect()
    }

    /// Looks whether the files are still there.
    pub(crate) fn watch(&self, membership: &Membership) {
        membership.members.link().look();
        self.sets().iter().for_each(|set| set.journal().link().look());
    }

    /// Has the time kept from now on, if it is not.
    pub(crate) fn wake(&self) -> io::Result<()> {
        let mut kept = self.kept.lock();
        if !*kept {
            let membership = Weak::clone(&self.membership);
            std::thread::Builder::new().name("paceline-shm".into()).spawn(move || run(&membership))?;
            *kept = true;
        }
        if let (true, Some(membership)) = (self.resting.load(Ordering::SeqCst), self.membership.upgrade()) {
            membership.members.ring(membership.members.me());
        }
        Ok(())
    }

    /// Looks at all sets once; how long until the next look, if anybody here waits.
    pub(crate) fn tick(&self, membership: &Membership) -> Option<Duration> {
        let mut sleep = None::<Duration>;
        for set in self.sets().into_iter().filter(|set| set.waits()) {
            let wait = match set.tick() {
                Ok(None) => continue,
                Ok(Some((next, mine))) => {
                    let wait = next.since(membership.clock.now());
                    if mine { wait } else { wait.saturating_add(GRACE) }
                }
                Err(error) => {
                    if !error.is_retryable() {
                        set.send_back();
                        self.let_go(&set);
                    }
                    LOOK
                }
            };
            sleep = Some(sleep.map_or(wait, |sleep| sleep.min(wait)).min(LOOK));
        }
        self.owing.lock().retain(|set| set.owes());
        sleep
    }
}

fn run(membership: &Weak<Membership>) {
    let mut watched = Instant::now();
    loop {
        let Some(kept) = membership.upgrade() else { return };
        let heard = kept.members.rings();
        // Before it looks: whoever begins to wait after that look finds it resting and rings.
        kept.keeper.resting.store(true, Ordering::SeqCst);
        if watched.elapsed() >= WATCH {
            kept.keeper.watch(&kept);
            watched = Instant::now();
        }
        let sleep = kept.keeper.tick(&kept);
        if sleep.is_some() {
            kept.keeper.resting.store(false, Ordering::SeqCst);
        }
        let members = Arc::clone(&kept.members);
        drop(kept);
        members.sleep(heard, sleep.unwrap_or(WATCH));
    }
}
