//! A store that is there and says that it cannot serve: told at the start, and an outage like any other in use.

use std::time::{Duration, Instant};

use paceline::LimitSet;
use paceline_redis::{Error, Outage, Redis};
use paceline_testkit::redis::{Options, Server};

use crate::bad_input::{refusal, says, soon_err};
use crate::load::{AMOUNT, Journal, LATE, Load, MEMBERS, PERIOD};
use crate::support::{LEASE, until};

const AWAY: Duration = Duration::from_millis(2_500);

/// Three sets under load, one for each policy, over a time in which the store cannot serve.
struct Three {
    /// More callers than slots, so that some wait for those.
    closed: Load,
    /// So few that slots are left to share: what is on its way back is nobody's.
    local: Load,
    open: Load,
}

impl Three {
    async fn start(server: &Server) -> Self {
        let urls = vec![server.url(); MEMBERS];
        let closed = Load::start("closed", &urls, Outage::Closed, 3).await;
        let local = Load::start("local", &urls, Outage::Local, 1).await;
        let open = Load::start("open", &urls, Outage::Open, 1).await;
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        Self { closed, local, open }
    }

    /// It has just become able to serve again, which it was not since `before`.
    async fn end(self, before: Instant) {
        let Self { closed, local, open } = self;
        let back = Instant::now();
        tokio::time::sleep(Duration::from_millis(4_500)).await;
        let meanwhile = (before + LATE, back);
        let goes_on = |name, journal: &Journal| {
            let last = journal.granted(back + Duration::from_millis(2_500), back + Duration::from_millis(4_500));
            assert!(last >= AMOUNT * 3 / 2, "{name} goes on: {last} in two seconds");
        };

        let journal = closed.end().await;
        goes_on("closed", &journal);
        assert_eq!(journal.granted(meanwhile.0, meanwhile.1), 0);
        journal.within_limits(journal.first(), Instant::now());

        println!("closed is right");
        let journal = local.end().await;
        goes_on("local", &journal);
        let alone = (before + PERIOD, back);
        let (count, most) = (journal.granted(alone.0, alone.1), AMOUNT as f64 * (alone.1 - alone.0).as_secs_f64());
        assert!(count as f64 >= 0.5 * most, "{count} of {most} were granted meanwhile");
        journal.within_limits(journal.first(), Instant::now());

        println!("local is right");
        let journal = open.end().await;
        goes_on("open", &journal);
        let count = journal.granted(alone.0, alone.1);
        assert!(count > 2 * AMOUNT, "{count} were granted without a limit");
        journal.within_limits(journal.first(), before - PERIOD);
        println!("open is right before");
        journal.within_limits(back + Duration::from_millis(1_300), Instant::now());
    }
}

/// An error of a set that nobody has used yet.
async fn unheard(server: &Server) -> String {
    let shared = Redis::options(&server.url()).response_timeout(LEASE / 3).connect().await.expect("it answers");
    soon_err(&LimitSet::builder("new").concurrency(1).backend(shared).build().unwrap()).await
}

/// One that takes some seconds to load what it keeps, after [`fill`].
fn slow_to_load() -> Options {
    Server::options().persistent().args(["--key-load-delay", "900", "--rdbcompression", "no"])
}

/// With so much that it looks up while it is loading, which it does each 2 MiB.
async fn fill(server: &Server) {
    const FILL: &str = "for i = 1, 2500 do redis.call('SET', 'filler:' .. i, string.rep('x', 8000)) end return 'OK'";
    server.ask(&["EVAL", FILL, "0"]);
    server.ask(&["BGREWRITEAOF"]);
    until("the rewrite", || server.stat("aof_rewrite_in_progress") + server.stat("aof_rewrite_scheduled") == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_loading_is_away_in_real_time() {
    let mut server = slow_to_load().start();
    fill(&server).await;
    let three = Three::start(&server).await;
    let began = Instant::now();
    server.begin_restart();
    let error = Redis::options(&server.url()).connect().await.expect_err("it is loading");
    assert!(error.is_retryable(), "{error}");
    says(&error.to_string(), &["cannot serve now", "loading", "try again later"]);
    while server.stat("loading") == 1 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    println!("it took {:?} to load", began.elapsed());
    assert!(began.elapsed() > Duration::from_secs(2), "{:?}", began.elapsed());
    three.end(began).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_made_a_replica_is_away_until_it_is_none_in_real_time() {
    let server = Server::start();
    let three = Three::start(&server).await;
    // Of nobody, so that it keeps what it has.
    server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    let began = Instant::now();
    says(&refusal(&server.url()).await, &["is a replica", "name its primary"]);
    tokio::time::sleep(AWAY).await;
    server.ask(&["REPLICAOF", "NO", "ONE"]);
    three.end(began).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_busy_with_a_script_is_away_in_real_time() {
    const BUSY: &str = "local function now() local t = redis.call('TIME') return t[1] + t[2] / 1000000 end
        local ends = now() + tonumber(ARGV[1]) while now() < ends do end return 1";
    let server = Server::options().args(["--lua-time-limit", "20"]).start();
    let three = Three::start(&server).await;
    let told = Instant::now();
    server.tell(&["EVAL", BUSY, "0", &AWAY.as_secs_f64().to_string()]);
    says(&refusal(&server.url()).await, &["cannot serve now", "BUSY", "try again later"]);
    let began = Instant::now();
    tokio::time::sleep_until((told + AWAY).into()).await;
    three.end(began).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_write_to_its_disk_is_away_in_real_time() {
    let dir = tempfile::tempdir().unwrap();
    // What lies where a dump is to be.
    let in_the_way = dir.path().join("dump.rdb");
    let server = Server::options().args(["--dir", dir.path().to_str().unwrap()]).start();
    let three = Three::start(&server).await;
    std::fs::create_dir_all(in_the_way.join("something")).unwrap();
    server.ask(&["CONFIG", "SET", "save", "3600 1000000"]);
    server.ask(&["BGSAVE"]);
    until("its failure", || server.ask(&["INFO"]).contains("rdb_last_bgsave_status:err")).await;
    let began = Instant::now();
    says(&unheard(&server).await, &["cannot serve now", "MISCONF", "persist"]);
    tokio::time::sleep_until((began + AWAY).into()).await;
    server.ask(&["CONFIG", "SET", "save", ""]);
    three.end(began).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_without_the_replicas_that_it_is_to_have_is_away_in_real_time() {
    let server = Server::start();
    let three = Three::start(&server).await;
    server.ask(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let began = Instant::now();
    says(&unheard(&server).await, &["cannot serve now", "Not enough good replicas"]);
    tokio::time::sleep_until((began + AWAY).into()).await;
    server.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    three.end(began).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_has_no_memory_left_is_away_in_real_time() {
    let server = Server::start();
    let three = Three::start(&server).await;
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let began = Instant::now();
    says(&unheard(&server).await, &["no memory left", "maxmemory"]);
    tokio::time::sleep_until((began + AWAY).into()).await;
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    three.end(began).await;
}

#[tokio::test]
async fn one_that_takes_no_more_clients_is_told_in_real_time() {
    let server = Server::start();
    server.ask(&["CONFIG", "SET", "maxclients", "1"]);
    let first = loop {
        // Until whoever set that is gone.
        if let Ok(first) = Redis::options(&server.url()).connect().await {
            break first;
        }
    };
    // Its word is lost where it closes the connection before it has read what we say.
    let error = Redis::options(&server.url()).connect().await.expect_err("there is one too many");
    assert!(matches!(error, Error::Busy { .. } | Error::Unreachable { .. }), "{error}");
    drop(first);
}
