//! What only the seam can see.

use std::sync::Arc;
use std::time::Duration;

use paceline::backend::{Answer, Ask, LimitSpec, PermitId};
use paceline::{Algorithm, Error, LimitSet, Priority, Quota};

use super::Place;

fn ask(id: u128, units: u64) -> Ask {
    Ask {
        permit: PermitId(id),
        demand: [(0, units)].into_iter().collect(),
        priority: Priority::Normal,
        waited: Duration::ZERO,
        within: None,
    }
}

/// An answer that was lost can be asked for again.
pub(super) async fn asking_again_charges_once(place: &impl Place) {
    let Some(backend) = place.remote() else { return };
    let limits = [("tokens".into(), LimitSpec::Rate(Quota::per_hour(100)))];
    let home = backend.open(&"again".into(), &limits).expect("it opens");
    for _ in 0..3 {
        assert_eq!(home.acquire(&ask(1, 60)).await, Ok(Answer::Granted));
    }
    assert_eq!(home.acquire(&ask(2, 40)).await, Ok(Answer::Granted), "60 were charged once, not three times");
}

/// A permit comes back once, however often that is said.
pub(super) async fn giving_back_twice_gives_once(place: &impl Place) {
    let Some(backend) = place.remote() else { return };
    let limits = [("slots".into(), LimitSpec::Resource(2))];
    let home = backend.open(&"twice given".into(), &limits).expect("it opens");
    for id in 1..=2 {
        assert_eq!(home.acquire(&ask(id, 1)).await, Ok(Answer::Granted));
    }
    home.release(PermitId(1)).await.expect("it is out");
    home.release(PermitId(1)).await.expect("giving back twice is no error");
    home.forget(PermitId(1));
    assert_eq!(home.acquire(&ask(3, 1)).await, Ok(Answer::Granted));
    assert!(matches!(home.try_acquire(&ask(4, 1)), Ok(Answer::Wait(_))), "one came back, not two");
}

/// Two descriptions of one set are told apart.
pub(super) async fn names_what_differs(place: &impl Place) {
    let Some(backend) = place.remote() else { return };
    let name: Arc<str> = "twice".into();
    let limits = |units| [("tokens".into(), LimitSpec::Rate(Quota::per_second(units)))];
    backend.open(&name, &limits(1)).expect("it opens");
    backend.open(&name, &limits(1)).expect("the same again is fine");
    let error = backend.open(&name, &limits(2)).expect_err("another quota");
    assert!(error.message.contains("twice") && !error.retryable, "{error}");
    assert!(error.message.contains("tokens"), "{error}");
    let daily = |hours: u64| {
        let quota = Quota::per_day(5).algorithm(Algorithm::FixedWindow).resets_in(Duration::from_secs(hours * 3_600));
        [("daily".into(), LimitSpec::Rate(quota))]
    };
    backend.open(&"daily".into(), &daily(5)).expect("it opens");
    backend.open(&"daily".into(), &daily(4)).expect("the same reset, an hour later");
}

/// A quota that it cannot keep is refused when the set is made, not kept otherwise.
pub(super) async fn what_it_cannot_count_is_refused(place: &impl Place) {
    let can = place.algorithms();
    for algorithm in Algorithm::ALL {
        let quota = Quota::per_second(5).algorithm(algorithm);
        let made = place.make(LimitSet::builder(format!("{algorithm:?}")).rate("units", quota));
        match made {
            Ok(_) => assert!(can.contains(&algorithm), "{algorithm:?} is not among those it names"),
            Err(Error::Backend { retryable: false, .. }) => assert!(!can.contains(&algorithm), "{algorithm:?}"),
            Err(other) => panic!("{algorithm:?}: {other}"),
        }
    }
}
