//! What is known here while the store is away, with a store that is a plain list of entries.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use paceline::backend::{Answer, Ask, BackendError, Change, LimitSpec, PermitId, Report};
use paceline::{Priority, Quota, Verdict};
use paceline_core::image::Image as _;
use paceline_core::{Grant, Time};
use paceline_replica::{Member, Op, Replica};

use super::alone::{Counts, Rule};
use super::apply::written;
use super::batch::Todo;
use super::own::Permit;
use super::state::State;
use crate::entry;
use crate::options::{Options, Outage};
use crate::scripts::Told;

const SECOND: u64 = 1_000_000;

/// A member that has joined, and all that the store has of the set.
struct Scene {
    state: State,
    entries: u64,
    /// When the store's clock showed a second.
    began: Instant,
}

impl Scene {
    fn new(limit: LimitSpec, outage: Outage) -> Self {
        let rules = vec![Rule { outage, counts: Counts::of(&limit) }];
        let state = State::new("set".into(), rules, &Options::new("redis://nowhere"));
        let began = Instant::now();
        let mut scene = Self { state, entries: 0, began };
        let limits: [(Arc<str>, _); 1] = [("limit".into(), limit)];
        let image = written(&Replica::of(&limits, entry::instant(SECOND).unwrap()).unwrap());
        let told = Told { image, ..scene.told(began, Vec::new()) };
        scene.state.enter(vec![0; entry::NAME], &told, began, began).unwrap();
        scene
    }

    fn stamp(&self, at: Instant) -> u64 {
        SECOND + (at - self.began).as_micros() as u64
    }

    fn told(&self, at: Instant, entries: Vec<Vec<u8>>) -> Told {
        Told {
            now: self.stamp(at),
            tail: self.entries,
            image_at: 0,
            base: 0,
            members: 2,
            image: Vec::new(),
            mark: None,
            entries,
        }
    }

    /// Somebody's batch arrives, and the next answer tells of it.
    fn writes(&mut self, at: Instant, member: Member, batch: u64, operations: &[u8]) {
        self.entries += 1;
        let mut entry = entry::bytes(&[self.stamp(at), member.word().into(), batch]);
        entry.extend(operations);
        let told = self.told(at, vec![entry]);
        self.state.answered(&told, at, at).unwrap();
    }

    fn other_does(&mut self, at: Instant, op: &Op) {
        let mut words = Vec::new();
        op.write(&mut words);
        self.writes(at, Member::of(7).unwrap(), 0, &entry::bytes(&words));
    }

    /// All that is to be told arrives.
    fn tells(&mut self) {
        let now = Instant::now();
        self.tells_late(now, now);
    }

    /// What is sent at one instant comes to the store at another.
    fn tells_late(&mut self, sent: Instant, arrives: Instant) {
        self.state.fill(sent);
        let sent = self.state.sent.as_ref().expect("something was to be told");
        let (batch, bytes) = (sent.batch, sent.bytes.clone());
        self.writes(arrives, self.state.me, batch, &bytes);
    }

    fn begin(&mut self, permit: u128) -> Poll<Result<Answer, BackendError>> {
        self.state.begin(&ask(permit), Instant::now());
        self.look(permit)
    }

    fn look(&mut self, permit: u128) -> Poll<Result<Answer, BackendError>> {
        self.state.look(PermitId(permit), &Context::from_waker(Waker::noop()))
    }

    fn grant(&self, permit: u128) -> Grant {
        self.state.permits.get(&permit).and_then(Permit::grant).expect("it is held").clone()
    }
}

fn ask(permit: u128) -> Ask {
    let demand = [(0, 1)].into_iter().collect();
    Ask { permit: PermitId(permit), demand, priority: Priority::Normal, waited: Duration::ZERO, within: None }
}

fn granted() -> Poll<Result<Answer, BackendError>> {
    Poll::Ready(Ok(Answer::Granted))
}

fn ends(verdict: Verdict) -> Report {
    Report { verdict, duration: Duration::from_millis(5), explained: false }
}

#[test]
fn a_long_outage_leaves_no_more_to_tell_than_a_short_one() {
    for (outage, answer) in [(Outage::Open, granted()), (Outage::Closed, Poll::Pending)] {
        let mut scene = Scene::new(LimitSpec::Rate(Quota::per_second(10)), outage);
        scene.state.go_away(Instant::now());
        for permit in 0..10_000 {
            assert_eq!(scene.begin(permit), answer);
            scene.state.report(PermitId(permit), ends(Verdict::Success));
            scene.state.forget(PermitId(permit));
        }
        assert!(scene.state.permits.is_empty());
        assert!(scene.state.todo.len() < 10, "{} to tell", scene.state.todo.len());
    }
}

#[test]
fn a_refusal_closes_the_gate_of_a_share() {
    let mut scene = Scene::new(LimitSpec::Rate(Quota::per_second(1_000)), Outage::Local);
    scene.state.go_away(Instant::now());
    assert_eq!(scene.begin(1), granted());
    scene.state.report(PermitId(1), ends(Verdict::RateLimited { retry_after: Some(Duration::from_secs(60)) }));
    assert_eq!(scene.begin(2), Poll::Pending);
}

#[test]
fn what_the_store_has_granted_is_asked_of_no_share() {
    let mut scene = Scene::new(LimitSpec::Resource(2), Outage::Local);
    assert_eq!((scene.begin(1), scene.begin(2), scene.begin(3)), (Poll::Pending, Poll::Pending, Poll::Pending));
    scene.tells();
    assert_eq!((scene.look(1), scene.look(2), scene.look(3)), (granted(), granted(), Poll::Pending));
    scene.state.go_away(Instant::now());
    assert_eq!(scene.look(3), Poll::Pending, "both are out");
    // An answer comes through, and then no more.
    let (first, me) = (scene.grant(1), scene.state.me);
    scene.other_does(Instant::now(), &Op::Release(me, first));
    assert_eq!(scene.look(3), granted());
    scene.state.forget(PermitId(2));
    assert!(!scene.state.is_lost(PermitId(3), Instant::now()));
    scene.state.forget(PermitId(3));
    let back = scene.state.todo.iter().filter(|todo| matches!(todo, Todo::Back(..))).count();
    assert_eq!(back, 2, "it goes back to the store");
}

#[test]
fn who_was_told_of_an_error_waits_for_no_share() {
    let mut scene = Scene::new(LimitSpec::Resource(1), Outage::Local);
    assert_eq!((scene.begin(1), scene.begin(2)), (Poll::Pending, Poll::Pending));
    scene.tells();
    scene.state.go_away(Instant::now());
    let error = BackendError { message: "another password".to_owned(), retryable: false };
    scene.state.fail(2, &error, Instant::now());
    scene.state.forget(PermitId(1));
    assert_eq!(scene.look(2), Poll::Ready(Err(error)));
    assert_eq!(scene.begin(3), granted(), "nobody else has it");
}

#[test]
fn after_an_outage_who_waited_for_a_share_takes_of_it_once() {
    let mut scene = Scene::new(LimitSpec::Rate(Quota::per_second(10)), Outage::Local);
    let began = Instant::now();
    scene.state.go_away(began);
    let answers: Vec<_> = (0..10).map(|permit| scene.begin(permit)).collect();
    assert_eq!(answers, [vec![granted(); 5], vec![Poll::Pending; 5]].concat(), "half of it is this client's");
    scene.state.away.as_mut().unwrap().over = true;
    scene.tells();
    let asked = |scene: &Scene| scene.state.todo.iter().filter(|todo| matches!(todo, Todo::Ask(_))).count();
    assert_eq!(asked(&scene), 0);
    scene.state.pump_grace(began + Duration::from_millis(1_200));
    assert_eq!(asked(&scene), 5);
}

#[test]
fn a_slow_batch_is_not_overtaken_by_the_next() {
    let mut scene = Scene::new(LimitSpec::Resource(1), Outage::Closed);
    let began = scene.began;
    let at = |millis| began + Duration::from_millis(millis);
    scene.state.begin(&ask(1), at(0));
    scene.tells_late(at(0), at(0));
    scene.state.begin(&ask(2), at(10));
    scene.tells_late(at(10), at(60));
    // It came while that was on its way, so it has waited, too.
    scene.state.begin(&ask(3), at(11));
    scene.tells_late(at(60), at(61));
    // A call that is tried again has its old place.
    scene.state.begin(&Ask { waited: Duration::from_millis(60), ..ask(4) }, at(62));
    scene.tells_late(at(62), at(63));
    for (before, next) in [(1, 4), (4, 2), (2, 3)] {
        let grant = scene.grant(before);
        scene.other_does(at(70), &Op::Release(scene.state.me, grant));
        assert_eq!(scene.look(next), granted(), "{next} after {before}");
    }
}

#[test]
fn what_makes_no_sense_is_damage() {
    let mut scene = Scene::new(LimitSpec::Resource(1), Outage::Closed);
    let now = Instant::now();
    let none = written(&Replica::of(&[], Time::ZERO).unwrap());
    let fewer_limits = Told { image: none, image_at: 5, tail: 5, ..scene.told(now, Vec::new()) };
    assert!(scene.state.answered(&fewer_limits, now, now).is_err());
    let gap = Told { tail: 3, ..scene.told(now, Vec::new()) };
    assert!(scene.state.answered(&gap, now, now).is_err(), "asked again at once, it would say the same");
}

#[test]
fn what_only_an_image_tells_of_is_given_up_by_the_same_member() {
    let mut scene = Scene::new(LimitSpec::Resource(2), Outage::Closed);
    assert_eq!(scene.begin(1), Poll::Pending);
    scene.tells();
    assert_eq!((scene.look(1), scene.begin(2)), (granted(), Poll::Pending));
    let (now, me) = (Instant::now(), scene.state.me);
    scene.state.fill(now);
    let image = written(&scene.state.seen.as_ref().unwrap().replica);
    let told = Told { image, image_at: 9, tail: 9, base: 9, mark: Some([1; 24]), ..scene.told(now, Vec::new()) };
    scene.state.answered(&told, now, now).unwrap();
    scene.state.arrived();
    assert!(!scene.state.joined && scene.state.sent.is_none() && scene.state.me == me);
    assert!(matches!(scene.state.todo[..], [Todo::Hold, Todo::Ask(2)]), "{:?}", scene.state.todo);
    assert!(!scene.state.is_lost(PermitId(1), now));
}

#[test]
fn who_waits_for_a_set_that_nobody_keeps_is_told_so() {
    let mut scene = Scene::new(LimitSpec::Resource(2), Outage::Closed);
    assert_eq!((scene.begin(1), scene.begin(2)), (Poll::Pending, Poll::Pending));
    scene.tells();
    assert_eq!((scene.look(1), scene.look(2), scene.begin(3)), (granted(), granted(), Poll::Pending));
    let now = Instant::now();
    let mut before = scene.state.release(PermitId(1), now).unwrap();
    scene.state.stop(now);
    let mut after = scene.state.release(PermitId(2), now).unwrap();
    let mut flush = scene.state.flush(now).unwrap();
    for told in [&mut before, &mut after, &mut flush] {
        assert!(told.try_recv().expect("it is told").unwrap_err().message.contains("panicked"));
    }
    for permit in [3, 4] {
        assert!(matches!(scene.begin(permit), Poll::Ready(Err(error)) if !error.retryable));
    }
    assert!(scene.state.standing(now).is_err() && scene.state.change(Change::Reset, now).is_err());
    assert!(scene.state.try_now(&ask(5), now).is_err());
}

#[test]
fn pauses_that_are_told_late_are_shorter() {
    let mut scene = Scene::new(LimitSpec::Resource(1), Outage::Closed);
    let began = scene.began;
    let at = |second| began + Duration::from_secs(second);
    let wait = Verdict::RateLimited { retry_after: Some(Duration::from_secs(6)) };
    scene.state.change(Change::Pause(Duration::from_secs(3)), at(0)).unwrap();
    scene.tells_late(at(1), at(1));
    assert_eq!(scene.state.standing(at(1)).unwrap().view.paused, Some(Duration::from_secs(2)));
    scene.state.report(PermitId(1), ends(wait));
    scene.tells_late(at(4), at(4));
    let left = scene.state.standing(at(4)).unwrap().view.paused.unwrap();
    assert!(left <= Duration::from_secs(3), "{left:?}");
    scene.state.change(Change::Pause(Duration::from_secs(1)), at(4)).unwrap();
    scene.tells_late(at(9), at(9));
    assert_eq!(scene.state.standing(at(9)).unwrap().view.paused, None);
}
