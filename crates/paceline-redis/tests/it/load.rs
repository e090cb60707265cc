//! Callers who never pause, over several clients, and a plain list of who was granted what and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use paceline::{LimitSet, LimitSetBuilder, Quota};
use paceline_redis::Outage;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::support::{LEASE, until};

pub(crate) const AMOUNT: usize = 60;
pub(crate) const PERIOD: Duration = Duration::from_secs(1);
const CAPACITY: usize = 6;
pub(crate) const MEMBERS: usize = 3;
/// How much later than it was granted somebody may take note of it here, on a machine that has time.
pub(crate) const LATE: Duration = Duration::from_millis(80);
/// How often this machine is asked whether it has.
const TICK: Duration = Duration::from_millis(5);

fn described(set: LimitSetBuilder) -> LimitSetBuilder {
    set.rate("units", Quota::new(AMOUNT as u64, PERIOD)).concurrency(CAPACITY as u64)
}

/// What was noted while callers ran.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// Of each permit, when it began and ended, in order.
    permits: Vec<(Instant, Instant)>,
    /// When a task came so much too late that was to come each [`TICK`].
    late: Vec<(Instant, Duration)>,
}

/// Callers who never pause, each client with a connection of its own.
pub(crate) struct Load {
    sets: Vec<LimitSet>,
    journal: Arc<Mutex<Journal>>,
    ended: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// So many callers for each client.
    pub(crate) async fn start(name: &str, urls: &[String], outage: Outage, callers: usize) -> Self {
        let (mut sets, mut tasks) = (Vec::new(), Vec::new());
        let (journal, ended) = (Arc::<Mutex<Journal>>::default(), Arc::<AtomicBool>::default());
        tasks.push(tokio::spawn(watch(Arc::clone(&journal), Arc::clone(&ended))));
        for url in urls {
            let shared = options_at(url).outage(outage).connect().await.unwrap();
            sets.push(described(LimitSet::builder(name)).backend(shared).build().unwrap());
        }
        for set in sets.iter().flat_map(|set| (0..callers).map(move |_| set)) {
            tasks.push(tokio::spawn(call(set.clone(), Arc::clone(&journal), Arc::clone(&ended))));
        }
        Self { sets, journal, ended, tasks }
    }

    pub(crate) async fn end(self) -> Journal {
        self.ended.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        let set = &self.sets[0];
        until("all to be back", || {
            let snapshot = set.snapshot();
            snapshot.active == 0 && snapshot.limit("concurrency").unwrap().used == 0
        })
        .await;
        let mut journal = std::mem::take(&mut *self.journal.lock());
        journal.permits.sort_unstable();
        let used = set.snapshot().limit("units").unwrap().used as usize;
        let counted = journal.granted(Instant::now() - PERIOD - 2 * LATE, Instant::now());
        assert!(used <= counted, "none is counted twice: {used} of {counted}");
        journal
    }
}

async fn call(set: LimitSet, journal: Arc<Mutex<Journal>>, ended: Arc<AtomicBool>) {
    while !ended.load(Ordering::Relaxed) {
        let permit = match set.request([("units", 1)]).within(Duration::from_millis(700)).acquire().await {
            Ok(permit) => permit,
            Err(paceline::Error::DeadlineExceeded { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        let began = Instant::now();
        tokio::time::sleep(Duration::from_millis(15)).await;
        journal.lock().permits.push((began, Instant::now()));
        drop(permit);
    }
}

async fn watch(journal: Arc<Mutex<Journal>>, ended: Arc<AtomicBool>) {
    while !ended.load(Ordering::Relaxed) {
        let due = Instant::now() + TICK;
        tokio::time::sleep_until(due.into()).await;
        let late = due.elapsed();
        if late > TICK {
            journal.lock().late.push((due, late));
        }
    }
}

impl Journal {
    pub(crate) fn first(&self) -> Instant {
        self.permits[0].0
    }

    pub(crate) fn len(&self) -> usize {
        self.permits.len()
    }

    pub(crate) fn granted(&self, from: Instant, to: Instant) -> usize {
        self.permits.iter().filter(|(began, _)| (from..to).contains(began)).count()
    }

    /// No window that begins in this time holds more than the quota, and no instant more than the capacity.
    pub(crate) fn within_limits(&self, from: Instant, to: Instant) {
        for (at, (first, _)) in self.permits.iter().enumerate() {
            if *first < from || *first >= to {
                continue;
            }
            let ends = (*first + PERIOD).checked_sub(LATE + self.lateness(*first)).unwrap_or(*first);
            let units = self.permits[at..].iter().take_while(|(began, _)| *began < ends).count();
            assert!(units <= AMOUNT, "{units} in a window, {:?} after {from:?}", *first - from);
            let out = self.permits[..=at].iter().filter(|(_, ended)| *ended > *first).count();
            assert!(out <= CAPACITY, "{out} at once");
        }
    }

    /// What this machine did not have time for, at most, before who began then had been taken note of.
    fn lateness(&self, began: Instant) -> Duration {
        let near = |(due, late): &&(Instant, Duration)| *due <= began && *due + *late + LATE >= began;
        self.late.iter().filter(near).map(|(_, late)| *late).max().unwrap_or_default()
    }
}

pub(crate) fn options_at(url: &str) -> paceline_redis::Options {
    paceline_redis::Redis::options(url).lease(LEASE).response_timeout(Duration::from_millis(300))
}
