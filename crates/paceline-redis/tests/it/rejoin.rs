//! Who joins again is one member, as before.

use std::time::{Duration, Instant};

use paceline::{LimitSet, LimitSetBuilder};
use paceline_testkit::redis::Server;

use crate::support::{LEASE, options, soon, until};

const CLIENTS: usize = 3;

fn described(set: LimitSetBuilder) -> LimitSetBuilder {
    set.concurrency(8)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_is_moved_away_under_load_leaves_no_members_behind_in_real_time() {
    let server = Server::start();
    let mut sets: Vec<LimitSet> = Vec::new();
    for _ in 0..CLIENTS {
        let shared = options(&server).lease(20 * LEASE).connect().await.unwrap();
        sets.push(described(LimitSet::builder("set")).backend(shared).build().unwrap());
    }
    for set in &sets {
        soon(set.acquire(())).await.release().await.unwrap();
    }
    let until_then = Instant::now() + Duration::from_secs(3);
    let load: Vec<_> = sets
        .iter()
        .flat_map(|set| std::iter::repeat_n(set.clone(), 8))
        .map(|set| {
            tokio::spawn(async move {
                while Instant::now() < until_then {
                    let permit = soon(set.acquire(())).await;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    drop(permit);
                }
            })
        })
        .collect();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        server.ask(&[
            "EVAL",
            "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('RENAME', KEYS[1], KEYS[2]) end return 0",
            "2",
            "{paceline:set}:journal",
            "{paceline:set}:away",
        ]);
        println!("members {} trips ", server.ask(&["ZCARD", "{paceline:set}:members"]));
    }
    for task in load {
        task.await.unwrap();
    }
    println!("members {}", server.ask(&["ZCARD", "{paceline:set}:members"]));
    until("all to be back", || sets.iter().all(|set| set.snapshot().active == 0)).await;
    assert_eq!(server.ask(&["ZCARD", "{paceline:set}:members"]), CLIENTS.to_string());
    assert_eq!(sets[0].snapshot().members, CLIENTS);
}
