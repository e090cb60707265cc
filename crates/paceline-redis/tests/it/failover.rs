//! Another store takes over: a replica of the one that was, or one that knows nothing.

use std::time::{Duration, Instant};

use paceline::{LimitSet, Quota};
use paceline_redis::Outage;
use paceline_testkit::proxy::Delaying;
use paceline_testkit::redis::Server;

use crate::load::{AMOUNT, Journal, LATE, Load, MEMBERS, options_at};
use crate::support::{soon, until};

/// Two stores, of which clients reach the primary by links of their own.
struct Pair {
    primary: Server,
    replica: Server,
    links: Vec<Delaying>,
}

impl Pair {
    async fn start() -> Self {
        let (primary, replica) = (Server::start(), Server::start());
        replica.ask(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
        until("the copy", || replica.ask(&["INFO"]).contains("master_link_status:up")).await;
        let links = (0..MEMBERS).map(|_| Delaying::before(primary.address())).collect();
        Self { primary, replica, links }
    }

    async fn load(&self, outage: Outage) -> Load {
        let urls: Vec<_> = self.links.iter().map(|link| self.primary.url_at(link.address())).collect();
        let load = Load::start("set", &urls, outage, 3).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        load
    }

    /// The address moves to the replica, which is one no more.
    fn promote(&self) {
        self.replica.ask(&["REPLICAOF", "NO", "ONE"]);
        self.links.iter().for_each(|link| link.lead(self.replica.address()));
    }
}

/// Under load for some seconds more: none was granted twice, and it goes on.
async fn goes_on(load: Load, back: Instant) -> Journal {
    tokio::time::sleep_until((back + Duration::from_secs(5)).into()).await;
    let journal = load.end().await;
    journal.within_limits(journal.first(), Instant::now());
    let last = journal.granted(back + Duration::from_secs(3), back + Duration::from_secs(5));
    assert!(last >= AMOUNT * 3 / 2, "it goes on: {last} in two seconds");
    journal
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over_from_a_dead_primary_grants_nothing_twice_in_real_time() {
    let mut pair = Pair::start().await;
    let load = pair.load(Outage::Closed).await;
    let died = Instant::now();
    pair.primary.kill();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let back = Instant::now();
    pair.promote();
    let journal = goes_on(load, back).await;
    assert_eq!(journal.granted(died + LATE, back), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_moves_while_the_old_primary_lives_grants_nothing_twice_in_real_time() {
    let pair = Pair::start().await;
    let load = pair.load(Outage::Closed).await;
    // As they are told to: the old one stops taking writes, the new one has all of them, and clients find out last.
    pair.primary.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    pair.replica.ask(&["REPLICAOF", "NO", "ONE"]);
    pair.primary.ask(&["REPLICAOF", "127.0.0.1", &pair.replica.port().to_string()]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let back = Instant::now();
    pair.links.iter().for_each(|link| link.lead(pair.replica.address()));
    goes_on(load, back).await;
}

#[tokio::test]
async fn a_replica_that_was_behind_is_told_what_it_missed_in_real_time() {
    let pair = Pair::start().await;
    let mut sets = Vec::new();
    for link in &pair.links {
        let shared = options_at(&pair.primary.url_at(link.address())).connect().await.unwrap();
        let set = LimitSet::builder("set").calls(Quota::per_hour(100)).concurrency(10);
        sets.push(set.backend(shared).build().unwrap());
    }
    let (one, other) = (&sets[0], &sets[1]);
    let (early, kept) = (soon(one.acquire(())).await, soon(other.acquire(())).await);
    tokio::time::sleep(Duration::from_millis(100)).await;
    // What is told from now on dies with the primary.
    pair.replica.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    early.release().await.unwrap();
    let late = (soon(one.acquire(())).await, soon(other.acquire(())).await);
    until("the news", || sets.iter().all(|set| set.snapshot().active == 3)).await;
    pair.promote();
    let last = soon(sets[2].acquire(())).await;
    for set in &sets {
        until("the news", || set.snapshot().active == 4).await;
        assert_eq!(set.snapshot().limit("calls").unwrap().used, 5, "{:?}", set.snapshot());
    }
    assert!([&kept, &late.0, &late.1, &last].iter().all(|permit| !permit.is_lost()));
    drop((kept, late, last));
    until("all to be back", || one.snapshot().active == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_becomes_the_copy_of_an_empty_one_is_told_all_again_in_real_time() {
    let (server, empty) = (Server::start(), Server::start());
    let load = Load::start("set", &vec![server.url(); MEMBERS], Outage::Closed, 3).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    server.ask(&["REPLICAOF", "127.0.0.1", &empty.port().to_string()]);
    until("the copy", || server.ask(&["INFO"]).contains("master_link_status:up")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let back = Instant::now();
    server.ask(&["REPLICAOF", "NO", "ONE"]);
    goes_on(load, back).await;
}
