//! Every error says what happened, with the values, and what to do.

use std::sync::Arc;

use paceline::{Algorithm, Error, LimitPool, LimitSet, Quota, RateLimitPolicy, RateLimiter, Registry};

use crate::support::{millis, poll_once, secs};

fn api() -> LimitSet {
    LimitSet::builder("api").calls(Quota::per_minute(1)).concurrency(2).build().unwrap()
}

fn says<T>(answer: Result<T, Error>, expected: &str) {
    let Err(error) = answer else { panic!("no error: {expected}") };
    assert_eq!(error.to_string(), expected);
}

#[tokio::test(start_paused = true)]
async fn no_room_says_when_to_come_back() {
    let set = api();
    let held = set.try_acquire([("calls", 0), ("concurrency", 2)]).unwrap();
    says(set.try_acquire(()), "`api` has no room for this demand now; come back when a permit has been returned");
    drop(held);
    drop(set.try_acquire(()).unwrap());
    tokio::time::advance(millis(1_500)).await;
    says(set.try_acquire(()), "`api` has no room for this demand now; come back in 58.5s");
    let error = set.try_acquire(()).unwrap_err();
    assert!(error.is_retryable());
    assert_eq!(error.retry_after(), Some(millis(58_500)));
}

#[test]
fn too_large_says_what_was_asked_and_what_there_is() {
    let error = api().try_acquire([("concurrency", 3)]).unwrap_err();
    assert!(!error.is_retryable());
    assert_eq!(error.retry_after(), None);
    says::<()>(
        Err(error),
        "3 of `concurrency` were asked of `api`, which grants at most 2 at once; ask for less or raise the limit",
    );
}

#[tokio::test(start_paused = true)]
async fn a_missed_deadline_says_how_long_it_was() {
    let set = api();
    drop(set.try_acquire(()).unwrap());
    says(
        set.request(()).within(millis(250)).acquire().await,
        "`api` could not grant this demand within 250ms; wait longer or ask for less",
    );
}

#[test]
fn a_closed_set_says_so() {
    let set = api();
    set.close().unwrap();
    let error = set.try_acquire(()).unwrap_err();
    assert!(!error.is_retryable());
    says::<()>(Err(error), "`api` was closed; nothing more is granted");
}

#[test]
fn an_unknown_key_names_the_known() {
    says(api().try_acquire([("tokens", 1)]), "`api` has no limit `tokens`; it has `calls`, `concurrency`");
    let empty = LimitSet::builder("empty").build().unwrap();
    says(empty.try_acquire([("tokens", 1)]), "`empty` has no limit `tokens`; it has none");
}

#[test]
fn a_foreign_key_says_where_to_get_one() {
    let key = api().key("calls").unwrap();
    says(
        LimitSet::builder("other").build().unwrap().try_acquire([(key, 1)]),
        "this key handle belongs to another set than `other`; get one by `key` from the set it is used on",
    );
}

#[test]
fn a_key_given_twice_is_named() {
    let twice = LimitSet::builder("api").concurrency(1).concurrency(2).build();
    says(twice, "`api` has two limits under the key `concurrency`; give each its own");
}

#[test]
fn a_limit_that_cannot_be_kept_says_why() {
    let build = |quota| LimitSet::builder("api").rate("tokens", quota).build();
    says(build(Quota::per_minute(0)), "limit `tokens` of `api`: the amount is 0; give at least 1 unit per period");
    says(build(Quota::new(1, secs(0))), "limit `tokens` of `api`: the period is 0; give a period above zero");
    says(
        build(Quota::new(1, std::time::Duration::MAX)),
        "limit `tokens` of `api`: the period 18446744073709551615.999999999s is too long; at most 292 years can be counted",
    );
    says(
        build(Quota::per_minute(1).burst(0)),
        "limit `tokens` of `api`: the burst is 0; give at least 1 unit, or leave it out",
    );
    says(
        build(Quota::per_minute(1).algorithm(Algorithm::LeakyBucket).burst(5)),
        "limit `tokens` of `api`: `burst` has no meaning for LeakyBucket; leave it out or choose another algorithm",
    );
    says(
        build(Quota::per_minute(1).burst(5).paced(2)),
        "limit `tokens` of `api`: `paced` has no meaning for TokenBucket; leave it out or choose another algorithm",
    );
    says(
        LimitSet::builder("db").concurrency(0).build(),
        "limit `concurrency` of `db`: the capacity is 0; give at least 1",
    );
    let set = api();
    says(
        set.set_quota("concurrency", Quota::per_minute(1)),
        "limit `concurrency` of `api`: it is a resource limit: change its capacity, not its quota",
    );
    says(
        set.set_capacity("calls", 1),
        "limit `calls` of `api`: it is a rate limit: change its quota, not its capacity",
    );
}

#[test]
fn a_rate_that_is_none_is_repeated() {
    for (rate, shown) in
        [(0.0, "0"), (-1.5, "-1.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf"), (1e-12, "0.000000000001")]
    {
        says(
            RateLimiter::new(RateLimitPolicy::per_second(rate)),
            &format!("{shown} calls a second is no rate; give a number above 0 (at least 0.000000001)"),
        );
    }
}

#[test]
fn a_burst_without_a_rate_says_what_to_do() {
    says(
        RateLimiter::new(RateLimitPolicy::concurrent(5).burst(10)),
        "a burst was given to a limiter without a rate; give it a rate too, or leave the burst out",
    );
}

#[test]
fn the_registry_names_what_it_has() {
    let registry = Registry::new();
    says(registry.get("openai"), "nothing is registered as `openai`; registered are none");
    registry.register("b", api()).unwrap();
    registry.register("a", api()).unwrap();
    says(registry.get("openai"), "nothing is registered as `openai`; registered are `a`, `b`");
    says(registry.register("a", api()), "`a` is registered already; use `replace` to change it while it is in use");
    says(
        registry.replace("a", LimitSet::builder("x").concurrency(1).build().unwrap()),
        "`api` cannot become the other set while it is in use: it has the limits calls, concurrency, the other concurrency",
    );
    let sorts = LimitSet::builder("x").rate("calls", Quota::per_minute(1)).concurrency(1).build().unwrap();
    says(
        registry.replace("a", sorts),
        "`api` cannot become the other set while it is in use: `calls` is of another sort there",
    );
}

#[test]
fn nothing_cannot_be_joined_or_pooled() {
    says(LimitSet::all([]), "these sets cannot be acquired together: there are none");
    says(LimitPool::builder("eu").build(), "the pool `eu` has no members; add at least one limit set");
}

#[test]
fn waiting_outside_a_runtime_says_what_to_use() {
    let set = api();
    let _held = set.try_acquire(()).unwrap();
    let mut wait = Box::pin(set.acquire(()));
    let std::task::Poll::Ready(answer) = poll_once(wait.as_mut()) else { panic!("nothing can wake it") };
    says(answer, "waiting for `api` needs a tokio runtime; call it within one, or use the blocking form");
}

#[test]
fn what_other_places_say_is_passed_on() {
    let set: Arc<str> = "api".into();
    let message = String::from("connection refused");
    let backend = Error::Backend { set: Arc::clone(&set), message, retryable: true };
    assert!(backend.is_retryable());
    says::<()>(Err(backend), "the backend of `api`: connection refused");
    says::<()>(Err(Error::NoThread("out of memory".into())), "cannot wait on a thread: out of memory");
    says::<()>(
        Err(Error::LocalOnly { set, what: "a pool" }),
        "`api` does not live in this process, and a pool needs that",
    );
    let joined = Error::NotJoinable { why: "one of them does not live in this process" };
    says::<()>(Err(joined), "these sets cannot be acquired together: one of them does not live in this process");
}
