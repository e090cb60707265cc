//! Sets in a Redis Cluster: wherever they are, they are found, also after they have moved.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use paceline::{Error, LimitSet, LimitSetBuilder, Quota};
use paceline_redis::{Outage, Redis};
use paceline_testkit::conformance;
use paceline_testkit::redis::{Cluster, Server};

use crate::conformance::Fresh;
use crate::load::{AMOUNT, Load};
use crate::support::{LEASE, options, set, soon, until};

/// What all keys of the set that [`set`] makes begin with.
const SET: &str = "{paceline:set}";

fn described(set: LimitSetBuilder) -> LimitSetBuilder {
    set.calls(Quota::per_hour(10).burst(10)).concurrency(2)
}

fn named(name: &str, shared: &Redis) -> LimitSet {
    described(LimitSet::builder(name)).backend(shared.clone()).build().unwrap()
}

/// A name of a set at each node.
fn names(cluster: &Cluster) -> [String; 3] {
    [0, 1, 2].map(|node| cluster.name_at(node, "paceline", "set"))
}

#[tokio::test]
async fn sets_of_all_nodes_are_shared_and_found_whichever_node_is_named_in_real_time() {
    let cluster = Cluster::start();
    let names = names(&cluster);
    let one = options(&cluster[0]).connect().await.unwrap();
    let other = options(&cluster[1]).connect().await.unwrap();
    for name in &names {
        let (one, other) = (named(name, &one), named(name, &other));
        let (first, second) = (soon(one.acquire(())).await, soon(other.acquire(())).await);
        let late = one.request(()).within(Duration::from_millis(50)).acquire().await;
        assert!(matches!(late, Err(Error::DeadlineExceeded { .. })), "two are out: {late:?}");
        first.release().await.unwrap();
        second.release().await.unwrap();
        until("the news", || one.snapshot().active == 0).await;
        assert_eq!(one.snapshot().limit("calls").unwrap().used, 2);
    }
    let third = options(&cluster[2]).connect().await.unwrap();
    let mut found: Vec<String> = third.sets().await.unwrap().iter().map(ToString::to_string).collect();
    found.sort_by_key(|name| cluster.owner(&format!("{{paceline:{name}}}")));
    assert_eq!(found, names);
    for name in &names {
        assert_eq!(third.limits(name).await.unwrap().unwrap().len(), 2);
    }
    drop((one, other));
    for name in &names {
        let began = Instant::now();
        while third.remove(name).await.is_err() {
            assert!(began.elapsed() < 5 * LEASE);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert!(third.sets().await.unwrap().is_empty());
}

#[tokio::test]
async fn who_waits_hears_at_once_of_what_was_released_in_real_time() {
    let cluster = Cluster::start();
    let name = cluster.name_at(2, "paceline", "set");
    let describe = || LimitSet::builder(&*name).concurrency(1);
    let (one, other) = (options(&cluster[0]).connect().await.unwrap(), options(&cluster[1]).connect().await.unwrap());
    let sets = [describe().backend(one).build().unwrap(), describe().backend(other).build().unwrap()];
    let mut took = Vec::new();
    for round in 0..20 {
        let (holder, waiter) = (&sets[round % 2], &sets[(round + 1) % 2]);
        let permit = soon(holder.acquire(())).await;
        let (released, had) = tokio::join!(
            async {
                until("the wait", || holder.snapshot().waiting == 1).await;
                let began = Instant::now();
                drop(permit);
                began
            },
            async {
                let permit = soon(waiter.acquire(())).await;
                (Instant::now(), permit)
            }
        );
        took.push(had.0 - released);
        had.1.release().await.unwrap();
    }
    took.sort_unstable();
    println!("{took:?}");
    // Whoever hears nothing asks after 125 ms at the soonest.
    assert!(took[took.len() / 2] < Duration::from_millis(60), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_under_load_takes_its_set_along_in_real_time() {
    let cluster = Cluster::start();
    let from = cluster.owner(SET);
    let urls = [0, 1, 2].map(|node| cluster[node].url());
    let load = Load::start("set", &urls, Outage::Closed, 3).await;
    for to in [(from + 1) % 3, (from + 2) % 3, from] {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let wait = || std::thread::sleep(Duration::from_millis(300));
        tokio::task::block_in_place(|| cluster.move_slot(SET, to, wait));
        assert_eq!(cluster.owner(SET), to);
    }
    let moved = Instant::now();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let journal = load.end().await;
    journal.within_limits(journal.first(), Instant::now());
    let last = journal.granted(moved + Duration::from_millis(500), moved + Duration::from_millis(2_500));
    assert!(last >= AMOUNT * 3 / 2, "it goes on: {last} in two seconds");
}

/// Takes a primary away under load until its replica has its place; back it is a replica.
async fn failover(policy: Outage, take: impl FnOnce(&mut Server), give: impl FnOnce(&mut Server)) {
    let mut cluster = Cluster::of(Server::options(), 3, 1);
    let owner = cluster.owner(SET);
    // It is the one that was named, too.
    let urls = [owner, (owner + 1) % 3, owner + 3].map(|node| cluster[node].url());
    let load = Load::start("set", &urls, policy, 3).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    take(&mut cluster[owner]);
    let taken = Instant::now();
    let other = (owner + 1) % 3;
    until("the failover", || cluster.owner_by(other, SET) == owner + 3).await;
    let back = Instant::now();
    println!("the failover took {:?}", back - taken);
    tokio::time::sleep(Duration::from_millis(500)).await;
    give(&mut cluster[owner]);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let journal = load.end().await;
    journal.within_limits(journal.first(), Instant::now());
    let last = journal.granted(back + Duration::from_millis(2_500), back + Duration::from_millis(4_500));
    assert!(last >= AMOUNT * 3 / 2, "it goes on: {last} in two seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_is_replaced_and_nothing_is_granted_twice_in_real_time() {
    failover(Outage::Closed, Server::kill, Server::restart).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_stands_still_is_replaced_and_nothing_is_granted_twice_in_real_time() {
    failover(Outage::Local, |node| node.stop(), |node| node.resume()).await;
}

#[tokio::test]
async fn what_a_failover_loses_is_told_again_in_real_time() {
    let mut cluster = Cluster::of(Server::options(), 3, 1);
    let owner = cluster.owner(SET);
    let other = (owner + 1) % 3;
    // Nobody's lease ends meanwhile.
    let lasting = async |node: usize| options(&cluster[node]).lease(10 * LEASE).connect().await.unwrap();
    let (one, two) = (named("set", &lasting(owner).await), named("set", &lasting(other).await));
    soon(one.acquire(())).await.release().await.unwrap();
    assert_eq!(cluster[owner].ask(&["WAIT", "1", "5000"]), "1");
    // From here on the replica hears nothing.
    cluster[owner + 3].stop();
    cluster[owner].ask(&["CLIENT", "KILL", "TYPE", "replica"]);
    for _ in 0..4 {
        soon(one.acquire(())).await.release().await.unwrap();
    }
    let permit = soon(one.acquire(())).await;
    until("the news", || two.snapshot().granted == 6).await;
    cluster[owner].kill();
    cluster[owner + 3].resume();
    until("the failover", || cluster.owner_by(other, SET) == owner + 3).await;
    let second = soon(two.acquire(())).await;
    let late = two.request(()).within(Duration::from_millis(200)).acquire().await;
    assert!(matches!(late, Err(Error::DeadlineExceeded { .. })), "two are out: {late:?}");
    assert!(!permit.is_lost() && !second.is_lost());
    let third = set(&cluster[owner + 3], described).await;
    until("what there is", || third.snapshot().limit("calls").is_some_and(|calls| calls.used == 7)).await;
    drop((permit, second));
}

#[tokio::test]
async fn sets_of_other_nodes_go_on_while_one_is_dead_or_stands_still_in_real_time() {
    let mut cluster = Cluster::of(Server::options().persistent(), 3, 0);
    let names = names(&cluster);
    // Long enough to be seen should anybody wait for it who need not.
    let (lease, response) = (Duration::from_secs(6), Duration::from_secs(2));
    let shared = Redis::options(&cluster[0].url()).lease(lease).response_timeout(response).connect().await.unwrap();
    let free = |name: &String| LimitSet::builder(&**name).concurrency(1).backend(shared.clone()).build().unwrap();
    let sets: Vec<_> = names.iter().map(free).collect();
    for set in &sets {
        soon(set.acquire(())).await.release().await.unwrap();
    }
    for dead in [true, false] {
        if dead {
            cluster[0].kill();
        } else {
            cluster[0].stop();
        }
        let waiting = tokio::spawn({
            let set = sets[0].clone();
            async move { set.acquire(()).await.map(drop) }
        });
        let (began, mut rounds, mut longest) = (Instant::now(), 0, Duration::ZERO);
        while began.elapsed() < Duration::from_millis(2_500) {
            for set in &sets[1..] {
                let asked = Instant::now();
                soon(set.acquire(())).await.release().await.unwrap();
                longest = longest.max(asked.elapsed());
                rounds += 1;
            }
        }
        println!("{rounds} rounds, the longest of {longest:?}");
        assert!(longest < response / 2, "{longest:?}");
        assert!(!waiting.is_finished());
        // Without the node that was named others are asked.
        if dead {
            let found = Redis::options(&cluster[1].url()).connect().await.unwrap();
            assert!(found.sets().await.is_err(), "what the dead one has is not known");
        }
        assert!(shared.limits(&names[1]).await.unwrap().is_some());
        if dead {
            cluster[0].restart();
        } else {
            cluster[0].resume();
        }
        soon(waiting).await.unwrap();
    }
}

#[tokio::test]
async fn any_node_can_be_named_with_what_it_takes_to_be_let_in_in_real_time() {
    let cluster = Cluster::of(Server::options().password("secret").args(["--masterauth", "secret"]), 1, 1);
    let set = set(&cluster[1], described).await;
    soon(set.acquire(())).await.release().await.unwrap();
    assert_eq!(cluster[0].ask(&["EXISTS", "{paceline:set}:head"]), "1");
    let error = Redis::options(&format!("{}/3", cluster[0].url())).connect().await.unwrap_err();
    // Valkey from 9 could have more databases there, if it were told to.
    let known = ["SELECT is not allowed in cluster mode", "DB index is out of range"];
    assert!(known.iter().any(|known| error.to_string().contains(known)), "{error}");
}

#[tokio::test]
async fn a_cluster_conforms_in_real_time() {
    let cluster = Cluster::start();
    let places = AtomicUsize::new(0);
    let fresh = || async {
        let number = places.fetch_add(1, Ordering::Relaxed);
        Fresh::new(Redis::options(&cluster[number % 3].url()).prefix(format!("place-{number}"))).await
    };
    conformance::all(fresh).await;
}
