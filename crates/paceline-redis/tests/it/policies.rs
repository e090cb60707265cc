//! What each limit's policy promises while the store is away, by a plain list of who was granted what and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use paceline::{LimitSet, LimitSetBuilder, Quota};
use paceline_redis::Outage;
use paceline_testkit::proxy::Delaying;
use paceline_testkit::redis::{Options, Server};
use parking_lot::Mutex;

use crate::support::until;

pub(crate) const AMOUNT: usize = 60;
pub(crate) const PERIOD: Duration = Duration::from_secs(1);
const CAPACITY: usize = 6;
const MEMBERS: usize = 3;
/// How much later than it was granted somebody may take note of it here.
const LATE: Duration = Duration::from_millis(80);

fn described(set: LimitSetBuilder) -> LimitSetBuilder {
    set.rate("units", Quota::new(AMOUNT as u64, PERIOD)).concurrency(CAPACITY as u64)
}

/// Of each permit, when it began and ended.
type Journal = Arc<Mutex<Vec<(Instant, Instant)>>>;

/// Callers who never pause, each client with a connection of its own.
pub(crate) struct Load {
    sets: Vec<LimitSet>,
    journal: Journal,
    ended: Arc<AtomicBool>,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    pub(crate) async fn start(urls: &[String], outage: Outage) -> Self {
        let mut sets = Vec::new();
        for url in urls {
            let shared = options_at(url).outage(outage).connect().await.unwrap();
            sets.push(described(LimitSet::builder("set")).backend(shared).build().unwrap());
        }
        let (journal, ended) = (Journal::default(), Arc::<AtomicBool>::default());
        let caller = |set: &LimitSet| {
            let (set, journal, ended) = (set.clone(), Arc::clone(&journal), Arc::clone(&ended));
            tokio::spawn(async move {
                while !ended.load(Ordering::Relaxed) {
                    let permit = match set.request([("units", 1)]).within(Duration::from_millis(700)).acquire().await {
                        Ok(permit) => permit,
                        Err(paceline::Error::DeadlineExceeded { .. }) => continue,
                        Err(error) => panic!("{error}"),
                    };
                    let began = Instant::now();
                    tokio::time::sleep(Duration::from_millis(15)).await;
                    journal.lock().push((began, Instant::now()));
                    drop(permit);
                }
            })
        };
        let callers = sets.iter().flat_map(|set| (0..3).map(move |_| set)).map(caller).collect();
        Self { sets, journal, ended, callers }
    }

    pub(crate) async fn end(self) -> Vec<(Instant, Instant)> {
        self.ended.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.unwrap();
        }
        let set = &self.sets[0];
        until("all to be back", || {
            let snapshot = set.snapshot();
            snapshot.active == 0 && snapshot.limit("concurrency").unwrap().used == 0
        })
        .await;
        let mut journal = std::mem::take(&mut *self.journal.lock());
        journal.sort_unstable();
        let used = set.snapshot().limit("units").unwrap().used as usize;
        let counted = granted(&journal, Instant::now() - PERIOD - 2 * LATE, Instant::now());
        assert!(used <= counted, "none is counted twice: {used} of {counted}");
        journal
    }
}

fn options_at(url: &str) -> paceline_redis::Options {
    let lease = crate::support::LEASE;
    paceline_redis::Redis::options(url).lease(lease).response_timeout(Duration::from_millis(300))
}

pub(crate) fn granted(journal: &[(Instant, Instant)], from: Instant, to: Instant) -> usize {
    journal.iter().filter(|(began, _)| (from..to).contains(began)).count()
}

/// No window that begins in this time holds more than the quota, and no instant more than the capacity.
fn within_limits(journal: &[(Instant, Instant)], from: Instant, to: Instant) {
    within_limits_noted(LATE, journal, from, to);
}

/// The same where a grant is noted so much later than it was made.
pub(crate) fn within_limits_noted(late: Duration, journal: &[(Instant, Instant)], from: Instant, to: Instant) {
    for (at, (first, _)) in journal.iter().enumerate() {
        if *first < from || *first >= to {
            continue;
        }
        let units = journal[at..].iter().take_while(|(began, _)| *began < *first + PERIOD - late).count();
        assert!(units <= AMOUNT, "{units} in a window, {:?} after {from:?}", *first - from);
        let out = journal[..=at].iter().filter(|(_, ended)| *ended > *first).count();
        assert!(out <= CAPACITY, "{out} at once");
    }
}

/// Kills the store under load for a while and starts it again; what was granted, and when it was killed and was back.
async fn outage(server: Options, policy: Outage, away: Duration) -> (Vec<(Instant, Instant)>, Instant, Instant) {
    let mut server = server.start();
    let load = Load::start(&vec![server.url(); MEMBERS], policy).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let killed = Instant::now();
    server.kill();
    tokio::time::sleep(away).await;
    let restarted = Instant::now();
    server.restart();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let journal = load.end().await;
    let last = granted(&journal, restarted + Duration::from_secs(3), restarted + Duration::from_secs(5));
    assert!(last >= AMOUNT * 3 / 2, "it goes on: {last} in two seconds");
    (journal, killed, restarted)
}

fn length() -> Duration {
    let soak = std::env::var("PACELINE_SOAK").is_ok_and(|value| value != "0");
    if soak { Duration::from_secs(10) } else { Duration::from_millis(2_500) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_limits_grant_nothing_without_the_store_in_real_time() {
    for server in [Server::options(), Server::options().persistent()] {
        let (journal, killed, restarted) = outage(server, Outage::Closed, length()).await;
        assert_eq!(granted(&journal, killed + LATE, restarted), 0);
        within_limits(&journal, journal[0].0, Instant::now());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_of_local_limits_are_within_them_together_in_real_time() {
    for server in [Server::options(), Server::options().persistent()] {
        let (journal, killed, restarted) = outage(server, Outage::Local, length()).await;
        let meanwhile = granted(&journal, killed + PERIOD, restarted);
        let most = AMOUNT as f64 * (restarted - killed - PERIOD).as_secs_f64();
        assert!(meanwhile as f64 >= 0.5 * most, "{meanwhile} of {most} were granted meanwhile");
        within_limits(&journal, journal[0].0, Instant::now());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_limits_are_not_asked_and_counted_afterwards_in_real_time() {
    for server in [Server::options(), Server::options().persistent()] {
        let (journal, killed, restarted) = outage(server, Outage::Open, length()).await;
        let meanwhile = granted(&journal, killed + PERIOD, restarted);
        assert!(meanwhile > 2 * AMOUNT, "{meanwhile} were granted without a limit");
        within_limits(&journal, journal[0].0, killed - PERIOD);
        // All clients know that it is back: what they used counts, so there is nothing more for a period.
        let back = restarted + Duration::from_millis(1_300);
        within_limits(&journal, back, Instant::now());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_forgets_all_under_load_grants_nothing_twice_in_real_time() {
    let server = Server::start();
    let load = Load::start(&vec![server.url(); MEMBERS], Outage::Closed).await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        server.flush();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let journal = load.end().await;
    assert!(journal.len() > 2 * AMOUNT, "{}", journal.len());
    within_limits(&journal, journal[0].0, Instant::now());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_takes_single_keys_away_under_load_grants_nothing_twice_in_real_time() {
    let server = Server::start();
    let load = Load::start(&vec![server.url(); MEMBERS], Outage::Closed).await;
    for _ in 0..4 {
        for part in ["head", "journal", "members"] {
            tokio::time::sleep(Duration::from_millis(170)).await;
            server.ask(&["DEL", &format!("{{paceline:set}}:{part}")]);
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let journal = load.end().await;
    assert!(journal.len() > 2 * AMOUNT, "{}", journal.len());
    within_limits(&journal, journal[0].0, Instant::now());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stands_still_is_away_in_real_time() {
    let server = Server::start();
    let load = Load::start(&vec![server.url(); MEMBERS], Outage::Local).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    server.stop();
    let stopped = Instant::now();
    tokio::time::sleep(Duration::from_secs(5)).await;
    server.resume();
    let resumed = Instant::now();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let journal = load.end().await;
    let meanwhile = granted(&journal, stopped + Duration::from_secs(3), resumed);
    assert!(meanwhile > AMOUNT / 2, "{meanwhile} were granted while it stood still");
    within_limits(&journal, journal[0].0, Instant::now());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_link_that_breaks_and_stalls_grants_nothing_twice_in_real_time() {
    let server = Server::start();
    let links: Vec<_> = (0..MEMBERS).map(|_| Delaying::before(server.address())).collect();
    links.iter().for_each(|link| link.delay(Duration::from_millis(5), Duration::from_millis(4)));
    let urls: Vec<_> = links.iter().map(|link| server.url_at(link.address())).collect();
    let load = Load::start(&urls, Outage::Closed).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    links[0].cut();
    tokio::time::sleep(Duration::from_millis(300)).await;
    links[1].stall();
    tokio::time::sleep(Duration::from_millis(700)).await;
    links[1].heal();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let journal = load.end().await;
    assert!(journal.len() > 2 * AMOUNT, "{}", journal.len());
    within_limits(&journal, journal[0].0, Instant::now());
}
