//! Waiting: order, priority, ageing, deadlines, gate, cancelling, closing.

use std::time::Duration;

use paceline_core::{Arrival, Decision, Order, Outcome, Priority, Quota, Refusal, Time, Waiter};

use crate::support::{Bench, demand, secs};

fn per_second(amount: u64) -> Bench {
    Bench::new(vec![Bench::rate(Quota::per_second(amount))])
}

fn slots(capacity: u64) -> Bench {
    Bench::new(vec![Bench::resource(capacity)])
}

#[test]
fn ten_thousand_tokens_are_not_overtaken_for_ever_by_tens() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(20_000))]);
    while bench.attempt([(0, 10)]).is_ok() {}
    let large = bench.enqueue([(0, 10_000)]);
    // Tens keep coming, more than there is room for.
    let mut tens = Vec::new();
    for second in 1..=120 {
        tens.extend((0..40).map(|_| bench.enqueue([(0, 10)])));
        bench.run_to(secs(second));
        if let Some(grant) = bench.granted(large) {
            assert!(grant.at <= secs(60), "{:?} is too late", grant.at);
            assert!(tens.iter().all(|ticket| bench.set.is_waiting(*ticket) || bench.now >= secs(60)));
            return;
        }
    }
    panic!("starved for two minutes");
}

#[test]
fn a_demand_on_other_keys_is_not_blocked() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(10)), Bench::rate(Quota::per_minute(10))]);
    let _first = bench.take([(0, 10)]);
    let blocked = bench.enqueue([(0, 5)]);
    assert!(bench.attempt([(1, 10)]).is_ok(), "it shares nothing with the one that waits");
    let other = bench.enqueue([(1, 1)]);
    bench.run_to(secs(59));
    assert!(bench.set.is_waiting(blocked) && bench.set.is_waiting(other));
    bench.run_to(secs(60));
    assert!(bench.granted(blocked).is_some() && bench.granted(other).is_some());
}

#[test]
fn the_same_keys_are_first_come_first_served() {
    let mut bench = slots(4);
    let held: Vec<_> = (0..4).map(|_| bench.take([(0, 1)])).collect();
    let large = bench.enqueue([(0, 3)]);
    let small = bench.enqueue([(0, 1)]);
    for grant in &held[..2] {
        bench.release(grant);
        assert!(bench.set.is_waiting(large) && bench.set.is_waiting(small), "the small one would keep the large out");
    }
    assert!(matches!(bench.attempt([(0, 1)]), Err(Decision::Wait(_))), "and so would a newcomer");
    bench.release(&held[2]);
    assert!(bench.granted(large).is_some() && bench.set.is_waiting(small));
    bench.release(&held[3]);
    assert!(bench.granted(small).is_some());
}

#[test]
fn urgent_demands_go_first() {
    let mut bench = slots(1);
    let held = bench.take([(0, 1)]);
    let low = bench.enqueue_as(Priority::Low, [(0, 1)]);
    let normal = bench.enqueue([(0, 1)]);
    let high = bench.enqueue_as(Priority::High, [(0, 1)]);
    let mut last = held;
    for ticket in [high, normal, low] {
        bench.release(&last);
        last = bench.granted(ticket).expect("it is its turn");
    }
}

#[test]
fn what_has_waited_long_enough_outranks_what_is_urgent_and_new() {
    let mut bench = slots(1);
    let held = bench.take([(0, 1)]);
    let low = bench.enqueue_as(Priority::Low, [(0, 1)]);
    bench.now = secs(29);
    let normal = bench.enqueue([(0, 1)]);
    bench.now = secs(61);
    let high = bench.enqueue_as(Priority::High, [(0, 1)]);
    let mut last = held;
    for ticket in [normal, low, high] {
        bench.release(&last);
        last = bench.granted(ticket).expect("it is its turn");
    }
}

#[test]
fn a_retry_keeps_its_place() {
    let mut bench = slots(1);
    let held = bench.take([(0, 1)]);
    let first = Order::new(Arrival { at: Time::ZERO, number: 0 }, Priority::Normal);
    let later = bench.enqueue([(0, 1)]);
    let waiter = Waiter { demand: demand([(0, 1)]), order: first, deadline: None, party: None, waker: None };
    let retry = bench.set.enqueue(bench.now, waiter, &mut bench.events);
    bench.release(&held);
    assert!(bench.granted(retry).is_some() && bench.set.is_waiting(later));
}

#[test]
fn cancelling_the_head_lets_the_next_in() {
    let mut bench = slots(4);
    let _held = bench.take([(0, 2)]);
    let head = bench.enqueue([(0, 3)]);
    let next = bench.enqueue([(0, 2)]);
    bench.cancel(head);
    assert!(bench.granted(next).is_some());
    assert_eq!(bench.set.waiting(), 0);
    assert_eq!(bench.set.collect(head), None);
}

#[test]
fn cancelling_in_the_middle_keeps_the_others_in_order() {
    let mut bench = slots(1);
    let held = bench.take([(0, 1)]);
    let (first, second, third) = (bench.enqueue([(0, 1)]), bench.enqueue([(0, 1)]), bench.enqueue([(0, 1)]));
    bench.cancel(second);
    bench.release(&held);
    let grant = bench.granted(first).expect("first");
    bench.release(&grant);
    assert!(bench.granted(third).is_some());
    assert_eq!(bench.woken, [2, 4], "the cancelled one is not woken");
}

#[test]
fn cancelling_what_was_granted_and_not_collected_gives_it_back() {
    let mut bench = Bench::new(vec![Bench::resource(1), Bench::rate(Quota::per_minute(2))]);
    let held = bench.take([(0, 1), (1, 1)]);
    let granted = bench.enqueue([(0, 1), (1, 1)]);
    let next = bench.enqueue([(0, 1), (1, 1)]);
    bench.release(&held);
    assert!(!bench.set.is_waiting(granted));
    bench.cancel(granted);
    assert!(bench.granted(next).is_some(), "slot and rate both came back");
    assert_eq!(bench.set.view(bench.now).granted, 2);
    assert_eq!(bench.set.collect(granted), None);
}

#[test]
fn cancelling_what_was_collected_or_cancelled_before_changes_nothing() {
    let mut bench = slots(1);
    let held = bench.take([(0, 1)]);
    let ticket = bench.enqueue([(0, 1)]);
    bench.release(&held);
    let grant = bench.granted(ticket).expect("granted");
    bench.cancel(ticket);
    bench.cancel(ticket);
    assert_eq!(bench.used(0), 1, "the permit is still out");
    bench.release(&grant);
    assert_eq!(bench.used(0), 0);
}

#[test]
fn a_stale_ticket_says_nothing_of_who_has_its_slot_now() {
    let mut bench = slots(1);
    let _held = bench.take([(0, 1)]);
    let stale = bench.enqueue([(0, 1)]);
    bench.cancel(stale);
    let fresh = bench.enqueue([(0, 1)]);
    assert_ne!(stale, fresh);
    assert!(!bench.set.is_waiting(stale));
    bench.cancel(stale);
    assert_eq!(bench.set.collect(stale), None);
    assert!(bench.set.is_waiting(fresh));
}

#[test]
fn an_outcome_is_collected_once() {
    let mut bench = slots(1);
    let held = bench.take([(0, 1)]);
    let ticket = bench.enqueue([(0, 1)]);
    assert_eq!(bench.set.collect(ticket), None, "not decided yet");
    bench.release(&held);
    assert!(bench.granted(ticket).is_some());
    assert_eq!(bench.set.collect(ticket), None);
}

#[test]
fn a_demand_above_capacity_is_refused_at_once() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_second(10).burst(5)), Bench::resource(3)]);
    let too_large = |limit, asked, capacity| Err(Decision::Never(Refusal::TooLarge { limit, asked, capacity }));
    assert_eq!(bench.attempt([(0, 6), (1, 1)]), too_large(0, 6, 5));
    assert_eq!(bench.attempt([(0, 5), (1, 4)]), too_large(1, 4, 3));
    // Also while the limits are used up and the gate is closed.
    let _held = bench.take([(0, 5), (1, 3)]);
    bench.set.pause(bench.now, Duration::from_secs(9), &mut bench.events);
    assert_eq!(bench.attempt([(0, 6)]), too_large(0, 6, 5));
}

#[test]
fn closing_ends_every_wait_and_keeps_what_is_out() {
    let mut bench = slots(2);
    let (first, second) = (bench.take([(0, 1)]), bench.take([(0, 1)]));
    let tickets = [bench.enqueue([(0, 1)]), bench.enqueue_as(Priority::High, [(0, 2)])];
    bench.set.close(&mut bench.events);
    bench.settle_events();
    assert_eq!(bench.woken.len(), 2);
    for ticket in tickets {
        assert_eq!(bench.set.collect(ticket), Some(Outcome::Refused(Refusal::Closed)));
    }
    bench.release(&first);
    assert_eq!(bench.attempt([(0, 1)]), Err(Decision::Never(Refusal::Closed)));
    bench.release(&second);
    assert_eq!((bench.used(0), bench.set.next()), (0, None));
    assert!(bench.set.view(bench.now).closed);
}

#[test]
fn a_pause_holds_everybody_and_its_end_lets_them_go() {
    let mut bench = per_second(10);
    assert_eq!(bench.set.pause(bench.now, Duration::from_secs(2), &mut bench.events), secs(2));
    assert_eq!(bench.set.pause(bench.now, Duration::from_secs(1), &mut bench.events), secs(2), "the longer one stays");
    assert_eq!(bench.attempt([(0, 1)]), Err(Decision::Wait(Duration::from_secs(2))));
    let ticket = bench.enqueue([(0, 1)]);
    assert_eq!(bench.set.next(), Some(secs(2)));
    bench.run_to(Time::from_nanos(1_999_999_999));
    assert!(bench.set.is_waiting(ticket));
    bench.run_to(secs(2));
    assert_eq!(bench.granted(ticket).map(|grant| grant.at), Some(secs(2)));
}

#[test]
fn resuming_lets_them_go_at_once() {
    let mut bench = per_second(10);
    bench.set.pause(bench.now, Duration::from_secs(2), &mut bench.events);
    let ticket = bench.enqueue([(0, 1)]);
    bench.now = secs(1);
    bench.set.resume(bench.now, &mut bench.events);
    assert_eq!(bench.granted(ticket).map(|grant| grant.at), Some(secs(1)));
}

#[test]
fn a_deadline_ends_the_wait_when_it_comes_and_frees_those_behind() {
    let mut bench = per_second(10);
    let _used = bench.take([(0, 6)]);
    let late = bench.enqueue_with(Priority::Normal, demand([(0, 8)]), Some(Time::from_nanos(400_000_000)), None);
    let behind = bench.enqueue([(0, 4)]);
    assert_eq!(bench.set.next(), Some(Time::from_nanos(400_000_000)));
    bench.run_to(Time::from_nanos(400_000_000));
    assert_eq!(bench.set.collect(late), Some(Outcome::TimedOut));
    assert!(bench.granted(behind).is_some());
    assert_eq!(bench.woken, [2, 3]);
}

#[test]
fn a_deadline_at_the_very_instant_of_the_grant_is_met() {
    let mut bench = per_second(10);
    let _used = bench.take([(0, 10)]);
    let ticket = bench.enqueue_with(Priority::Normal, demand([(0, 1)]), Some(secs(1)), None);
    bench.run_to(secs(1));
    assert_eq!(bench.granted(ticket).map(|grant| grant.at), Some(secs(1)));
}

#[test]
fn a_deadline_that_has_passed_is_missed_though_there_is_room() {
    let mut bench = slots(1);
    let held = bench.take([(0, 1)]);
    let ticket = bench.enqueue_with(Priority::Normal, demand([(0, 1)]), Some(secs(1)), None);
    bench.now = secs(2);
    bench.release(&held);
    assert_eq!((bench.set.collect(ticket), bench.used(0)), (Some(Outcome::TimedOut), 0));
}

#[test]
fn whoever_comes_to_a_closed_set_is_refused() {
    let mut bench = slots(1);
    bench.set.close(&mut bench.events);
    let ticket = bench.enqueue([(0, 1)]);
    assert_eq!(bench.set.collect(ticket), Some(Outcome::Refused(Refusal::Closed)));
}

#[test]
fn a_deadline_comes_through_a_closed_gate() {
    let mut bench = per_second(10);
    bench.set.pause(bench.now, Duration::from_secs(9), &mut bench.events);
    let ticket = bench.enqueue_with(Priority::Normal, demand([(0, 1)]), Some(secs(1)), None);
    assert_eq!(bench.set.next(), Some(secs(1)));
    bench.run_to(secs(1));
    assert_eq!(bench.set.collect(ticket), Some(Outcome::TimedOut));
    assert_eq!(bench.set.next(), None);
}

#[test]
fn the_best_case_tells_which_deadlines_are_out_of_reach() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(10)), Bench::resource(1)]);
    let _held = bench.take([(0, 10), (1, 1)]);
    let wanted = demand([(0, 5), (1, 1)]);
    assert_eq!(bench.set.at_best(bench.now, &wanted, true), Decision::Granted, "all of it might come back now");
    let rate = demand([(0, 5)]);
    assert_eq!(bench.set.at_best(bench.now, &rate, false), Decision::Wait(Duration::from_secs(60)));
    bench.set.pause(bench.now, Duration::from_secs(90), &mut bench.events);
    assert_eq!(bench.set.at_best(bench.now, &wanted, true), Decision::Wait(Duration::from_secs(90)));
    let refusal = Refusal::TooLarge { limit: 1, asked: 2, capacity: 1 };
    assert_eq!(bench.set.at_best(bench.now, &demand([(1, 2)]), true), Decision::Never(refusal));
}

/// The seeds poll every 100 ms; here nothing is asked between one grant and the next.
#[test]
fn one_look_a_grant_however_many_wait() {
    let mut bench = per_second(1);
    let tickets: Vec<_> = (0..100).map(|_| bench.enqueue([(0, 1)])).collect();
    let mut looks = 0;
    while let Some(next) = bench.set.next() {
        bench.now = next;
        bench.pump();
        looks += 1;
    }
    assert_eq!(looks, 99, "the first needed none");
    for (second, ticket) in tickets.into_iter().enumerate() {
        assert_eq!(bench.granted(ticket).map(|grant| grant.at), Some(secs(second as u64)));
    }
}
