//! Looking ahead of what has been applied.

use paceline::Quota;
use paceline::backend::LimitSpec;
use paceline_core::image::Image as _;
use paceline_core::{Demand, Priority, Time};

use super::{Effect, Replica};
use crate::Member;
use crate::op::{Asked, Key, Op, Patience};

fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

fn ask(units: u64, permit: u128) -> Op {
    let (key, waited) = (Key { member: Member::of(1).unwrap(), permit }, std::time::Duration::ZERO);
    let demand: Demand = [(0, units)].into_iter().collect();
    Op::Ask(Asked { key, demand, priority: Priority::Normal, waited, patience: Patience::None })
}

fn words(replica: &Replica) -> Vec<u64> {
    let mut words = Vec::new();
    replica.write(&mut words);
    words
}

#[test]
fn who_looks_ahead_decides_as_who_does_not() {
    let new = || Replica::of(&[("rate".into(), LimitSpec::Rate(Quota::per_second(10)))], at(1)).unwrap();
    let [mut one, mut other] = [new(), new()];
    for replica in [&mut one, &mut other] {
        assert!(matches!(replica.apply(at(2), &ask(10, 1)), Effect::Granted(_)));
    }
    // By then all of it has left the window; what comes next was stamped before that.
    assert_eq!(one.standing(at(1_500)).view.limits[0].used, 0);
    let _ = one.outlook(at(1_500), &[(0, 1)].into_iter().collect());
    for replica in [&mut one, &mut other] {
        assert!(matches!(replica.apply(at(900), &ask(1, 2)), Effect::Wait(_)));
    }
    assert_eq!(words(&one), words(&other));
}
