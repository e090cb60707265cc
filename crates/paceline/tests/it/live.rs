//! Sets that change while they are in use: capacity, quota, gate, close, the service's word.

use paceline::{Algorithm, Anchor, Error, LimitSet, Quota, Reset, ServerState};

use crate::support::{assert_all_came_back, millis, others_run, secs, timed};

#[tokio::test(start_paused = true)]
async fn a_demand_above_the_capacity_is_an_error_at_once() {
    let set = LimitSet::builder("api").rate("tokens", Quota::per_minute(100)).concurrency(4).build().unwrap();
    for (asked, key, units, most) in [(("tokens", 101), "tokens", 101, 100), (("concurrency", 5), "concurrency", 5, 4)]
    {
        let (answer, took) = timed(set.acquire([asked])).await;
        let Err(Error::TooLarge { key: named, asked, capacity, .. }) = answer else { panic!("{answer:?}") };
        assert_eq!((&*named, asked, capacity, took), (key, units, most, secs(0)));
    }
    let bucket = LimitSet::builder("bucket").rate("tokens", Quota::per_second(100).burst(10)).build().unwrap();
    assert!(matches!(bucket.acquire([("tokens", 11)]).await, Err(Error::TooLarge { capacity: 10, .. })));
    assert!(matches!(bucket.try_acquire([("tokens", 11)]), Err(Error::TooLarge { .. })));
    assert!(matches!(bucket.acquire_blocking([("tokens", 11)]), Err(Error::TooLarge { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_demand_above_the_capacity_is_an_error_behind_others_and_a_gate_too() {
    let set = LimitSet::builder("api").concurrency(1).build().unwrap();
    let _held = set.try_acquire(()).unwrap();
    let mut waiter = Box::pin(set.acquire(()));
    assert!(futures::poll!(&mut waiter).is_pending());
    set.pause_for(secs(3_600)).unwrap();
    let (answer, took) = timed(set.acquire([("concurrency", 2)])).await;
    assert!(matches!(answer, Err(Error::TooLarge { .. })));
    assert_eq!(took, secs(0));
}

#[tokio::test(start_paused = true)]
async fn shrinking_below_what_is_out_is_a_debt_that_returning_permits_pay() {
    let set = LimitSet::builder("db").concurrency(5).build().unwrap();
    let mut out: Vec<_> = (0..5).map(|_| set.try_acquire(()).unwrap()).collect();
    set.set_capacity("concurrency", 2).unwrap();
    assert_eq!(set.snapshot().limit("concurrency").unwrap().debt, 3);
    let mut waiter = Box::pin(set.acquire(()));
    for left in [4, 3, 2] {
        assert!(futures::poll!(&mut waiter).is_pending(), "{left} are still out");
        out.pop();
    }
    assert!(futures::poll!(&mut waiter).is_pending(), "two are out of two");
    assert_eq!(set.snapshot().limit("concurrency").unwrap().debt, 0);
    out.pop();
    let permit = waiter.await.unwrap();
    assert_eq!(set.snapshot().limit("concurrency").unwrap().used, 2);
    drop((permit, out));
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn a_live_shrink_below_a_waiting_demand_ends_it_with_an_error_at_once() {
    let set = LimitSet::builder("api").rate("tokens", Quota::per_minute(1_000)).resource("slots", 8).build().unwrap();
    let held = set.acquire([("tokens", 1_000), ("slots", 8)]).await.unwrap();
    let waits = [("tokens", 900_u64), ("slots", 6)].map(|asked| {
        let set = set.clone();
        tokio::spawn(async move { set.acquire([asked]).await.map(drop) })
    });
    let modest = tokio::spawn({
        let set = set.clone();
        async move { set.acquire([("tokens", 100), ("slots", 1)]).await.map(drop) }
    });
    others_run().await;
    assert_eq!(set.snapshot().waiting, 3);
    let start = tokio::time::Instant::now();
    set.set_quota("tokens", Quota::per_minute(500)).unwrap();
    set.set_capacity("slots", 4).unwrap();
    let expected = [("tokens", 900, 500), ("slots", 6, 4)];
    for (wait, (key, units, most)) in waits.into_iter().zip(expected) {
        let Err(Error::TooLarge { key: named, asked, capacity, .. }) = wait.await.unwrap() else { panic!("granted") };
        assert_eq!((&*named, asked, capacity), (key, units, most));
    }
    assert_eq!(start.elapsed(), secs(0));
    drop(held);
    modest.await.unwrap().expect("it still fits");
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn raising_a_limit_grants_those_who_wait_at_once() {
    let set = LimitSet::builder("api").calls(Quota::per_hour(1)).concurrency(1).build().unwrap();
    let held = set.acquire(()).await.unwrap();
    let waits: Vec<_> = (0..4)
        .map(|_| {
            let set = set.clone();
            tokio::spawn(async move { std::mem::forget(set.acquire(()).await.unwrap()) })
        })
        .collect();
    others_run().await;
    set.set_quota("calls", Quota::per_hour(5)).unwrap();
    others_run().await;
    assert_eq!(set.snapshot().waiting, 4, "the slot is out");
    set.set_capacity("concurrency", 5).unwrap();
    let (_, took) = timed(futures::future::join_all(waits)).await;
    assert_eq!(took, secs(0));
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_quota_of_another_algorithm_can_be_put_in_force() {
    use Algorithm::{FixedWindow, Gcra, LeakyBucket, SlidingCounter, SlidingWindow, TokenBucket};
    let all = [SlidingWindow, TokenBucket, Gcra, LeakyBucket, SlidingCounter, FixedWindow];
    for from in all {
        for to in all {
            let set = LimitSet::builder("api").calls(Quota::per_minute(10).algorithm(from)).build().unwrap();
            drop(set.acquire([("calls", 10)]).await.unwrap());
            set.set_quota("calls", Quota::per_minute(10).algorithm(to)).unwrap();
            assert!(set.try_acquire([("calls", 10)]).is_err(), "{from:?} to {to:?}: what stands charged stays");
            let (permit, took) = timed(set.acquire([("calls", 10)])).await;
            drop(permit.unwrap());
            assert!(took <= secs(120), "{from:?} to {to:?}: {took:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_completion_anchor_can_be_put_in_force_live() {
    let set = LimitSet::builder("api").calls(Quota::per_second(1)).build().unwrap();
    set.set_quota("calls", Quota::per_second(1).anchor(Anchor::Completion)).unwrap();
    let permit = set.acquire(()).await.unwrap();
    tokio::time::sleep(secs(10)).await;
    set.try_acquire(()).expect_err("its call is still out");
    drop(permit);
    let (permit, took) = timed(set.acquire(())).await;
    drop(permit.unwrap());
    assert_eq!(took, secs(1), "one period after the answer");
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_cannot_be_kept_changes_nothing() {
    let set = LimitSet::builder("api").calls(Quota::per_minute(2)).concurrency(3).build().unwrap();
    let before = set.snapshot();
    for quota in [Quota::per_minute(0), Quota::new(1, secs(0)), Quota::per_minute(1).burst(0)] {
        assert!(matches!(set.set_quota("calls", quota), Err(Error::Limit { .. })));
    }
    assert!(matches!(set.set_quota("concurrency", Quota::per_minute(1)), Err(Error::Limit { .. })));
    assert!(matches!(set.set_capacity("concurrency", 0), Err(Error::Limit { .. })));
    assert!(matches!(set.set_capacity("calls", 1), Err(Error::Limit { .. })));
    assert!(matches!(set.set_capacity("nothing", 1), Err(Error::UnknownKey { .. })));
    assert_eq!(set.snapshot(), before);
}

#[tokio::test(start_paused = true)]
async fn close_ends_all_waiting_and_refuses_what_comes() {
    let set = LimitSet::builder("api").calls(Quota::per_hour(1)).concurrency(1).build().unwrap();
    let held = set.acquire(()).await.unwrap();
    let waits: Vec<_> = (0..50)
        .map(|_| {
            let set = set.clone();
            tokio::spawn(async move { set.acquire(()).await.map(drop) })
        })
        .collect();
    let thread = std::thread::spawn({
        let set = set.clone();
        move || set.acquire_blocking([("calls", 0)]).map(drop)
    });
    others_run().await;
    while set.snapshot().waiting < 51 {
        std::thread::yield_now();
    }
    set.close().unwrap();
    for wait in waits {
        assert!(matches!(wait.await.unwrap(), Err(Error::Closed { .. })));
    }
    assert!(matches!(thread.join().unwrap(), Err(Error::Closed { .. })));
    assert!(matches!(set.try_acquire(()), Err(Error::Closed { .. })));
    assert!(matches!(set.acquire(()).await, Err(Error::Closed { .. })));
    assert!(matches!(set.acquire_blocking(()), Err(Error::Closed { .. })));
    held.settle([("calls", 0)]).unwrap();
    drop(held);
    assert!(set.snapshot().closed);
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_everybody_and_ends_by_itself() {
    let set = LimitSet::builder("api").concurrency(10).build().unwrap();
    set.pause_for(secs(30)).unwrap();
    set.pause_for(secs(5)).unwrap();
    assert_eq!(set.snapshot().paused, Some(secs(30)), "the longer one stays");
    let Err(Error::NotNow { retry_after: Some(after), .. }) = set.try_acquire(()) else { panic!("it is paused") };
    assert_eq!(after, secs(30));
    let waits = (0..5).map(|_| set.acquire(()));
    let (permits, took) = timed(futures::future::join_all(waits)).await;
    assert!(permits.iter().all(Result::is_ok));
    assert_eq!(took, secs(30));
    assert_eq!(set.snapshot().paused, None);
}

#[tokio::test(start_paused = true)]
async fn resume_opens_the_gate_at_once() {
    let set = LimitSet::builder("api").concurrency(10).build().unwrap();
    set.pause_for(std::time::Duration::MAX).unwrap();
    let waiter = tokio::spawn({
        let set = set.clone();
        async move { timed(async { drop(set.acquire(()).await.unwrap()) }).await.1 }
    });
    tokio::time::sleep(secs(1_000)).await;
    assert_eq!(set.snapshot().waiting, 1);
    set.resume().unwrap();
    assert_eq!(waiter.await.unwrap(), secs(1_000));
}

#[tokio::test(start_paused = true)]
async fn a_pause_costs_none_of_the_quota() {
    let set = LimitSet::builder("api").calls(Quota::per_minute(10)).build().unwrap();
    drop(set.acquire([("calls", 10)]).await.unwrap());
    set.pause_for(secs(90)).unwrap();
    let (permit, took) = timed(set.acquire([("calls", 10)])).await;
    drop(permit.unwrap());
    assert_eq!(took, secs(90), "the window emptied behind the gate");
}

#[tokio::test(start_paused = true)]
async fn the_services_word_lowers_what_is_available_until_its_reset() {
    let set = LimitSet::builder("api").calls(Quota::per_minute(100)).build().unwrap();
    let state = ServerState {
        limit: Some(80),
        remaining: Some(3),
        reset: Some(Reset::Window(secs(20))),
        ..ServerState::default()
    };
    set.sync("calls", state).unwrap();
    assert_eq!(set.snapshot().limit("calls").unwrap().available, 3);
    drop(set.acquire([("calls", 3)]).await.unwrap());
    let (permit, took) = timed(set.acquire([("calls", 10)])).await;
    drop(permit.unwrap());
    assert_eq!(took, secs(20));
    assert!(matches!(set.try_acquire([("calls", 81)]), Err(Error::TooLarge { capacity: 80, .. })));
}

#[tokio::test(start_paused = true)]
async fn the_services_word_counts_what_was_charged_after_the_call_it_answers() {
    let set = LimitSet::builder("api").calls(Quota::per_minute(100)).build().unwrap();
    let answered = set.acquire(()).await.unwrap();
    let later: Vec<_> = (0..5).map(|_| set.try_acquire(()).unwrap()).collect();
    let state = ServerState { remaining: Some(50), ..ServerState::default() };
    answered.sync("calls", state).unwrap();
    assert_eq!(set.snapshot().limit("calls").unwrap().available, 45, "five were on their way");
    // Its word never raises what is available, unless it is declared authoritative.
    let state = ServerState { remaining: Some(90), ..ServerState::default() };
    answered.sync("calls", state).unwrap();
    assert_eq!(set.snapshot().limit("calls").unwrap().available, 45);
    answered.sync("calls", ServerState { authoritative: true, ..state }).unwrap();
    assert_eq!(set.snapshot().limit("calls").unwrap().available, 85);
    drop((answered, later));
}

#[tokio::test(start_paused = true)]
async fn a_word_that_makes_a_waiting_demand_impossible_ends_it() {
    let set = LimitSet::builder("api").rate("tokens", Quota::per_minute(100)).build().unwrap();
    drop(set.acquire([("tokens", 100)]).await.unwrap());
    let wait = tokio::spawn({
        let set = set.clone();
        async move { set.acquire([("tokens", 90)]).await.map(drop) }
    });
    others_run().await;
    set.sync("tokens", ServerState { limit: Some(50), ..ServerState::default() }).unwrap();
    assert!(matches!(wait.await.unwrap(), Err(Error::TooLarge { asked: 90, capacity: 50, .. })));
    let resource = LimitSet::builder("db").concurrency(1).build().unwrap();
    assert!(matches!(resource.sync("concurrency", ServerState::default()), Err(Error::Limit { .. })));
}

#[tokio::test(start_paused = true)]
async fn reset_makes_the_rates_full_and_leaves_what_is_out() {
    let set = LimitSet::builder("api").calls(Quota::per_hour(1)).concurrency(3).build().unwrap();
    let held = set.acquire(()).await.unwrap();
    let waiter = tokio::spawn({
        let set = set.clone();
        async move { timed(async { drop(set.acquire(()).await.unwrap()) }).await.1 }
    });
    tokio::time::sleep(millis(10)).await;
    set.reset().unwrap();
    assert_eq!(waiter.await.unwrap(), millis(10));
    assert_eq!(set.snapshot().limit("concurrency").unwrap().used, 1);
    // A permit from before the reset has nothing left to give back.
    held.settle([("calls", 0)]).unwrap();
    set.try_acquire(()).expect_err("the waiter has the one call");
    drop(held);
    assert_all_came_back(&set);
}
