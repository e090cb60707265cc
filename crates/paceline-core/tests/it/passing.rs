//! Overtaking: only on what remains after those who wait.

use std::time::Duration;

use paceline_core::{Algorithm, Decision, Party, Priority, Quota, Time};

use crate::support::{Bench, demand, secs};

/// Calls and tokens, with the tokens used up but for `left`.
fn calls_and_tokens(left: u64) -> Bench {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(10)), Bench::rate(Quota::per_minute(1_000))]);
    let _used = bench.take([(0, 1), (1, 1_000 - left)]);
    bench
}

#[test]
fn overtaking_is_allowed_on_what_remains() {
    let mut bench = calls_and_tokens(100);
    let waits = bench.enqueue([(0, 1), (1, 500)]);
    // It shares only the calls: nine are left, one is set aside.
    for _ in 0..8 {
        assert!(bench.attempt([(0, 1)]).is_ok());
    }
    assert!(bench.attempt([(0, 1)]).is_ok(), "the tenth call is back when the tokens are");
    assert!(bench.attempt([(0, 1)]).is_err());
    bench.run_to(secs(60));
    assert_eq!(bench.granted(waits).map(|grant| grant.at), Some(secs(60)), "not delayed");
}

#[test]
fn overtaking_is_refused_where_it_would_delay() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(10)), Bench::rate(Quota::per_minute(1_000))]);
    let _tokens = bench.take([(1, 900)]);
    bench.now = secs(30);
    let _calls = bench.take([(0, 9)]);
    let waits = bench.enqueue([(0, 1), (1, 500)]);
    // Its tokens are back at 60 s, the nine calls only at 90 s: the tenth is its own.
    assert!(matches!(bench.attempt([(0, 1)]), Err(Decision::Wait(_))));
    bench.run_to(secs(60));
    assert!(bench.granted(waits).is_some());
}

#[test]
fn resources_are_set_aside_from_the_units_free_now() {
    let mut bench = Bench::new(vec![Bench::resource(4), Bench::rate(Quota::per_minute(10))]);
    let _rate = bench.take([(0, 1), (1, 10)]);
    let waits = bench.enqueue([(0, 2), (1, 5)]);
    assert!(bench.attempt([(0, 2)]).is_err(), "two of three are set aside");
    let passing = bench.take([(0, 1)]);
    assert!(bench.attempt([(0, 1)]).is_err());
    bench.run_to(secs(60));
    assert!(bench.granted(waits).is_some(), "its slots were kept");
    bench.release(&passing);
}

/// Where the one ahead is held by something that only a return can end, refills make room for others all the same.
#[test]
fn behind_one_that_waits_for_a_return_refills_alone_let_others_by() {
    let quota = Quota::new(10, Duration::from_secs(10)).algorithm(Algorithm::TokenBucket);
    let mut bench = Bench::new(vec![Bench::rate(quota), Bench::resource(1)]);
    let _slot = bench.take([(0, 5), (1, 1)]);
    let ahead = bench.enqueue([(0, 5), (1, 1)]);
    let behind = bench.enqueue([(0, 1)]);
    assert!(bench.set.is_waiting(behind), "all five are set aside");
    assert_eq!(bench.attempt([(0, 1)]), Err(Decision::Wait(Duration::MAX)), "first come, first served");
    assert_eq!(bench.set.next(), Some(secs(1)), "a sixth unit is there after a second");
    bench.run_to(secs(1));
    assert_eq!(bench.granted(behind).map(|grant| grant.at), Some(secs(1)));
    assert!(bench.set.is_waiting(ahead));
}

#[test]
fn a_newcomer_is_told_when_it_may_pass() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(10)), Bench::resource(1)]);
    let _slot = bench.take([(0, 5), (1, 1)]);
    let _ahead = bench.enqueue([(0, 5), (1, 1)]);
    assert_eq!(bench.attempt([(0, 1)]), Err(Decision::Wait(Duration::from_secs(60))));
    bench.run_to(secs(60));
    assert!(bench.attempt([(0, 5)]).is_ok());
    assert!(bench.attempt([(0, 1)]).is_err());
}

#[test]
fn a_demand_larger_than_what_can_ever_remain_waits_for_the_one_ahead() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_second(10).burst(10)), Bench::resource(1)]);
    let slot = bench.take([(1, 1)]);
    let ahead = bench.enqueue([(0, 8), (1, 1)]);
    let behind = bench.enqueue([(0, 5)]);
    // The bucket never holds thirteen: looking again and again would find nothing.
    assert_eq!(bench.set.next(), None);
    bench.now = secs(5);
    bench.release(&slot);
    assert!(bench.granted(ahead).is_some() && bench.set.is_waiting(behind));
    bench.run_to(secs(6));
    assert!(bench.granted(behind).is_some());
}

#[test]
fn a_more_urgent_newcomer_passes_and_those_it_puts_off_let_others_by() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_second(10)), Bench::resource(2)]);
    let _used = bench.take([(0, 6), (1, 1)]);
    let ahead = bench.enqueue([(0, 5), (1, 1)]);
    let behind = bench.enqueue([(1, 1)]);
    assert!(bench.set.is_waiting(behind), "the slot is set aside");
    let _urgent = bench.attempt_as(Priority::High, [(1, 1)]).expect("it is before both");
    assert!(bench.set.is_waiting(ahead) && bench.set.is_waiting(behind));
}

fn joint(group: u64, held_by: Option<u64>) -> Option<Party> {
    Some(Party::AllOf { group, held_by })
}

#[test]
fn of_joint_demands_held_elsewhere_only_the_first_is_set_aside() {
    let mut bench = Bench::new(vec![Bench::resource(1_000)]);
    let wait = |bench: &mut Bench, holder| {
        bench.enqueue_with(Priority::Normal, demand([(0, 1)]), None, joint(7, holder));
    };
    wait(&mut bench, Some(2));
    // Those behind it are held with it, whether anybody tried them or not, and however many they are.
    for _ in 0..600 {
        wait(&mut bench, None);
    }
    bench.enqueue_with(Priority::Normal, demand([(0, 1)]), None, joint(8, Some(3)));
    assert!(bench.attempt([(0, 999)]).is_err(), "one for each set in the way is set aside");
    assert!(bench.attempt([(0, 998)]).is_ok());
    assert!(bench.attempt([(0, 1)]).is_err());
}

#[test]
fn behind_many_nobody_passes() {
    let mut bench = Bench::new(vec![Bench::resource(1_000), Bench::rate(Quota::per_minute(1))]);
    let _rate = bench.take([(1, 1)]);
    for _ in 0..256 {
        bench.enqueue([(0, 1), (1, 1)]);
    }
    assert!(bench.attempt([(0, 1)]).is_ok());
    bench.enqueue([(0, 1), (1, 1)]);
    assert!(bench.attempt([(0, 1)]).is_err(), "more are ahead than are looked at");
    bench.run_to(Time::from_nanos(u64::from(u32::MAX)));
    assert_eq!(bench.set.waiting(), 257);
}
