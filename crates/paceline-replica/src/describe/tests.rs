use std::sync::Arc;

use paceline_core::Aimd;

use super::*;

const GUARD: Duration = Duration::from_millis(300);

fn rate(quota: Quota) -> Vec<(Arc<str>, LimitSpec)> {
    vec![("calls".into(), LimitSpec::Rate(quota))]
}

/// What is said of these, in the order there, here.
fn said(there: &[(Arc<str>, LimitSpec)], here: &[(Arc<str>, LimitSpec)]) -> String {
    difference(there, here).unwrap_or_default()
}

#[test]
fn the_same_limits_differ_in_nothing() {
    let daily = |hours| rate(Quota::per_day(5).algorithm(Algorithm::FixedWindow).resets_in(GUARD * hours));
    assert_eq!(difference(&daily(1), &daily(2)), None);
    assert_eq!(difference(&[], &[]), None);
}

#[test]
fn what_differs_is_named() {
    let plain = Quota::per_minute(60);
    let cases = [
        (Quota::per_minute(50), "`calls` is 60 per 60s there, 50 per 60s here"),
        (plain.guard(GUARD), "the guard of `calls` is none there, 300ms here"),
        (plain.burst(5), "the algorithm of `calls` is a sliding window there, a token bucket of 5 here"),
        (plain.anchor(Anchor::Completion), "the anchor of `calls` is the admission there, the completion here"),
        (plain.paced(4), "the pace of `calls` is 60 at once there, 4 at once here"),
        (plain.algorithm(Algorithm::SlidingWindow), "`calls` is the same, but told in other words"),
        (
            plain.algorithm(Algorithm::FixedWindow).resets_in(GUARD),
            "the algorithm of `calls` is a sliding window there, a fixed window here, and the reset of `calls` is not told \
             there, told here",
        ),
    ];
    for (here, words) in cases {
        assert_eq!(said(&rate(plain), &rate(here)), words);
    }
}

#[test]
fn other_keys_are_all_that_is_said() {
    let slots: (Arc<str>, _) = ("slots".into(), LimitSpec::Resource(3));
    assert_eq!(said(&rate(Quota::per_minute(60)), &[slots]), "there they are `calls`, here `slots`");
    assert_eq!(said(&[], &rate(Quota::per_minute(60))), "there they are none, here `calls`");
}

#[test]
fn all_limits_that_differ_are_listed_and_nothing_that_nobody_stated() {
    let set = |quota, sizing| [rate(quota), vec![("slots".into(), LimitSpec::Adaptive(sizing))]].concat();
    let (plain, eight) = (Quota::per_minute(60), Sizing { most: 8, first: None, by: None });
    let there = set(plain.guard(GUARD), eight);
    // As whoever states no guard is paced at first.
    let here = set(plain.guard(GUARD / 2).paced(4), Sizing { first: Some(4), ..eight });
    assert_eq!(said(&there, &here), "the guard of `calls` is 300ms there, 150ms here");
    let here = set(plain, Sizing { most: 4, ..eight });
    let both = "the guard of `calls` is 300ms there, none here, and `slots` is 8 at once there, 4 at once here";
    assert_eq!(said(&there, &here), both);
}

#[test]
fn a_limit_that_is_learnt_is_told_by_its_bounds() {
    let learnt = |by| [("slots".into(), LimitSpec::Adaptive(Sizing { most: u64::MAX, first: None, by: Some(by) }))];
    let fixed = [("slots".into(), LimitSpec::Resource(8))];
    let wide = Aimd::builder().max_concurrent(50);
    assert_eq!(said(&fixed, &learnt(wide)), "`slots` is 8 at once there, learnt from 1 to 50 at once here");
    let narrow = learnt(wide.max_concurrent(9).backoff_factor(0.7));
    let bounds = "`slots` is learnt from 1 to 50 at once there, learnt from 1 to 9 at once here";
    assert_eq!(said(&learnt(wide), &narrow), bounds);
    let gentle = learnt(wide.backoff_factor(0.7));
    assert_eq!(said(&learnt(wide), &gentle), "`backoff_factor` of `slots` is 0.5 there, 0.7 here");
}
