//! Every interleaving of a few threads that share a set, or a claim on two sets.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p paceline-core --test loom`
#![cfg(loom)]

use std::sync::Arc as Shared;

use loom::sync::{Arc, Mutex};
use loom::thread;
use paceline_core::{
    Arrival, Claim, Decision, Demand, Events, Grant, Limit, Order, Outcome, Party, Priority, Refusal, Returns, Set,
    Ticket, Time, Waiter,
};

const NOW: Time = Time::ZERO;

struct Shop {
    set: Mutex<Set<u64>>,
}

fn order(number: u64) -> Order {
    Order::new(Arrival { at: NOW, number }, Priority::Normal)
}

fn one() -> Demand {
    [(0, 1)].into_iter().collect()
}

fn shop(capacity: u64) -> Arc<Shop> {
    let limit = Limit::resource(capacity).expect("a good capacity");
    Arc::new(Shop { set: Mutex::new(Set::new(1, [limit])) })
}

impl Shop {
    fn with<T>(&self, act: impl FnOnce(&mut Set<u64>, &mut Events<u64>) -> T) -> T {
        act(&mut self.set.lock().expect("nobody panics"), &mut Events::default())
    }

    fn take(&self, number: u64) -> Grant {
        self.with(|set, events| {
            let mut charged = one();
            assert_eq!(set.try_acquire(NOW, &mut charged, order(number), events), Decision::Granted);
            Grant { at: NOW, charged }
        })
    }

    /// As a caller does it: try, and wait where that fails, under one lock.
    fn acquire(&self, number: u64) -> Result<Ticket, Outcome> {
        self.with(|set, events| {
            let mut charged = one();
            match set.try_acquire(NOW, &mut charged, order(number), events) {
                Decision::Granted => Err(Outcome::Granted(Grant { at: NOW, charged })),
                Decision::Never(refusal) => Err(Outcome::Refused(refusal)),
                Decision::Wait(_) => Ok(set.enqueue(NOW, waiter(number, None), events)),
            }
        })
    }

    fn collect(&self, ticket: Ticket) -> Option<Outcome> {
        self.with(|set, _| set.collect(ticket))
    }

    fn release(&self, grant: &Grant) {
        self.with(|set, events| set.release(NOW, grant, events));
    }

    fn cancel(&self, ticket: Ticket) {
        self.with(|set, events| set.cancel(NOW, ticket, events));
    }

    fn in_use(&self) -> u64 {
        self.with(|set, _| set.view(NOW).limits[0].used)
    }

    fn waiting(&self) -> usize {
        self.with(|set, _| set.waiting())
    }
}

fn waiter(number: u64, party: Option<Party>) -> Waiter<u64> {
    Waiter { demand: one(), order: order(number), deadline: None, party: party.map(Box::new), waker: Some(number) }
}

/// Two full sets and a wait that either may end.
fn pooled() -> ([Arc<Shop>; 2], [Grant; 2], Shared<Claim>, [Ticket; 2]) {
    let shops = [shop(1), shop(1)];
    let grants = [shops[0].take(1), shops[1].take(2)];
    let claim = Shared::new(Claim::new());
    let enter = |member: u32| {
        let party = Party::AnyOf { claim: claim.clone(), member };
        shops[member as usize].with(|set, events| set.enqueue(NOW, waiter(3, Some(party)), events))
    };
    let tickets = [enter(0), enter(1)];
    (shops, grants, claim, tickets)
}

/// Takes out what a wait in both sets left behind; the number of sets that granted it.
fn clear(shops: &[Arc<Shop>; 2], tickets: [Ticket; 2]) -> usize {
    let mut granted = 0;
    for (shop, ticket) in shops.iter().zip(tickets) {
        match shop.collect(ticket) {
            Some(Outcome::Granted(grant)) => {
                assert_eq!(shop.in_use(), 1, "charged once");
                shop.release(&grant);
                granted += 1;
            }
            Some(other) => panic!("{other:?}"),
            None => shop.cancel(ticket),
        }
        assert_eq!((shop.in_use(), shop.waiting()), (0, 0), "something leaks");
    }
    granted
}

#[test]
fn two_sets_that_share_a_claim_grant_it_once() {
    loom::model(|| {
        let (shops, [first, second], claim, tickets) = pooled();
        let other = shops[1].clone();
        let thread = thread::spawn(move || other.release(&second));
        shops[0].release(&first);
        thread.join().expect("no panic");
        assert!(claim.taken_by().is_some(), "a wake-up is lost");
        assert_eq!(clear(&shops, tickets), 1);
    });
}

#[test]
fn a_cancelled_claim_is_granted_or_withdrawn_never_both() {
    loom::model(|| {
        let (shops, [first, second], claim, tickets) = pooled();
        let releases = [(shops[0].clone(), first), (shops[1].clone(), second)];
        let threads = releases.map(|(shop, grant)| thread::spawn(move || shop.release(&grant)));
        let winner = claim.cancel();
        if winner.is_none() {
            // Withdrawn: from here on nobody may charge it, though neither set has been told yet.
            assert!(!claim.take(0) && !claim.take(1));
        }
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        assert_eq!(claim.taken_by(), winner);
        assert_eq!(clear(&shops, tickets), usize::from(winner.is_some()));
    });
}

#[test]
fn an_owner_that_cancels_in_both_sets_leaves_nothing_behind() {
    loom::model(|| {
        let (shops, [first, second], claim, tickets) = pooled();
        let releases = [(shops[0].clone(), first), (shops[1].clone(), second)];
        let threads = releases.map(|(shop, grant)| thread::spawn(move || shop.release(&grant)));
        claim.cancel();
        shops.iter().zip(tickets).for_each(|(shop, ticket)| shop.cancel(ticket));
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        for shop in &shops {
            assert_eq!((shop.in_use(), shop.waiting()), (0, 0));
        }
    });
}

#[test]
fn a_grant_that_meets_a_cancellation_goes_to_its_owner_or_back() {
    loom::model(|| {
        let shop = shop(1);
        let held = shop.take(1);
        let (Ok(second), Ok(third)) = (shop.acquire(2), shop.acquire(3)) else { panic!("there is no room") };
        let other = shop.clone();
        let thread = thread::spawn(move || other.release(&held));
        shop.cancel(second);
        thread.join().expect("no panic");
        // Whichever came first: the one behind it has it now.
        assert_eq!(shop.collect(second), None);
        let Some(Outcome::Granted(grant)) = shop.collect(third) else { panic!("a wake-up is lost") };
        assert_eq!((shop.in_use(), shop.waiting()), (1, 0));
        shop.release(&grant);
        assert_eq!(shop.in_use(), 0);
    });
}

/// A set of one resource whose permits come back by a count, as the library keeps it.
struct Counter {
    shop: Arc<Shop>,
    returns: Returns,
    taken: Mutex<u64>,
}

impl Counter {
    /// To be called under the set's lock.
    fn take_in(&self, set: &mut Set<u64>) {
        let mut taken = self.taken.lock().expect("nobody panics");
        let count = self.returns.count();
        set.take_back(0, count - *taken);
        *taken = count;
    }

    fn give(&self) {
        if self.returns.give() {
            self.shop.with(|set, events| {
                self.take_in(set);
                set.pump(NOW, events);
            });
        }
    }

    fn acquire(&self, number: u64) -> Option<Ticket> {
        self.shop.with(|set, events| {
            self.take_in(set);
            let mut charged = one();
            match set.try_acquire(NOW, &mut charged, order(number), events) {
                Decision::Granted => None,
                Decision::Never(refusal) => panic!("{refusal:?}"),
                Decision::Wait(_) => {
                    self.returns.listen();
                    self.take_in(set);
                    Some(set.enqueue(NOW, waiter(number, None), events))
                }
            }
        })
    }

    /// As whoever leaves the lock does where nobody waits.
    fn rest(&self) {
        self.shop.with(|set, _| {
            self.take_in(set);
            if set.waiting() == 0 {
                self.returns.ignore();
            }
        });
    }
}

fn counter(capacity: u64) -> Arc<Counter> {
    let (returns, taken) = (Returns::new(), Mutex::new(0));
    Arc::new(Counter { shop: shop(capacity), returns, taken })
}

#[test]
fn a_return_without_the_lock_that_meets_an_arrival_is_not_lost() {
    loom::model(|| {
        let counter = counter(1);
        let _held = counter.shop.take(1);
        let other = counter.clone();
        let thread = thread::spawn(move || other.give());
        let ticket = counter.acquire(2);
        thread.join().expect("no panic");
        if let Some(ticket) = ticket {
            let outcome = counter.shop.collect(ticket);
            assert!(matches!(outcome, Some(Outcome::Granted(_))), "a wake-up is lost: {outcome:?}");
        }
        assert_eq!(counter.shop.in_use(), 1);
    });
}

#[test]
fn returns_that_meet_arrivals_and_a_rest_are_counted_once() {
    loom::model(|| {
        let counter = counter(1);
        let _held = counter.shop.take(1);
        let threads = [
            thread::spawn({
                let counter = counter.clone();
                move || counter.give()
            }),
            thread::spawn({
                let counter = counter.clone();
                move || counter.rest()
            }),
        ];
        let ticket = counter.acquire(2);
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        if let Some(ticket) = ticket {
            assert!(matches!(counter.shop.collect(ticket), Some(Outcome::Granted(_))), "a wake-up is lost");
        }
        counter.give();
        counter.rest();
        assert_eq!((counter.shop.in_use(), counter.shop.waiting()), (0, 0));
        assert!(!counter.returns.give(), "nobody listens any more");
    });
}

#[test]
fn a_release_that_meets_an_arrival_leaves_nobody_waiting() {
    loom::model(|| {
        let shop = shop(1);
        let held = shop.take(1);
        let arrivals = [2, 3].map(|number| {
            let shop = shop.clone();
            thread::spawn(move || match shop.acquire(number) {
                Err(Outcome::Granted(grant)) => {
                    shop.release(&grant);
                    None
                }
                Err(other) => panic!("{other:?}"),
                Ok(ticket) => Some(ticket),
            })
        });
        shop.release(&held);
        let tickets = arrivals.map(|thread| thread.join().expect("no panic"));
        // At most one at a time, each told: whoever waits has been granted by the one before.
        let mut left: Vec<Ticket> = tickets.into_iter().flatten().collect();
        while !left.is_empty() {
            let before = left.len();
            left.retain(|ticket| match shop.collect(*ticket) {
                Some(Outcome::Granted(grant)) => {
                    shop.release(&grant);
                    false
                }
                Some(other) => panic!("{other:?}"),
                None => true,
            });
            assert!(left.len() < before, "a wake-up is lost");
        }
        assert_eq!((shop.in_use(), shop.waiting()), (0, 0));
    });
}

#[test]
fn closing_ends_every_wait_whenever_it_began() {
    loom::model(|| {
        let shop = shop(1);
        let held = shop.take(1);
        let (arriving, closing) = (shop.clone(), shop.clone());
        let arrival = thread::spawn(move || arriving.acquire(2));
        let close = thread::spawn(move || closing.with(|set, events| set.close(events)));
        shop.release(&held);
        close.join().expect("no panic");
        let outcome = match arrival.join().expect("no panic") {
            Err(outcome) => outcome,
            Ok(ticket) => shop.collect(ticket).expect("decided"),
        };
        match outcome {
            Outcome::Granted(grant) => shop.release(&grant),
            Outcome::Refused(refusal) => assert_eq!(refusal, Refusal::Closed),
            Outcome::TimedOut => panic!("there was no deadline"),
        }
        assert_eq!((shop.in_use(), shop.waiting()), (0, 0));
    });
}

#[test]
fn resizing_releasing_and_cancelling_add_up() {
    loom::model(|| {
        let shop = shop(1);
        let held = shop.take(1);
        let (Ok(second), Ok(third)) = (shop.acquire(2), shop.acquire(3)) else { panic!("there is no room") };
        let (growing, releasing) = (shop.clone(), shop.clone());
        let grow = thread::spawn(move || {
            growing.with(|set, events| set.set_capacity(NOW, 0, 2, events).expect("a good capacity"));
        });
        let release = thread::spawn(move || releasing.release(&held));
        shop.cancel(second);
        grow.join().expect("no panic");
        release.join().expect("no panic");
        let Some(Outcome::Granted(grant)) = shop.collect(third) else { panic!("a wake-up is lost") };
        assert_eq!((shop.in_use(), shop.waiting()), (1, 0));
        shop.release(&grant);
        assert_eq!(shop.in_use(), 0);
    });
}

#[test]
fn shrinking_below_what_is_out_lets_nobody_in_before_it_is_back() {
    loom::model(|| {
        let shop = shop(2);
        let held = [shop.take(1), shop.take(2)];
        let Ok(third) = shop.acquire(3) else { panic!("there is no room") };
        let shrinking = shop.clone();
        let shrink = thread::spawn(move || {
            shrinking.with(|set, events| set.set_capacity(NOW, 0, 1, events).expect("a good capacity"));
        });
        let [first, second] = held;
        let releasing = shop.clone();
        let release = thread::spawn(move || releasing.release(&first));
        shrink.join().expect("no panic");
        release.join().expect("no panic");
        // Let in before the shrink, the third makes a debt with the second; after it, it waits for the second.
        let early = shop.collect(third);
        assert_eq!(shop.in_use(), 1 + u64::from(early.is_some()));
        shop.release(&second);
        let Some(Outcome::Granted(grant)) = early.or_else(|| shop.collect(third)) else { panic!("a wake-up is lost") };
        assert_eq!(shop.in_use(), 1);
        shop.release(&grant);
        assert_eq!((shop.in_use(), shop.waiting()), (0, 0));
    });
}
