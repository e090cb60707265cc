//! What a set learns from how attempts end is everybody's.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use paceline::{
    Aimd, AimdBuilder, Attempt, Batch, CubicRate, Error, Gradient, LimitKind, LimitSet, LimitSetBuilder, Pacing,
    Permit, Quota, Retry, Snapshot, Verdict,
};
use tokio::time::sleep;

use super::{Place, is_not_now, made, settle_down, soon};

const REFUSED: Verdict = Verdict::RateLimited { retry_after: None };

fn rules() -> AimdBuilder {
    Aimd::builder().initial_concurrent(8).max_concurrent(20)
}

/// Eight at once at first.
fn described() -> LimitSetBuilder {
    LimitSet::builder("adaptive").adaptive(rules().build().expect("in range"))
}

async fn both(place: &impl Place) -> (LimitSet, LimitSet) {
    let set = made(place, described());
    let other = place.other(&set, described()).expect("the same description");
    settle_down(place).await;
    (set, other)
}

/// So many permits of each.
async fn held<'a>(set: &'a LimitSet, other: &'a LimitSet, each: usize) -> Vec<Permit<'a>> {
    let mut held = Vec::new();
    for _ in 0..each {
        held.push(soon(set.acquire(())).await);
        held.push(soon(other.acquire(())).await);
    }
    held
}

fn at_once(snapshot: &Snapshot) -> u64 {
    snapshot.limit("concurrency").expect("it is there").capacity
}

/// Both say the same: so many at once, and so many cuts.
fn stands_at(set: &LimitSet, other: &LimitSet, level: u64, cuts: u64) {
    for (whose, snapshot) in [("its own", set.snapshot()), ("the other's", other.snapshot())] {
        let found = (at_once(&snapshot), snapshot.feedback.level, snapshot.feedback.cuts);
        assert_eq!(found, (level, Some(level), cuts), "{whose} handle");
    }
}

/// Refusals of calls that were in flight together are one cut, whoever made the calls.
pub(super) async fn one_burst_cuts_once(place: &impl Place) {
    let (set, other) = both(place).await;
    stands_at(&set, &other, 8, 0);
    let burst = held(&set, &other, 4).await;
    assert!(is_not_now(place, &other, &[]).await, "eight are out");
    burst.iter().for_each(|permit| permit.report(REFUSED));
    settle_down(place).await;
    stands_at(&set, &other, 4, 1);
    assert_eq!(other.snapshot().feedback.verdicts.rate_limited, 8);
    assert_eq!(set.snapshot().limit("concurrency").expect("it is there").debt, 4);
    drop(burst);
    settle_down(place).await;
    let second = held(&set, &other, 2).await;
    assert!(is_not_now(place, &set, &[]).await && is_not_now(place, &other, &[]).await, "four are out");
    second[1].report(REFUSED);
    drop(second);
    settle_down(place).await;
    stands_at(&set, &other, 2, 2);
}

/// Successes count where what is allowed was in use, by all together.
pub(super) async fn it_grows_only_where_it_is_used(place: &impl Place) {
    let (set, other) = both(place).await;
    for _ in 0..30 {
        soon(set.acquire(())).await.report(Verdict::Success);
    }
    settle_down(place).await;
    stands_at(&set, &other, 8, 0);
    for _ in 0..2 {
        // Neither has three quarters of eight alone.
        let all = held(&set, &other, 3).await;
        all.iter().for_each(|permit| permit.report(Verdict::Success));
        settle_down(place).await;
    }
    settle_down(place).await;
    stands_at(&set, &other, 9, 0);
}

/// A verdict is heard once, and one that says nothing of load changes nothing.
pub(super) async fn verdicts_are_counted_once(place: &impl Place) {
    let (set, other) = both(place).await;
    let permit = soon(set.acquire(())).await;
    permit.report(Verdict::Transient);
    permit.report(REFUSED);
    drop(permit);
    let permit = soon(other.acquire(())).await;
    permit.report(Verdict::Cancelled);
    drop(permit);
    settle_down(place).await;
    let verdicts = set.snapshot().feedback.verdicts;
    assert_eq!((verdicts.transient, verdicts.cancelled, verdicts.total()), (1, 1, 2));
    stands_at(&set, &other, 8, 0);
}

/// A refusal that names a wait cuts and closes the gate, for everybody.
pub(super) async fn a_refusal_cuts_and_pauses(place: &impl Place) {
    let (set, other) = both(place).await;
    let permit = soon(set.acquire(())).await;
    permit.report(Verdict::RateLimited { retry_after: Some(Duration::from_secs(2)) });
    drop(permit);
    settle_down(place).await;
    assert!(is_not_now(place, &other, &[]).await);
    assert!(other.snapshot().paused.is_some_and(|paused| paused > Duration::from_secs(1)));
    stands_at(&set, &other, 4, 1);
    sleep(Duration::from_millis(2_100)).await;
    drop(soon(other.acquire(())).await);
}

/// What was stated is never exceeded, also once another capacity is.
pub(super) async fn what_is_stated_is_the_most(place: &impl Place) {
    let described = || described().concurrency(6);
    let set = made(place, described());
    let other = place.other(&set, described()).expect("the same description");
    settle_down(place).await;
    let stands = |at_most: u64| {
        let snapshot = other.snapshot();
        assert_eq!((at_once(&snapshot), snapshot.feedback.most), (at_most.min(8), Some(at_most)));
    };
    stands(6);
    set.set_capacity("concurrency", 3).expect("a resource");
    settle_down(place).await;
    stands(3);
    set.set_capacity("concurrency", 15).expect("a resource");
    settle_down(place).await;
    stands(15);
}

/// Whoever has a handle can have all forgotten.
pub(super) async fn what_is_learnt_can_be_forgotten(place: &impl Place) {
    let (set, other) = both(place).await;
    soon(set.acquire(())).await.report(REFUSED);
    settle_down(place).await;
    stands_at(&set, &other, 4, 1);
    other.reset_adaptive().expect("it is reachable");
    settle_down(place).await;
    stands_at(&set, &other, 8, 0);
    assert_eq!(set.snapshot().feedback.verdicts.total(), 0);
}

/// Few are in flight until anybody was answered, and the guard that one needs is everybody's.
pub(super) async fn one_guard_holds_for_all(place: &impl Place) {
    let quota = Quota::per_second(50);
    let described = || LimitSet::builder("paced").calls(quota).pacing("calls", Pacing::new(quota).expect("a quota"));
    let set = made(place, described());
    let other = place.other(&set, described()).expect("the same description");
    settle_down(place).await;
    let guard = |set: &LimitSet| match set.snapshot().limit("calls").expect("it is there").kind {
        LimitKind::Rate(quota) => quota.guard_pad(),
        LimitKind::Resource => panic!("a rate"),
    };
    assert_eq!((at_once(&other.snapshot()), guard(&other)), (4, Duration::from_millis(10)));
    assert_eq!(other.snapshot().limit("calls").expect("it is there").capacity, 4, "a small burst");
    let permit = soon(set.acquire(())).await;
    sleep(Duration::from_millis(25)).await;
    permit.sent();
    permit.report(Verdict::Success);
    drop(permit);
    settle_down(place).await;
    assert_eq!(at_once(&other.snapshot()), u64::MAX, "one answer tells all");
    let late = Duration::from_millis(35)..=Duration::from_millis(50);
    assert!(late.contains(&guard(&other)), "{:?} after one left 25 ms late", guard(&other));
    let prompt = soon(other.acquire(())).await;
    prompt.sent();
    prompt.report(Verdict::Success);
    drop(prompt);
    settle_down(place).await;
    assert!(late.contains(&guard(&set)) && late.contains(&guard(&other)), "who is prompt does not speak for all");
    set.set_quota("calls", Quota::per_second(30)).expect("a rate");
    settle_down(place).await;
    let calls = other.snapshot().limits.remove(0).view;
    assert!(matches!(calls.kind, LimitKind::Rate(quota) if quota.amount() == 30), "{calls:?}");
    assert!(late.contains(&guard(&other)), "what was learnt stays: {:?}", guard(&other));
}

/// Two batches that know nothing of each other find the level of the service that both call.
pub(super) async fn batches_learn_together(place: &impl Place) {
    const ROOM: usize = 6;
    let (set, other) = both(place).await;
    let (running, refused) = (AtomicUsize::new(0), AtomicU64::new(0));
    let call = async |attempt: Attempt| {
        let room = running.fetch_add(1, Ordering::SeqCst) < ROOM;
        if room {
            sleep(Duration::from_millis(10)).await;
        } else {
            refused.fetch_add(1, Ordering::SeqCst);
            attempt.report(REFUSED);
        }
        running.fetch_sub(1, Ordering::SeqCst);
        if room { Ok(()) } else { Err("too many at once") }
    };
    let batch = |set: &LimitSet| Batch::over(set).retry(Retry::attempts(30)).run(0..60, |_, attempt| call(attempt));
    let (one, two) = tokio::join!(batch(&set), batch(&other));
    for answers in [one, two] {
        answers.expect("it runs").into_values().expect("each is tried until it is answered");
    }
    let refused = refused.into_inner();
    for _ in 0..50 {
        settle_down(place).await;
        if [&set, &other].iter().all(|set| set.snapshot().feedback.verdicts.total() == 120 + refused) {
            break;
        }
    }
    let feedback = set.snapshot().feedback;
    assert!(refused > 0 && feedback.cuts > 0 && feedback.cuts <= refused, "{feedback:?}, {refused} refused");
    assert_eq!((feedback.verdicts.success, feedback.verdicts.rate_limited), (120, refused));
    assert_eq!(other.snapshot().feedback, feedback);
}

/// Members that would learn otherwise are told so, and what cannot be shared is not taken.
pub(super) async fn others_have_to_learn_alike(place: &impl Place) {
    if place.remote().is_none() {
        return;
    }
    let by = |name: &'static str, backoff| {
        LimitSet::builder(name).adaptive(rules().backoff_factor(backoff).build().expect("in range"))
    };
    let never = LimitSet::builder("never").concurrency(8);
    for (name, described, differs) in [("harder", by("harder", 0.7), "0.5"), ("never", never, "8")] {
        let set = made(place, by(name, 0.5));
        drop(soon(set.acquire(())).await);
        // Some can only tell once they have asked.
        let error = match place.other(&set, described) {
            Ok(other) => other.acquire(()).await.map(drop).expect_err("another controller"),
            Err(error) => error,
        };
        assert!(matches!(&error, Error::Backend { retryable: false, .. }), "{error}");
        assert!(error.to_string().contains("concurrency") && error.to_string().contains(differs), "{error}");
    }
    let unshared = [
        LimitSet::builder("guarded").adaptive(rules().latency_guard().build().expect("in range")),
        LimitSet::builder("gradient").adaptive(Gradient::builder().build().expect("in range")),
        LimitSet::builder("cubic").adaptive_rate(CubicRate::default()),
        LimitSet::builder("found").find_limits(),
    ];
    for described in unshared {
        let error = place.make(described).expect_err("it cannot be shared");
        assert!(matches!(error, Error::LocalOnly { .. }), "{error}");
    }
}
