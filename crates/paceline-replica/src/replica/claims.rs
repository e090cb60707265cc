//! Grants that were taken back from an owner who used them all the same.

use std::sync::Arc;

use paceline::backend::LimitSpec;
use paceline::{Anchor, Quota};
use paceline_core::{Demand, Grant, Priority, Time};

use super::{Effect, Replica, Verdict};
use crate::op::{Asked, Key, Op, Patience};
use crate::{Member, limits};

const RATE: u16 = 0;
const SLOTS: u16 = 1;

struct Scene {
    replica: Replica,
    millis: u64,
}

impl Scene {
    fn new(quota: Quota) -> Self {
        let limits: Vec<(Arc<str>, LimitSpec)> =
            vec![("rate".into(), LimitSpec::Rate(quota)), ("slots".into(), LimitSpec::Resource(1))];
        let limits: &limits::Limits = &limits;
        Self { replica: Replica::of(limits, Time::from_nanos(1)).unwrap(), millis: 1 }
    }

    fn apply(&mut self, op: &Op) -> Effect {
        self.millis += 1;
        self.replica.apply(Time::from_nanos(self.millis * 1_000_000), op)
    }

    fn ask(&mut self, member: Member, permit: u128) -> Effect {
        let demand: Demand = [(RATE, 1), (SLOTS, 1)].into_iter().collect();
        let (key, waited) = (Key { member, permit }, std::time::Duration::ZERO);
        self.apply(&Op::Ask(Asked { key, demand, priority: Priority::Normal, waited, patience: Patience::Endless }))
    }

    fn granted(&mut self, member: Member, permit: u128) -> Grant {
        match self.ask(member, permit) {
            Effect::Granted(grant) => grant,
            other => panic!("{other:?}"),
        }
    }

    /// Permits that are out, and units used of either limit.
    fn out(&mut self) -> (u64, u64, u64) {
        let standing = self.replica.standing(Time::from_nanos(self.millis * 1_000_000));
        (standing.active, standing.view.limits[0].used, standing.view.limits[1].used)
    }
}

#[test]
fn who_claims_what_was_taken_back_holds_it_again() {
    let [a, b, c] = [1, 2, 3].map(|word| Member::of(word).unwrap());
    let mut scene = Scene::new(Quota::per_minute(10));
    let first = scene.granted(a, 1);
    assert!(matches!(scene.ask(b, 2), Effect::Queued));
    scene.apply(&Op::Release(a, first));
    let Some(Verdict::Granted(second)) = scene.replica.unclaimed(2).cloned() else { panic!("it was its turn") };
    scene.apply(&Op::PassBy(b));
    assert_eq!(scene.out(), (0, 1, 0), "as if it had not been granted");
    let third = scene.granted(c, 3);
    // It had seen the grant and made its call, and stood still only before it could say so.
    scene.apply(&Op::Claim(vec![2]));
    assert_eq!(scene.out(), (2, 3, 2), "its call is counted, beyond the capacity");
    scene.apply(&Op::Release(b, second));
    assert_eq!(scene.out(), (1, 3, 1), "what it gives back is its own");
    scene.apply(&Op::Release(c, third));
    assert_eq!(scene.out(), (0, 3, 0));
}

#[test]
fn who_asks_again_has_not_used_it() {
    let [a, b] = [1, 2].map(|word| Member::of(word).unwrap());
    let mut scene = Scene::new(Quota::per_minute(10));
    let first = scene.granted(a, 1);
    assert!(matches!(scene.ask(b, 2), Effect::Queued));
    scene.apply(&Op::Release(a, first));
    scene.apply(&Op::PassBy(b));
    let again = scene.granted(b, 2);
    scene.apply(&Op::Claim(vec![2]));
    assert_eq!(scene.out(), (1, 2, 1), "once");
    scene.apply(&Op::Release(b, again));
    assert_eq!(scene.out(), (0, 2, 0));
}

#[test]
fn what_counts_from_completion_is_held_and_counted_once() {
    let [a, b] = [1, 2].map(|word| Member::of(word).unwrap());
    let mut scene = Scene::new(Quota::per_minute(10).anchor(Anchor::Completion));
    let first = scene.granted(a, 1);
    assert!(matches!(scene.ask(b, 2), Effect::Queued));
    scene.apply(&Op::Release(a, first));
    let Some(Verdict::Granted(second)) = scene.replica.unclaimed(2).cloned() else { panic!("it was its turn") };
    scene.apply(&Op::PassBy(b));
    scene.apply(&Op::Claim(vec![2]));
    assert_eq!(scene.out(), (1, 2, 1));
    scene.apply(&Op::Release(b, second));
    assert_eq!(scene.out(), (0, 2, 0));
}
