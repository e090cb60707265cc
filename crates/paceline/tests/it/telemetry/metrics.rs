//! The metrics, as a recorder is told of them.

use std::collections::BTreeMap;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use paceline::telemetry::Exporter;
use paceline::telemetry::names::metrics;
use paceline::{Aimd, LimitSet, Pipeline, Quota, RateLimitHit, Verdict};

use super::{acquire_what_is_free, everything, names, twice};
use crate::support::{secs, timed};

/// What the recorder was told since it was last looked at: by name and labels.
fn told(snapshotter: &Snapshotter) -> BTreeMap<String, DebugValue> {
    let each = snapshotter.snapshot().into_vec().into_iter();
    each.map(|(key, _, _, value)| {
        let key = key.key();
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        (format!("{}{{{}}}", key.name(), labels.join(",")), value)
    })
    .collect()
}

fn counter(told: &BTreeMap<String, DebugValue>, key: &str) -> u64 {
    match &told[key] {
        DebugValue::Counter(count) => *count,
        other => panic!("{key} is {other:?}"),
    }
}

fn gauge(told: &BTreeMap<String, DebugValue>, key: &str) -> f64 {
    match &told[key] {
        DebugValue::Gauge(value) => value.0,
        other => panic!("{key} is {other:?}"),
    }
}

fn histogram(told: &BTreeMap<String, DebugValue>, key: &str) -> Vec<f64> {
    match &told[key] {
        DebugValue::Histogram(values) => values.iter().map(|value| value.0).collect(),
        other => panic!("{key} is {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_export_tells_what_the_snapshot_has() {
    let recorder = DebuggingRecorder::new();
    let _local = ::metrics::set_default_local_recorder(&recorder);
    let api = LimitSet::builder("api").calls(Quota::new(4, secs(10))).rate("tokens", Quota::per_minute(1_000));
    let api = api.adaptive(Aimd::default()).build().unwrap();
    let permit = api.acquire([("tokens", 600)]).await.unwrap();
    permit.report(Verdict::RateLimited { retry_after: Some(secs(20)) });
    let mut waiting = Box::pin(api.acquire(()));
    assert!(futures::poll!(&mut waiting).is_pending());

    let (exporter, snapshotter) = (Exporter::default(), recorder.snapshotter());
    exporter.export(&api);
    let first = told(&snapshotter);
    let counters = ["admitted_total{set=api}", "waited_total{set=api}", "cuts_total{set=api}"];
    assert_eq!(counters.map(|key| counter(&first, &format!("paceline_{key}"))), [1, 0, 1]);
    assert_eq!(counter(&first, "paceline_verdicts_total{set=api,verdict=rate_limited}"), 1);
    assert_eq!(counter(&first, "paceline_verdicts_total{set=api,verdict=success}"), 0, "there from the beginning");
    let gauges = [
        "in_flight{set=api}",
        "waiting{set=api}",
        "level{set=api}",
        "paused_seconds{set=api}",
        "limit_fill{set=api,limit=tokens}",
        "limit_capacity{set=api,limit=calls}",
        "limit_capacity{set=api,limit=concurrency}",
    ];
    let gauges = gauges.map(|key| gauge(&first, &format!("paceline_{key}")));
    assert_eq!(gauges, [1.0, 1.0, 2.0, 20.0, 0.6, 4.0, 2.0]);
    assert!(!first.keys().any(|key| key.contains("seconds{set=api}") && !key.contains("paused")), "{first:?}");

    let (granted, took) = timed(waiting).await;
    drop((granted, permit));
    exporter.export(&api);
    let second = told(&snapshotter);
    assert_eq!(counters.map(|key| counter(&second, &format!("paceline_{key}"))), [1, 1, 0], "what they rose by");
    assert_eq!(gauge(&second, "paceline_paused_seconds{set=api}"), 0.0);
    assert_eq!(histogram(&second, "paceline_wait_seconds{set=api}"), [took.as_secs_f64()]);
}

#[tokio::test(start_paused = true)]
async fn a_count_that_begins_anew_is_counted_on() {
    let recorder = DebuggingRecorder::new();
    let _local = ::metrics::set_default_local_recorder(&recorder);
    let (exporter, snapshotter) = (Exporter::default(), recorder.snapshotter());
    let api = LimitSet::builder("api").concurrency(8).build().unwrap();
    let succeed = |times| (0..times).for_each(|_| api.try_acquire(()).unwrap().report(Verdict::Success));
    let key = "paceline_verdicts_total{set=api,verdict=success}";
    succeed(5);
    exporter.export(&api);
    assert_eq!(counter(&told(&snapshotter), key), 5);
    api.reset_adaptive().unwrap();
    succeed(2);
    exporter.export(&api);
    assert_eq!(counter(&told(&snapshotter), key), 2);
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_and_timed_as_they_end() {
    let recorder = DebuggingRecorder::new();
    let _local = ::metrics::set_default_local_recorder(&recorder);
    let api = LimitSet::builder("api").concurrency(8).build().unwrap();
    let pipeline = Pipeline::over(&api).retry(twice().without_budget()).build().unwrap();
    let outcome = pipeline.run((), |attempt| async move {
        tokio::time::sleep(secs(u64::from(attempt.number()))).await;
        if attempt.number() == 1 { Err(RateLimitHit::new("429")) } else { Ok(()) }
    });
    assert!(outcome.await.is_success());
    // The answer's body is still to be read: it counts to its beginning.
    let body = pipeline.run((), |attempt| async move {
        tokio::time::sleep(secs(3)).await;
        Ok::<_, String>(attempt)
    });
    let body = body.await.result.unwrap();
    tokio::time::sleep(secs(100)).await;
    drop(body);

    let told = told(&recorder.snapshotter());
    assert_eq!(counter(&told, "paceline_retries_total{set=api}"), 1);
    assert_eq!(histogram(&told, "paceline_call_seconds{set=api,verdict=rate_limited}"), [1.0]);
    let mut succeeded = histogram(&told, "paceline_call_seconds{set=api,verdict=success}");
    succeeded.sort_by(f64::total_cmp);
    assert_eq!(succeeded, [2.0, 3.0]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_pool_counts_for_the_member_that_granted_it() {
    let recorder = DebuggingRecorder::new();
    let _local = ::metrics::set_default_local_recorder(&recorder);
    let member = |name, period| LimitSet::builder(name).calls(Quota::new(1, secs(period))).build().unwrap();
    let (slow, fast) = (member("slow", 60), member("fast", 5));
    let pool = paceline::LimitPool::builder("pool").member(slow.clone()).member(fast.clone()).build().unwrap();
    for _ in 0..3 {
        drop(pool.acquire(()).await.unwrap());
    }
    let both = LimitSet::all([&slow, &fast]).unwrap();
    drop(both.acquire(()).await.unwrap());
    let told = told(&recorder.snapshotter());
    assert_eq!(histogram(&told, "paceline_wait_seconds{set=fast}"), [5.0, 55.0]);
    assert_eq!(histogram(&told, "paceline_wait_seconds{set=slow}"), [55.0]);
    assert_eq!(told.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn of_what_is_free_no_recorder_is_told() {
    let recorder = DebuggingRecorder::new();
    let _local = ::metrics::set_default_local_recorder(&recorder);
    acquire_what_is_free().await;
    assert!(told(&recorder.snapshotter()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_names_of_metrics_are_those_of_the_file_and_each_is_described() {
    let recorder = DebuggingRecorder::new();
    let _local = ::metrics::set_default_local_recorder(&recorder);
    let exporter = Exporter::default();
    exporter.export(&everything().await);
    let all = recorder.snapshotter().snapshot().into_vec();
    for (key, _, description, _) in &all {
        assert!(description.is_some(), "{key:?}");
        let labels: Vec<_> = key.key().labels().map(|label| label.key()).collect();
        let more = match key.key().name() {
            metrics::VERDICTS | metrics::CALL_SECONDS => &["set", "verdict"][..],
            metrics::FILL | metrics::CAPACITY => &["set", "limit"],
            _ => &["set"],
        };
        assert_eq!(labels, more, "{key:?}");
    }
    let used: std::collections::BTreeSet<_> = all.iter().map(|(key, ..)| key.key().name()).collect();
    assert_eq!(used, names("paceline_"));
}
