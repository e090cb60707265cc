//! Who goes before whom: promise 4, in virtual time.

use std::sync::{Arc, Mutex};

use paceline::{Error, LimitSet, Priority, Quota};

use crate::support::{millis, others_run, secs, timed};

fn retry_after(error: Error) -> std::time::Duration {
    error.retry_after().unwrap_or_else(|| panic!("{error}"))
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_tokens_are_not_overtaken_for_ever_by_ten() {
    for quota in [Quota::per_minute(10_000), Quota::per_minute(10_000).burst(10_000)] {
        let set = LimitSet::builder("tokens").rate("tokens", quota).build().unwrap();
        drop(set.acquire([("tokens", 10_000)]).await.unwrap());

        let small = set.clone();
        let stream = tokio::spawn(async move {
            loop {
                drop(small.acquire([("tokens", 10)]).await);
                tokio::time::sleep(millis(1)).await;
            }
        });
        let waiting = set.acquire([("tokens", 10_000)]);
        let (permit, took) = timed(waiting).await;
        assert_eq!(took, secs(60), "as if the small ones were not there: it came first");
        drop(permit.unwrap());
        stream.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_demand_in_mid_stream_waits_only_for_those_before_it() {
    let set = LimitSet::builder("tokens").rate("tokens", Quota::per_second(100)).build().unwrap();
    let mut tasks = Vec::new();
    for _ in 0..100 {
        let set = set.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..50 {
                drop(set.acquire([("tokens", 10)]).await.unwrap());
            }
        }));
    }
    others_run().await;
    // Ten are through and a hundred wait: ten seconds' worth goes first, and then this takes a second's quota whole.
    let (permit, took) = timed(set.acquire([("tokens", 100)])).await;
    drop(permit.unwrap());
    assert_eq!(took, secs(11));
    tasks.iter().for_each(|task| task.abort());
}

#[tokio::test(start_paused = true)]
async fn keys_that_share_nothing_are_kept_apart() {
    let set = LimitSet::builder("api")
        .rate("input", Quota::per_minute(10))
        .rate("output", Quota::per_minute(10))
        .build()
        .unwrap();
    drop(set.acquire([("input", 10)]).await.unwrap());
    let waiting = tokio::spawn({
        let set = set.clone();
        async move { timed(async { drop(set.acquire([("input", 10)]).await.unwrap()) }).await.1 }
    });
    others_run().await;
    assert_eq!(set.snapshot().waiting, 1);
    for _ in 0..10 {
        let (permit, took) = timed(set.acquire([("output", 1)])).await;
        drop(permit.unwrap());
        assert_eq!(took, secs(0), "nobody before it asks for output");
    }
    assert_eq!(waiting.await.unwrap(), secs(60));
}

#[tokio::test(start_paused = true)]
async fn equal_demands_are_granted_first_come_first_served() {
    let set = LimitSet::builder("calls").calls(Quota::per_second(1)).build().unwrap();
    let granted = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..200 {
        let (set, granted) = (set.clone(), Arc::clone(&granted));
        tasks.push(tokio::spawn(async move {
            let permit = set.acquire(()).await.unwrap();
            granted.lock().unwrap().push((number, permit.admitted_at()));
        }));
        others_run().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    let granted = granted.lock().unwrap();
    let order: Vec<_> = granted.iter().map(|(number, _)| *number).collect();
    assert_eq!(order, (0..200).collect::<Vec<_>>());
    assert!(granted.windows(2).all(|pair| pair[1].1.since(pair[0].1) == secs(1)));
}

#[tokio::test(start_paused = true)]
async fn overtaking_is_allowed_on_what_remains_beside_the_waiter() {
    let set = LimitSet::builder("api").rate("tokens", Quota::per_second(10).burst(10)).resource("slots", 3);
    let set = set.build().unwrap();
    drop(set.acquire([("tokens", 10), ("slots", 0)]).await.unwrap());
    // Waits a second for its tokens; one of the three slots is set aside for it.
    let mut waiter = Box::pin(set.acquire([("tokens", 10), ("slots", 1)]));
    assert!(futures::poll!(&mut waiter).is_pending());

    let first = set.try_acquire([("slots", 1)]).expect("three slots, one set aside");
    let second = set.try_acquire([("slots", 1)]).expect("three slots, one set aside");
    let third = set.try_acquire([("slots", 1)]).unwrap_err();
    assert!(matches!(third, Error::NotNow { retry_after: None, .. }), "{third}");

    let (permit, took) = timed(waiter).await;
    assert_eq!(took, secs(1), "nobody delayed it");
    drop((permit.unwrap(), first, second));
}

#[tokio::test(start_paused = true)]
async fn overtaking_is_refused_where_it_would_delay_the_waiter() {
    let set = LimitSet::builder("api").rate("tokens", Quota::per_second(10).burst(10)).resource("slots", 2);
    let set = set.build().unwrap();
    let held = set.acquire([("slots", 2)]).await.unwrap();
    drop(set.acquire([("tokens", 4), ("slots", 0)]).await.unwrap());
    // Held by the slots; six tokens are there and five of them its own.
    let mut waiter = Box::pin(set.acquire([("tokens", 5), ("slots", 1)]));
    assert!(futures::poll!(&mut waiter).is_pending());

    set.try_acquire([("tokens", 2), ("slots", 0)]).expect_err("one remains beside the five");
    drop(set.try_acquire([("tokens", 1), ("slots", 0)]).expect("one remains"));
    set.try_acquire([("tokens", 1), ("slots", 0)]).expect_err("none remains");

    drop(held);
    let (permit, took) = timed(waiter).await;
    assert_eq!(took, secs(0), "its tokens were left alone");
    drop(permit.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_demand_that_only_names_other_keys_passes_a_waiter() {
    let set = LimitSet::builder("api").rate("tokens", Quota::per_minute(10)).rate("images", Quota::per_hour(5));
    let set = set.build().unwrap();
    drop(set.acquire([("tokens", 10)]).await.unwrap());
    let mut waiter = Box::pin(set.acquire([("tokens", 1), ("images", 2)]));
    assert!(futures::poll!(&mut waiter).is_pending());
    drop(set.try_acquire([("images", 3)]).expect("three images remain beside the two set aside"));
    let refused = set.try_acquire([("images", 1)]).unwrap_err();
    assert_eq!(retry_after(refused), secs(3_600), "the fourth would be one of the waiter's");
}

#[tokio::test(start_paused = true)]
async fn try_acquire_does_not_jump_the_queue() {
    let set = LimitSet::builder("api").concurrency(2).build().unwrap();
    let (one, two) = (set.try_acquire(()).unwrap(), set.try_acquire(()).unwrap());
    let mut waiter = Box::pin(set.acquire([("concurrency", 2)]));
    assert!(futures::poll!(&mut waiter).is_pending());
    drop(one);
    set.try_acquire(()).expect_err("the free one is the waiter's");
    drop(two);
    assert!(futures::poll!(&mut waiter).is_ready());
}

async fn order_of(asks: Vec<(u64, &'static str, Priority)>) -> Vec<&'static str> {
    let set = LimitSet::builder("api").concurrency(1).build().unwrap();
    let held = set.acquire(()).await.unwrap();
    let start = tokio::time::Instant::now();
    let granted = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    let last = asks.iter().map(|(at, ..)| *at).max().unwrap();
    for (at, name, priority) in asks {
        let (set, granted) = (set.clone(), Arc::clone(&granted));
        tasks.push(tokio::spawn(async move {
            tokio::time::sleep_until(start + secs(at)).await;
            let _permit = set.request(()).priority(priority).acquire().await.unwrap();
            granted.lock().unwrap().push(name);
        }));
    }
    tokio::time::sleep_until(start + secs(last + 1)).await;
    drop(held);
    for task in tasks {
        task.await.unwrap();
    }
    Arc::try_unwrap(granted).unwrap().into_inner().unwrap()
}

#[tokio::test(start_paused = true)]
async fn urgent_demands_go_first() {
    use Priority::{High, Low, Normal};
    let asks = vec![(0, "low", Low), (1, "normal", Normal), (2, "high", High), (3, "high again", High)];
    assert_eq!(order_of(asks).await, ["high", "high again", "normal", "low"]);
}

#[tokio::test(start_paused = true)]
async fn what_has_waited_long_enough_outranks_what_is_urgent_and_new() {
    use Priority::{High, Low, Normal};
    let asks = vec![(0, "low", Low), (29, "normal in time", Normal), (31, "normal late", Normal), (58, "high", High)];
    // Thirty seconds a step: low at 0 counts as high at 60 or normal at 30.
    assert_eq!(order_of(asks).await, ["high", "normal in time", "low", "normal late"]);
    let asks = vec![(0, "low", Low), (61, "high", High)];
    assert_eq!(order_of(asks).await, ["low", "high"]);
}

#[tokio::test(start_paused = true)]
async fn a_low_demand_is_not_starved_by_a_stream_of_urgent_ones() {
    let set = LimitSet::builder("api").calls(Quota::per_second(1)).build().unwrap();
    let mut tasks = Vec::new();
    for _ in 0..200 {
        let set = set.clone();
        tasks.push(tokio::spawn(async move {
            loop {
                drop(set.request(()).priority(Priority::High).acquire().await.unwrap());
            }
        }));
    }
    others_run().await;
    let (permit, took) = timed(set.request(()).priority(Priority::Low).acquire()).await;
    drop(permit.unwrap());
    // Sixty seconds of head start, then those that came before it in the count: the queue of 200 drains meanwhile.
    assert!(took <= secs(261), "{took:?}");
    tasks.iter().for_each(|task| task.abort());
}

#[tokio::test(start_paused = true)]
async fn a_retry_keeps_the_place_of_its_first_arrival() {
    let set = LimitSet::builder("api").concurrency(1).build().unwrap();
    let granted = Arc::new(Mutex::new(Vec::new()));
    let first = set.acquire(()).await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..3 {
        let (set, granted) = (set.clone(), Arc::clone(&granted));
        tasks.push(tokio::spawn(async move {
            let _permit = set.acquire(()).await.unwrap();
            granted.lock().unwrap().push(number);
            tokio::time::sleep(secs(1)).await;
        }));
    }
    others_run().await;
    // The first of the three is granted now; the retry stands before the other two, though all came at one instant.
    let arrival = first.arrival();
    drop(first);
    let retry = set.request(()).arrived(arrival).acquire().await.unwrap();
    assert_eq!(*granted.lock().unwrap(), [0]);
    drop(retry);
    for task in tasks {
        task.await.unwrap();
    }
}
#[tokio::test(start_paused = true)]
async fn a_retry_of_one_that_waited_keeps_its_place_too() {
    let set = LimitSet::builder("api").concurrency(1).build().unwrap();
    let held = set.acquire(()).await.unwrap();
    let granted = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..3 {
        let (set, granted) = (set.clone(), Arc::clone(&granted));
        tasks.push(tokio::spawn(async move {
            let first = set.acquire(()).await.unwrap();
            let arrival = first.arrival();
            granted.lock().unwrap().push((number, "first"));
            drop(first);
            let _second = set.request(()).arrived(arrival).acquire().await.unwrap();
            granted.lock().unwrap().push((number, "retry"));
        }));
    }
    others_run().await;
    drop(held);
    for task in tasks {
        task.await.unwrap();
    }
    // Whoever is granted at the drop of the first permit is the next in line; then the retry comes before those behind.
    let granted = granted.lock().unwrap().clone();
    let place = |what| granted.iter().position(|entry| *entry == what).unwrap();
    assert!(place((0, "retry")) < place((2, "first")), "{granted:?}");
    assert!(place((1, "retry")) < place((2, "retry")), "{granted:?}");
}

/// With a permit of one limit in hand, a demand that asks for none of it is not behind those who wait for it.
#[tokio::test(start_paused = true)]
async fn asking_for_none_of_a_limit_is_not_waiting_for_it() {
    let set = LimitSet::builder("both").resource("db", 1).rate("api", Quota::per_minute(5)).build().unwrap();
    let db = set.acquire([("db", 1)]).await.unwrap();
    let mut waiter = Box::pin(set.acquire([("db", 1), ("api", 1)]));
    assert!(futures::poll!(&mut waiter).is_pending());
    let (api, took) = timed(set.acquire([("db", 0), ("api", 1)])).await;
    assert_eq!(took, secs(0), "or the holder of db would wait for the waiter, and the waiter for it");
    drop((api.unwrap(), db));
    drop(waiter.await.unwrap());
}
