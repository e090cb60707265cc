//! Several sets acquired together, in virtual time.

use paceline::{Error, LimitSet, Quota};

use crate::support::{Watchdog, assert_all_came_back, millis, others_run, secs, timed};

fn slots(name: &str, capacity: u64) -> LimitSet {
    LimitSet::builder(name.to_owned()).concurrency(capacity).build().unwrap()
}

fn active(set: &LimitSet) -> u64 {
    set.snapshot().active
}

#[tokio::test(start_paused = true)]
async fn all_are_acquired_or_none() {
    let (a, b) = (slots("a", 2), slots("b", 1));
    let both = LimitSet::all([&a, &b]).unwrap();
    let held = b.try_acquire(()).unwrap();
    let error = both.try_acquire(()).unwrap_err();
    assert!(matches!(&error, Error::NotNow { set, .. } if &**set == "b"), "{error}");
    assert_eq!(active(&a), 0, "nothing is held of the one while the other is full");
    let mut wait = Box::pin(both.acquire(()));
    assert!(futures::poll!(&mut wait).is_pending());
    assert_eq!(active(&a), 0);
    drop(held);
    let permit = wait.await.unwrap();
    assert_eq!((active(&a), active(&b)), (1, 1));
    let [of_a, of_b] = permit.permits() else { panic!("two sets, two permits") };
    assert!(of_a.set().is(&a) && of_b.set().is(&b));
    assert_eq!(of_a.admitted_at(), of_b.admitted_at(), "one instant");
    drop(permit);
    [a, b].iter().for_each(assert_all_came_back);
}

#[tokio::test(start_paused = true)]
async fn a_joint_wait_tells_how_long_it_took() {
    let (a, b) = (slots("a", 1), slots("b", 1));
    let held = b.try_acquire(()).unwrap();
    let both = LimitSet::all([&a, &b]).unwrap();
    let wait = tokio::spawn(async move { both.acquire(()).await.unwrap().permits()[0].waited() });
    tokio::time::sleep(secs(3)).await;
    drop(held);
    assert_eq!(wait.await.unwrap(), secs(3));
    let snapshot = a.snapshot();
    assert_eq!((snapshot.waits, snapshot.waited), (1, secs(3)));
}

#[tokio::test(start_paused = true)]
async fn amounts_are_charged_on_every_set_that_has_the_key() {
    let a = LimitSet::builder("a").rate("tokens", Quota::per_minute(100)).build().unwrap();
    let b = LimitSet::builder("b").rate("tokens", Quota::per_minute(50)).calls(Quota::per_minute(5)).build().unwrap();
    let both = LimitSet::all([&b, &a, &a]).unwrap();
    let permit = both.acquire([("tokens", 40)]).await.unwrap();
    assert_eq!(permit.permits().len(), 2, "a set given twice is one");
    let used = |set: &LimitSet, key: &str| set.snapshot().limit(key).unwrap().used;
    assert_eq!((used(&a, "tokens"), used(&b, "tokens"), used(&b, "calls")), (40, 40, 1));
    permit.settle([("tokens", 10), ("calls", 0)]).unwrap();
    assert_eq!((used(&a, "tokens"), used(&b, "tokens"), used(&b, "calls")), (10, 10, 0));
    assert!(matches!(permit.settle([("tokens", 5), ("tokns", 1)]), Err(Error::UnknownKey { .. })));
    assert_eq!(used(&a, "tokens"), 10, "nothing is corrected then");
    assert!(matches!(both.try_acquire([("images", 1)]), Err(Error::UnknownKey { .. })));
    assert!(matches!(both.acquire([("images", 1)]).await, Err(Error::UnknownKey { .. })));
    assert!(matches!(both.acquire([("tokens", 60)]).await, Err(Error::TooLarge { capacity: 50, .. })));
}

#[tokio::test(start_paused = true)]
async fn a_joint_demand_waits_its_turn_in_each_set() {
    let (a, b) = (slots("a", 1), slots("b", 1));
    let (held_a, held_b) = (a.try_acquire(()).unwrap(), b.try_acquire(()).unwrap());
    let both = LimitSet::all([&a, &b]).unwrap();
    let mut first = Box::pin(a.acquire(()));
    assert!(futures::poll!(&mut first).is_pending());
    let mut joint = Box::pin(both.acquire(()));
    assert!(futures::poll!(&mut joint).is_pending());
    let mut last = Box::pin(b.acquire(()));
    assert!(futures::poll!(&mut last).is_pending());

    drop(held_a);
    let first = first.await.unwrap();
    assert!(futures::poll!(&mut joint).is_pending());
    drop(held_b);
    assert!(futures::poll!(&mut joint).is_pending(), "one is out of a");
    assert!(futures::poll!(&mut last).is_pending(), "the one of b is set aside for the joint demand before it");
    drop(first);
    let joint = joint.await.unwrap();
    assert!(futures::poll!(&mut last).is_pending());
    drop(joint);
    drop(last.await.unwrap());
    [a, b].iter().for_each(assert_all_came_back);
}

#[tokio::test(start_paused = true)]
async fn joint_demands_held_by_one_set_take_no_more_than_one_place_of_its_neighbour() {
    let (blocked, neighbour) = (slots("blocked", 1), slots("neighbour", 3));
    let _held = blocked.try_acquire(()).unwrap();
    let both = LimitSet::all([&blocked, &neighbour]).unwrap();
    let mut waits: Vec<_> = (0..100).map(|_| Box::pin(both.acquire(()))).collect();
    for wait in &mut waits {
        assert!(futures::poll!(wait).is_pending());
    }
    let (one, took) = timed(neighbour.acquire(())).await;
    assert_eq!(took, secs(0));
    let two = neighbour.try_acquire(()).expect("three, one set aside");
    neighbour.try_acquire(()).expect_err("that one");
    drop((one, two, waits));
    assert_eq!(neighbour.snapshot().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_joint_demand_is_not_starved_by_streams_on_its_sets() {
    let (a, b) = (slots("a", 2), slots("b", 2));
    let streams: Vec<_> = [a.clone(), b.clone()]
        .into_iter()
        .flat_map(|set| (0..4_u64).map(move |n| (set.clone(), n)))
        .map(|(set, n)| {
            tokio::spawn(async move {
                loop {
                    let permit = set.acquire(()).await.unwrap();
                    tokio::time::sleep(millis(90 + n * 7)).await;
                    drop(permit);
                }
            })
        })
        .collect();
    others_run().await;
    let both = LimitSet::all([&a, &b]).unwrap();
    for _ in 0..20 {
        let (permit, took) = timed(both.acquire(())).await;
        assert!(took <= millis(600), "{took:?}");
        drop(permit.unwrap());
    }
    streams.iter().for_each(|stream| stream.abort());
}

#[tokio::test(start_paused = true)]
async fn cancelling_a_joint_wait_frees_its_place_everywhere() {
    let (a, b) = (slots("a", 1), slots("b", 1));
    let held = b.try_acquire(()).unwrap();
    let both = LimitSet::all([&a, &b]).unwrap();
    let never_polled = both.acquire(());
    let mut wait = Box::pin(both.acquire(()));
    assert!(futures::poll!(&mut wait).is_pending());
    let mut behind = Box::pin(a.acquire(()));
    assert!(futures::poll!(&mut behind).is_pending());
    drop((wait, never_polled));
    drop(behind.await.unwrap());
    // Granted and not seen: everything goes back.
    let mut wait = Box::pin(both.acquire(()));
    assert!(futures::poll!(&mut wait).is_pending());
    drop(held);
    assert_eq!((active(&a), active(&b)), (1, 1));
    drop(wait);
    [a, b].iter().for_each(assert_all_came_back);
}

#[tokio::test(start_paused = true)]
async fn closing_one_member_ends_the_wait_and_frees_the_others() {
    let (a, b) = (slots("a", 1), slots("b", 1));
    let held = b.try_acquire(()).unwrap();
    let both = LimitSet::all([&a, &b]).unwrap();
    let wait = tokio::spawn({
        let both = both.clone();
        async move { both.acquire(()).await.map(drop) }
    });
    others_run().await;
    assert_eq!((a.snapshot().waiting, b.snapshot().waiting), (1, 1));
    b.close().unwrap();
    assert!(matches!(wait.await.unwrap(), Err(Error::Closed { set }) if &*set == "b"));
    assert_eq!(a.snapshot().waiting, 0);
    assert!(matches!(both.acquire(()).await, Err(Error::Closed { .. })));
    assert!(matches!(both.try_acquire(()), Err(Error::Closed { .. })));
    drop(held);
    [a, b].iter().for_each(assert_all_came_back);
}

#[tokio::test(start_paused = true)]
async fn shrinking_one_member_below_the_demand_ends_the_wait() {
    let (a, b) = (slots("a", 4), slots("b", 4));
    let _held = b.try_acquire(()).unwrap();
    let both = LimitSet::all([&a, &b]).unwrap();
    let wait = tokio::spawn(async move { both.acquire([("concurrency", 4)]).await.map(drop) });
    others_run().await;
    a.set_capacity("concurrency", 3).unwrap();
    assert!(matches!(wait.await.unwrap(), Err(Error::TooLarge { set, .. }) if &*set == "a"));
    assert_eq!(b.snapshot().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn the_gate_of_one_member_holds_the_whole() {
    let (a, b) = (slots("a", 1), slots("b", 1));
    a.pause_for(secs(10)).unwrap();
    let both = LimitSet::all([&a, &b]).unwrap();
    let (permit, took) = timed(both.acquire(())).await;
    assert_eq!(took, secs(10));
    drop(permit.unwrap());
    b.pause_for(secs(10)).unwrap();
    let (permit, took) = timed(both.acquire(())).await;
    assert_eq!(took, secs(10));
    drop(permit.unwrap());
    a.pause_for(secs(1_000)).unwrap();
    let wait = tokio::spawn(async move { timed(async { drop(both.acquire(()).await.unwrap()) }).await.1 });
    tokio::time::sleep(secs(4)).await;
    a.resume().unwrap();
    assert_eq!(wait.await.unwrap(), secs(4));
}

#[tokio::test(start_paused = true)]
async fn two_rates_together_go_at_the_pace_of_the_slower() {
    let fast = LimitSet::builder("fast").calls(Quota::per_second(10).burst(1)).build().unwrap();
    let slow = LimitSet::builder("slow").calls(Quota::new(1, millis(300))).build().unwrap();
    let both = LimitSet::all([&fast, &slow]).unwrap();
    let (_, took) = timed(async {
        for _ in 0..101 {
            drop(both.acquire(()).await.unwrap());
        }
    })
    .await;
    assert_eq!(took, millis(30_000));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_joint_waiters_are_granted_in_order_without_deep_recursion() {
    let _watchdog = Watchdog::new("a thousand joint waiters", secs(60));
    let (a, b) = (slots("a", 1), slots("b", 1));
    let held = a.try_acquire(()).unwrap();
    // Half of them by one joint, half by joints of their own, which are the same sets all the same.
    let both = LimitSet::all([&a, &b]).unwrap();
    let granted = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..1_000)
        .map(|number| {
            let joint = if number % 2 == 0 { both.clone() } else { LimitSet::all([&b, &a]).unwrap() };
            let granted = std::sync::Arc::clone(&granted);
            tokio::spawn(async move {
                let permit = joint.acquire(()).await.unwrap();
                granted.lock().unwrap().push(number);
                drop(permit);
            })
        })
        .collect();
    others_run().await;
    assert_eq!(a.snapshot().waiting, 1_000);
    drop(held);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*granted.lock().unwrap(), (0..1_000).collect::<Vec<_>>());
    [a, b].iter().for_each(assert_all_came_back);
}

#[test]
fn a_wave_of_unpolled_joint_grants_needs_no_deep_stack() {
    let _watchdog = Watchdog::new("a wave of joint grants", secs(60));
    let small_stack = std::thread::Builder::new().stack_size(256 * 1024);
    let wave = || {
        let (a, b) = (slots("a", 2_000), slots("b", 2_000));
        let all_of_a = a.try_acquire([("concurrency", 2_000)]).unwrap();
        let both = LimitSet::all([&a, &b]).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut waits: Vec<_> = (0..1_000).map(|_| Box::pin(both.acquire(()))).collect();
        runtime.block_on(async {
            for wait in &mut waits {
                assert!(futures::poll!(wait).is_pending());
            }
            // One permit that comes back grants a thousand.
            drop(all_of_a);
            assert_eq!((active(&a), active(&b)), (1_000, 1_000));
        });
        drop(waits);
        [a, b].iter().for_each(assert_all_came_back);
    };
    small_stack.spawn(wave).unwrap().join().unwrap();
}
