//! What each limit's policy promises while the store is away, by a plain list of who was granted what and when.

use std::time::{Duration, Instant};

use paceline_redis::Outage;
use paceline_testkit::proxy::Delaying;
use paceline_testkit::redis::{Options, Server};

use crate::load::{AMOUNT, Journal, LATE, Load, MEMBERS, PERIOD};

/// Kills the store under load for a while and starts it again; what was granted, and when it was killed and was back.
async fn outage(server: Options, policy: Outage, away: Duration) -> (Journal, Instant, Instant) {
    let mut server = server.start();
    // So few that slots are left to share: what is on its way back is nobody's.
    let callers = if policy == Outage::Local { 2 } else { 3 };
    let load = Load::start("set", &vec![server.url(); MEMBERS], policy, callers).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let killed = Instant::now();
    server.kill();
    tokio::time::sleep(away).await;
    let restarted = Instant::now();
    server.restart();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let journal = load.end().await;
    let last = journal.granted(restarted + Duration::from_secs(3), restarted + Duration::from_secs(5));
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
        assert_eq!(journal.granted(killed + LATE, restarted), 0);
        journal.within_limits(journal.first(), Instant::now());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_of_local_limits_are_within_them_together_in_real_time() {
    for server in [Server::options(), Server::options().persistent()] {
        let (journal, killed, restarted) = outage(server, Outage::Local, length()).await;
        let meanwhile = journal.granted(killed + PERIOD, restarted);
        let most = AMOUNT as f64 * (restarted - killed - PERIOD).as_secs_f64();
        // What was on its way back as the store went away is in nobody's share, and that is more on a busy machine.
        assert!(meanwhile as f64 >= 0.2 * most, "{meanwhile} of {most} were granted meanwhile");
        journal.within_limits(journal.first(), Instant::now());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_limits_are_not_asked_and_counted_afterwards_in_real_time() {
    for server in [Server::options(), Server::options().persistent()] {
        let (journal, killed, restarted) = outage(server, Outage::Open, length()).await;
        let meanwhile = journal.granted(killed + PERIOD, restarted);
        assert!(meanwhile > 2 * AMOUNT, "{meanwhile} were granted without a limit");
        journal.within_limits(journal.first(), killed - PERIOD);
        // All clients know that it is back: what they used counts, so there is nothing more for a period.
        let back = restarted + Duration::from_millis(1_300);
        journal.within_limits(back, Instant::now());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_forgets_all_under_load_grants_nothing_twice_in_real_time() {
    let server = Server::start();
    let load = Load::start("set", &vec![server.url(); MEMBERS], Outage::Closed, 3).await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        server.flush();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let journal = load.end().await;
    assert!(journal.len() > 2 * AMOUNT, "{}", journal.len());
    journal.within_limits(journal.first(), Instant::now());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_takes_single_keys_away_under_load_grants_nothing_twice_in_real_time() {
    let server = Server::start();
    let load = Load::start("set", &vec![server.url(); MEMBERS], Outage::Closed, 3).await;
    for _ in 0..4 {
        for part in ["head", "journal", "members"] {
            tokio::time::sleep(Duration::from_millis(170)).await;
            server.ask(&["DEL", &format!("{{paceline:set}}:{part}")]);
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let journal = load.end().await;
    assert!(journal.len() > 2 * AMOUNT, "{}", journal.len());
    journal.within_limits(journal.first(), Instant::now());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stands_still_is_away_in_real_time() {
    let server = Server::start();
    let load = Load::start("set", &vec![server.url(); MEMBERS], Outage::Local, 3).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    server.stop();
    let stopped = Instant::now();
    tokio::time::sleep(Duration::from_secs(5)).await;
    server.resume();
    let resumed = Instant::now();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let journal = load.end().await;
    let meanwhile = journal.granted(stopped + Duration::from_secs(3), resumed);
    assert!(meanwhile > AMOUNT / 2, "{meanwhile} were granted while it stood still");
    journal.within_limits(journal.first(), Instant::now());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_link_that_breaks_and_stalls_grants_nothing_twice_in_real_time() {
    let server = Server::start();
    let links: Vec<_> = (0..MEMBERS).map(|_| Delaying::before(server.address())).collect();
    links.iter().for_each(|link| link.delay(Duration::from_millis(5), Duration::from_millis(4)));
    let urls: Vec<_> = links.iter().map(|link| server.url_at(link.address())).collect();
    let load = Load::start("set", &urls, Outage::Closed, 3).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    links[0].cut();
    tokio::time::sleep(Duration::from_millis(300)).await;
    links[1].stall();
    tokio::time::sleep(Duration::from_millis(700)).await;
    links[1].heal();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let journal = load.end().await;
    assert!(journal.len() > 2 * AMOUNT, "{}", journal.len());
    journal.within_limits(journal.first(), Instant::now());
}
