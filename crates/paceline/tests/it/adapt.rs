//! Sets that learn from verdicts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline::{
    Aimd, ChangeError, Controller, CubicRate, Error, LimitKind, LimitSet, Permit, Quota, Registry, Sample, Time,
    Verdict,
};

use crate::support::{assert_all_came_back, millis, others_run, secs, timed};

const REFUSED: Verdict = Verdict::RateLimited { retry_after: None };

fn refused_for(pause: Duration) -> Verdict {
    Verdict::RateLimited { retry_after: Some(pause) }
}

fn capacity(set: &LimitSet) -> u64 {
    set.snapshot().limit("concurrency").unwrap().capacity
}

fn adaptive(name: &str) -> LimitSet {
    LimitSet::builder(name).adaptive(Aimd::builder().initial_concurrent(10).build().unwrap()).build().unwrap()
}

/// As many permits as there are.
fn all_of(set: &LimitSet) -> Vec<Permit<'_>> {
    std::iter::from_fn(|| set.try_acquire(()).ok()).collect()
}

fn report_all(permits: Vec<Permit<'_>>, verdict: Verdict) {
    permits.iter().for_each(|permit| permit.report(verdict));
}

/// A controller that keeps what it is told, at a level of its own.
#[derive(Clone, Debug)]
struct Kept {
    samples: Arc<Mutex<Vec<Sample>>>,
    level: u64,
}

impl Kept {
    fn new(level: u64) -> Self {
        Self { samples: Arc::default(), level }
    }
}

impl Controller for Kept {
    fn update(&mut self, sample: &Sample, _: Time) {
        self.samples.lock().unwrap().push(*sample);
    }

    fn level(&self) -> u64 {
        self.level
    }

    fn cuts(&self) -> u64 {
        0
    }

    fn reset(&mut self) {
        self.samples.lock().unwrap().clear();
    }
}

#[tokio::test(start_paused = true)]
async fn the_controller_makes_and_resizes_the_concurrency_of_its_set() {
    let set = LimitSet::builder("api").adaptive(Aimd::default()).build().unwrap();
    assert_eq!((capacity(&set), set.snapshot().feedback.level), (5, Some(5)));
    for _ in 0..2 {
        tokio::time::sleep(millis(1)).await;
        report_all(all_of(&set), Verdict::Success);
    }
    assert_eq!(capacity(&set), 6, "grown after ten successes with the level in use");
    tokio::time::sleep(millis(1)).await;
    let permits = all_of(&set);
    assert_eq!(permits.len(), 6);
    tokio::time::sleep(millis(1)).await;
    permits[0].report(Verdict::Overloaded);
    assert_eq!((capacity(&set), set.snapshot().limit("concurrency").unwrap().debt), (3, 3), "a debt, and no swap");
    drop(permits);
    let feedback = set.snapshot().feedback;
    assert_eq!((feedback.cuts, feedback.in_flight, feedback.level), (1, 6, Some(3)));
    assert_eq!((feedback.verdicts.success, feedback.verdicts.overloaded, feedback.verdicts.total()), (10, 1, 11));
    set.reset_adaptive().unwrap();
    assert_eq!((capacity(&set), set.snapshot().feedback.verdicts.total()), (5, 0));
    assert_all_came_back(&set);
}

/// Ten refusals of one burst were ten backoffs.
#[tokio::test(start_paused = true)]
async fn refusals_of_one_burst_cut_once_and_late_ones_still_close_the_gate() {
    let set = adaptive("api");
    let mut permits = all_of(&set);
    tokio::time::sleep(millis(100)).await;
    let late = permits.split_off(9);
    report_all(permits, REFUSED);
    assert_eq!((capacity(&set), set.snapshot().feedback.cuts), (5, 1), "nine of them, one cut");
    assert_eq!(set.snapshot().paused, None);
    tokio::time::sleep(millis(100)).await;
    report_all(late, refused_for(secs(7)));
    assert_eq!((capacity(&set), set.snapshot().feedback.cuts), (5, 1), "its attempt began before the cut");
    assert_eq!(set.snapshot().paused, Some(secs(7)));
}

#[tokio::test(start_paused = true)]
async fn the_gate_closes_at_once_for_all_callers_of_the_set_and_for_nobody_else() {
    let (set, other) = (adaptive("project"), adaptive("another project"));
    let mut permits = all_of(&set);
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let set = set.clone();
            tokio::spawn(async move { timed(async { drop(set.acquire(()).await.unwrap()) }).await.1 })
        })
        .collect();
    others_run().await;
    // The refused permit goes back right after; its place is not to be had.
    let refused = permits.pop().unwrap();
    refused.report(refused_for(secs(20)));
    drop((refused, permits));
    let error = set.clone().try_acquire(()).map(drop).unwrap_err();
    assert_eq!(error.retry_after(), Some(secs(20)));
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap(), secs(20));
    }
    assert!(other.try_acquire(()).is_ok());
    assert_eq!(other.snapshot().feedback.verdicts.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_sample_is_one_attempt_without_its_wait_and_to_its_first_byte() {
    let kept = Kept::new(2);
    let set = LimitSet::builder("api").adaptive(kept.clone()).build().unwrap();
    let held = [set.try_acquire(()).unwrap(), set.try_acquire(()).unwrap()];
    let waiter = tokio::spawn({
        let set = set.clone();
        async move {
            let permit = set.acquire(()).await.unwrap();
            tokio::time::sleep(millis(30)).await;
            permit.first_byte();
            tokio::time::sleep(secs(60)).await;
            permit.first_byte();
            permit.report(Verdict::Success);
            permit.report(Verdict::Permanent);
            permit.admitted_at()
        }
    });
    tokio::time::sleep(secs(5)).await;
    drop(held);
    let began = waiter.await.unwrap();
    let samples = kept.samples.lock().unwrap().clone();
    let sample = Sample { verdict: Verdict::Success, began, duration: millis(30), in_flight: 1 };
    assert_eq!(samples, [sample], "and what was dropped without a word says nothing");
}

#[tokio::test(start_paused = true)]
async fn in_flight_counts_the_attempt_itself() {
    let kept = Kept::new(9);
    let set = LimitSet::builder("api").adaptive(kept.clone()).build().unwrap();
    let permits: Vec<_> = (0..4).map(|_| set.try_acquire(()).unwrap().into_owned()).collect();
    for permit in permits {
        permit.report(Verdict::Success);
    }
    let samples = kept.samples.lock().unwrap().clone();
    assert_eq!(samples.iter().map(|sample| sample.in_flight).collect::<Vec<_>>(), [4, 3, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_is_stated_is_what_a_controller_never_exceeds() {
    let set = LimitSet::builder("api").concurrency(3).adaptive(Aimd::default()).build().unwrap();
    assert_eq!((capacity(&set), set.snapshot().feedback.level), (3, Some(5)));
    set.set_capacity("concurrency", 4).unwrap();
    assert_eq!(capacity(&set), 4);
    set.set_capacity("concurrency", 40).unwrap();
    assert_eq!(capacity(&set), 5, "the controller has learnt nothing better");
    let permit = set.try_acquire(()).unwrap();
    permit.report(REFUSED);
    assert_eq!(capacity(&set), 2);
    assert!(matches!(set.set_capacity("concurrency", 0), Err(Error::Limit { .. })));
    assert_eq!(capacity(&set), 2);

    let taken = LimitSet::builder("api").calls_as("concurrency", Quota::per_second(1)).adaptive(Aimd::default());
    assert!(matches!(taken.build(), Err(Error::Limit { source: ChangeError::NotAResource, .. })));
}

#[tokio::test(start_paused = true)]
async fn growth_lets_in_whoever_waits_at_once() {
    let set =
        LimitSet::builder("api").adaptive(Aimd::builder().recovery_threshold(1).build().unwrap()).build().unwrap();
    let permits = all_of(&set);
    let waiters: Vec<_> = (0..2).map(|_| Box::pin(set.acquire(()))).collect();
    let mut waiters = futures::future::join_all(waiters);
    assert!(futures::poll!(&mut waiters).is_pending());
    tokio::time::sleep(millis(1)).await;
    permits.iter().for_each(|permit| permit.report(Verdict::Success));
    assert_eq!(capacity(&set), 6);
    assert_eq!(set.snapshot().waiting, 1, "one more, before any permit came back");
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_learnt_beside_what_is_stated() {
    let stated = Quota::per_minute(6_000);
    let set = LimitSet::builder("api").calls(stated).adaptive_rate(CubicRate::default()).build().unwrap();
    // A hundred a second, until the first refusal.
    for _ in 0..200 {
        set.acquire(()).await.unwrap().report(Verdict::Success);
        tokio::time::sleep(millis(10)).await;
    }
    set.acquire(()).await.unwrap().report(REFUSED);
    let LimitKind::Rate(quota) = set.snapshot().limit("adaptive_rate").unwrap().kind else { panic!("a rate") };
    let rate = quota.amount() as f64 / quota.period().as_secs_f64();
    assert!((65.0..75.0).contains(&rate), "{rate}");
    assert_eq!(set.snapshot().limit("calls").unwrap().kind, LimitKind::Rate(stated));
    assert_eq!(set.snapshot().feedback.cuts, 1);
    drop(set.acquire(()).await.unwrap());
    let (_, took) = timed(async {
        for _ in 0..35 {
            drop(set.acquire(()).await.unwrap());
        }
    })
    .await;
    assert!((millis(460)..millis(560)).contains(&took), "evenly, {rate} a second: {took:?}");
    set.reset_adaptive().unwrap();
    let (_, took) = timed(async { drop((set.acquire(()).await, set.acquire(()).await, set.acquire(()).await)) }).await;
    assert_eq!(took, secs(0), "unlimited again");
}

#[tokio::test(start_paused = true)]
async fn sets_of_one_template_learn_apart_and_handles_of_one_set_together() {
    let template = LimitSet::builder("tenant").adaptive(Aimd::default()).template().unwrap();
    let (a, b) = (template.make("a"), template.make("b"));
    let same = a.clone();
    a.try_acquire(()).unwrap().report(REFUSED);
    assert_eq!((capacity(&a), capacity(&same), capacity(&b)), (2, 2, 5));
}

#[tokio::test(start_paused = true)]
async fn a_registry_keeps_what_has_learnt_and_a_replacement_learns_anew() {
    let registry = Registry::new();
    let of = |level| {
        let aimd = Aimd::builder().initial_concurrent(level).build().unwrap();
        LimitSet::builder("api").concurrency(15).adaptive(aimd).build().unwrap()
    };
    registry.register("api", of(5)).unwrap();
    registry.get("api").unwrap().try_acquire(()).unwrap().report(REFUSED);
    assert_eq!(registry.evict_idle(), 0, "it has learnt something");
    let set = registry.replace("api", of(12)).unwrap();
    assert_eq!((capacity(&set), set.snapshot().feedback.verdicts.total()), (12, 0));
    set.set_capacity("concurrency", 100).unwrap();
    assert_eq!(capacity(&set), 12);
    let plain = LimitSet::builder("api").concurrency(15).build().unwrap();
    assert!(matches!(registry.replace("api", plain), Err(Error::Incompatible { .. })));
    drop(set);
    assert_eq!(registry.evict_idle(), 0, "its capacity is another than described");
}

/// One that panics fails its caller only.
#[tokio::test(start_paused = true)]
async fn a_controller_that_panics_leaves_the_set_as_it_was() {
    #[derive(Clone, Debug)]
    struct Broken;
    impl Controller for Broken {
        fn update(&mut self, _: &Sample, _: Time) {
            panic!("on purpose");
        }
        fn level(&self) -> u64 {
            1
        }
        fn cuts(&self) -> u64 {
            0
        }
        fn reset(&mut self) {}
    }
    let set = LimitSet::builder("api").adaptive(Broken).build().unwrap();
    let task = tokio::spawn({
        let set = set.clone();
        async move { set.acquire(()).await.unwrap().report(refused_for(secs(9))) }
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(set.snapshot().paused, None);
    assert_eq!(timed(set.acquire(())).await.1, secs(0));
    assert_all_came_back(&set);
}
