//! What `status --reset` leaves of what is shared over a Redis.

use std::time::Duration;

use paceline::{LimitSet, Quota};
use paceline_testkit::proxy::Delaying;
use paceline_testkit::redis::Server;

use crate::support::{Ended, end, paceline};

fn reset(url: &str) -> Ended {
    end(&mut paceline(["status", "--reset", "--shared", "one", "--redis", url]))
}

async fn used(url: &str) -> LimitSet {
    let shared = paceline_redis::connect(url).await.unwrap();
    let set = LimitSet::builder("one").calls(Quota::per_hour(10)).concurrency(2).backend(shared).build().unwrap();
    set.acquire(()).await.unwrap().release().await.unwrap();
    set.pause_for(Duration::from_secs(3_600)).unwrap();
    while set.snapshot().paused.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    set
}

/// What is told in one batch and what in the next is chance; that all of it is told is not.
#[tokio::test]
async fn all_of_what_is_in_use_is_cleared_over_a_slow_link_in_real_time() {
    for _ in 0..4 {
        let server = Server::start();
        let link = Delaying::before(server.address());
        link.delay(Duration::from_millis(30), Duration::ZERO);
        let set = used(&server.url()).await;
        let cleared = reset(&server.url_at(link.address())).expect(0).stdout;
        assert!(cleared.contains("has `one` over Redis open") && cleared.contains("its limits stay"), "{cleared}");
        assert_eq!(server.ask(&["ZCARD", "{paceline:one}:members"]), "1", "who has cleared it has left");
        // It has been told, so it comes with the next answer at the latest.
        let late = used(&server.url()).await;
        assert_eq!(late.snapshot().limit("calls").unwrap().used, 1, "only what was used since");
        drop(set);
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_cleared_though_somebody_looked() {
    let server = Server::start();
    let set = used(&server.url()).await;
    drop(set);
    while server.ask(&["EXISTS", "{paceline:one}:members"]) == "1" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.ask(&["LSET", "{paceline:one}:journal", "-1", "xx"]);
    let look = ["status", "--shared", "one", "--redis", &server.url()];
    end(&mut paceline(look)).expect(2).says("`one` is damaged");
    reset(&server.url()).expect(0);
    assert_eq!(server.ask(&["EXISTS", "{paceline:one}:head"]), "0");
    server.ask(&["SET", "{paceline:one}:head", "junk"]);
    end(&mut paceline(look)).expect(2).says("the key `{paceline:one}:head` holds something else");
    reset(&server.url()).expect(0);
    assert_eq!(server.ask(&["EXISTS", "{paceline:one}:head"]), "0");
}
