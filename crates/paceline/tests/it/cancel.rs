//! A wait that is dropped, in each of its states: promise 5.

use paceline::{LimitSet, Quota};

use crate::support::{assert_all_came_back, others_run, secs, timed};

fn one_slot() -> LimitSet {
    LimitSet::builder("api").concurrency(1).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn dropping_a_wait_that_was_never_polled_leaves_nothing() {
    let set = LimitSet::builder("api").calls(Quota::per_minute(1)).concurrency(1).build().unwrap();
    let never_polled = set.acquire(());
    assert_eq!(set.snapshot().granted, 0);
    drop(never_polled);
    assert_eq!((set.snapshot().granted, set.snapshot().limit("calls").unwrap().used), (0, 0));
    drop(set.try_acquire(()).unwrap());
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_waiting_head_lets_the_next_go_on() {
    let set = LimitSet::builder("api").resource("units", 10).build().unwrap();
    let held = set.acquire([("units", 8)]).await.unwrap();
    let mut head = Box::pin(set.acquire([("units", 10)]));
    let mut next = Box::pin(set.acquire([("units", 2)]));
    assert!(futures::poll!(&mut head).is_pending());
    assert!(futures::poll!(&mut next).is_pending());
    drop(head);
    let (permit, took) = timed(next).await;
    assert_eq!(took, secs(0), "two were free all along");
    drop((held, permit.unwrap()));
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn dropping_one_in_the_middle_moves_the_rest_up() {
    let set = LimitSet::builder("api").calls(Quota::per_second(1)).build().unwrap();
    drop(set.acquire(()).await.unwrap());
    let mut waits: Vec<_> = (0..3).map(|_| Box::pin(set.acquire(()))).collect();
    for wait in &mut waits {
        assert!(futures::poll!(wait).is_pending());
    }
    assert_eq!(set.snapshot().waiting, 3);
    drop(waits.remove(1));
    assert_eq!(set.snapshot().waiting, 2);
    let (permits, took) = timed(futures::future::join_all(waits)).await;
    assert_eq!(took, secs(2), "two calls, a second each");
    assert!(permits.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn dropping_one_that_was_granted_but_not_polled_gives_the_grant_back() {
    let set = one_slot();
    let held = set.acquire(()).await.unwrap();
    let mut wait = Box::pin(set.acquire(()));
    assert!(futures::poll!(&mut wait).is_pending());
    drop(held);
    assert_eq!((set.snapshot().waiting, set.snapshot().active), (0, 1), "granted, and nobody has looked");
    drop(wait);
    assert_all_came_back(&set);
    drop(set.try_acquire(()).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_grant_given_back_unseen_gives_its_rate_back_and_wakes_the_next() {
    let set = LimitSet::builder("api").calls(Quota::per_minute(1)).build().unwrap();
    drop(set.acquire(()).await.unwrap());
    let mut first = Box::pin(set.acquire(()));
    assert!(futures::poll!(&mut first).is_pending());
    let second = tokio::spawn({
        let set = set.clone();
        async move { timed(async { drop(set.acquire(()).await.unwrap()) }).await.1 }
    });
    tokio::time::sleep(secs(61)).await;
    assert_eq!(set.snapshot().waiting, 1, "the first is granted at 60 s, unseen");
    drop(first);
    assert_eq!(second.await.unwrap(), secs(61), "it takes over the call that was never made");
    assert_eq!(set.snapshot().granted, 2);
}

#[tokio::test(start_paused = true)]
async fn dropping_after_completion_is_only_the_permits_business() {
    let set = one_slot();
    let mut wait = Box::pin(set.acquire(()));
    let std::task::Poll::Ready(permit) = futures::poll!(&mut wait) else { panic!("one is free") };
    drop(wait);
    assert_eq!(set.snapshot().active, 1, "the permit is out, whatever became of its future");
    drop(permit);
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn aborting_tasks_in_every_state_leaves_a_working_set() {
    let set = LimitSet::builder("api").calls(Quota::per_second(10)).concurrency(3).build().unwrap();
    let mut tasks = Vec::new();
    for number in 0..300_u64 {
        let set = set.clone();
        tasks.push(tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(number * 7)).await;
            let _permit = set.acquire(()).await.unwrap();
            tokio::time::sleep(secs(1)).await;
        }));
    }
    for (number, task) in tasks.iter().enumerate() {
        if number % 2 == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(11)).await;
            task.abort();
        }
    }
    for task in tasks {
        let _ = task.await;
    }
    others_run().await;
    assert_all_came_back(&set);
    let (permit, took) = timed(set.acquire(())).await;
    drop(permit.unwrap());
    assert!(took <= secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_a_select_can_be_made_anew_any_number_of_times() {
    let set = LimitSet::builder("api").calls(Quota::per_minute(1)).build().unwrap();
    drop(set.acquire(()).await.unwrap());
    let mut attempts = 0;
    let permit = loop {
        attempts += 1;
        tokio::select! {
            permit = set.acquire(()) => break permit.unwrap(),
            () = tokio::time::sleep(secs(7)) => {}
        }
    };
    drop(permit);
    assert_eq!(attempts, 9);
    assert_all_came_back(&set);
    assert_eq!(set.snapshot().granted, 2);
}
