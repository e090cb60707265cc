//! Waits that several sets take part in: any of them, or all.

use std::sync::Arc;

use paceline_core::{Claim, Decision, Outcome, Party, Priority, Quota, Ticket};

use crate::support::{Bench, demand, secs};

fn full() -> (Bench, paceline_core::Grant) {
    let mut bench = Bench::new(vec![Bench::resource(1)]);
    let grant = bench.take([(0, 1)]);
    (bench, grant)
}

fn enter(bench: &mut Bench, claim: &Arc<Claim>, member: u32) -> Ticket {
    let party = Party::AnyOf { claim: claim.clone(), member };
    bench.enqueue_with(Priority::Normal, demand([(0, 1)]), None, Some(party))
}

#[test]
fn a_wait_in_two_sets_is_granted_once() {
    let ((mut first, one), (mut second, two)) = (full(), full());
    let claim = Arc::new(Claim::new());
    let tickets = [enter(&mut first, &claim, 0), enter(&mut second, &claim, 1)];
    second.release(&two);
    assert_eq!(claim.taken_by(), Some(1));
    first.release(&one);
    assert!(second.granted(tickets[1]).is_some());
    assert_eq!(first.set.collect(tickets[0]), None);
    assert_eq!((first.used(0), first.set.waiting(), second.used(0)), (0, 0, 1));
    assert_eq!(first.woken, [0_u64; 0], "nobody is woken for what another set granted");
}

#[test]
fn a_withdrawn_wait_is_passed_over() {
    let (mut bench, held) = full();
    let claim = Arc::new(Claim::new());
    let withdrawn = enter(&mut bench, &claim, 4);
    let next = bench.enqueue([(0, 1)]);
    assert_eq!(claim.cancel(), None);
    assert_eq!(claim.cancel(), None, "twice is once");
    bench.release(&held);
    assert!(bench.granted(next).is_some());
    assert!(!bench.set.is_waiting(withdrawn));
    assert_eq!((claim.taken_by(), bench.set.waiting()), (None, 0));
}

#[test]
fn a_withdrawal_that_comes_too_late_learns_who_granted() {
    let (mut bench, held) = full();
    let claim = Arc::new(Claim::new());
    let ticket = enter(&mut bench, &claim, 4);
    bench.release(&held);
    assert_eq!(claim.cancel(), Some(4));
    bench.cancel(ticket);
    assert_eq!(bench.used(0), 0, "a grant that was not collected goes back");
}

#[test]
fn a_deadline_in_one_set_ends_the_wait_in_all() {
    let ((mut first, one), (mut second, _two)) = (full(), full());
    let claim = Arc::new(Claim::new());
    let party = |member| Some(Party::AnyOf { claim: claim.clone(), member });
    let ticket = first.enqueue_with(Priority::Normal, demand([(0, 1)]), Some(secs(1)), party(0));
    let other = second.enqueue_with(Priority::Normal, demand([(0, 1)]), Some(secs(1)), party(1));
    second.run_to(secs(1));
    assert_eq!(second.set.collect(other), Some(Outcome::TimedOut));
    first.release(&one);
    assert_eq!((first.set.collect(ticket), first.used(0)), (None, 0));
}

fn joint(bench: &mut Bench, held_by: Option<u64>) -> Ticket {
    bench.enqueue_with(Priority::Normal, demand([(0, 1)]), None, Some(Party::AllOf { group: 3, held_by }))
}

#[test]
fn a_joint_demand_is_named_not_granted() {
    let (mut bench, held) = full();
    let ticket = joint(&mut bench, None);
    assert!(!bench.set.joint_ready(bench.now, ticket));
    bench.release(&held);
    assert_eq!(bench.events.joint.as_slice(), [ticket]);
    assert!(bench.set.is_waiting(ticket) && bench.set.joint_ready(bench.now, ticket));
    assert_eq!(bench.used(0), 0);
    bench.set.grant_joint(bench.now, ticket, &mut bench.events);
    bench.settle_events();
    assert_eq!((bench.used(0), bench.woken.as_slice()), (1, &[2][..]));
    assert!(bench.granted(ticket).is_some());
    assert!(!bench.set.joint_ready(bench.now, ticket));
}

#[test]
fn a_joint_demand_is_not_ready_while_paused_closed_or_not_first() {
    let mut bench = Bench::new(vec![Bench::resource(2)]);
    let held = bench.take([(0, 1)]);
    let (first, second) = (joint(&mut bench, None), joint(&mut bench, None));
    bench.release(&held);
    assert!(bench.set.joint_ready(bench.now, first));
    assert!(!bench.set.joint_ready(bench.now, second), "the first of its line goes first");
    bench.set.pause(bench.now, std::time::Duration::from_secs(1), &mut bench.events);
    assert!(!bench.set.joint_ready(bench.now, first));
    bench.now = secs(1);
    assert!(bench.set.joint_ready(bench.now, first));
    bench.set.close(&mut bench.events);
    assert!(!bench.set.joint_ready(bench.now, first));
}

#[test]
fn a_joint_demand_held_elsewhere_sets_its_own_aside_and_lets_refills_by() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_second(10).burst(10))]);
    let party = Party::AllOf { group: 3, held_by: None };
    let ticket = bench.enqueue_with(Priority::Normal, demand([(0, 4)]), None, Some(party));
    bench.set.hold_joint(ticket, 9);
    assert!(bench.attempt([(0, 6)]).is_ok());
    assert!(matches!(bench.attempt([(0, 1)]), Err(Decision::Wait(wait)) if wait.as_millis() == 100));
    let behind = bench.enqueue([(0, 1)]);
    assert!(bench.set.is_waiting(behind));
    bench.run_to(secs(1));
    assert_eq!(bench.granted(behind).map(|grant| grant.at.as_nanos()), Some(100_000_000));
    assert!(bench.set.joint_ready(bench.now, ticket), "its own is still there");
}
