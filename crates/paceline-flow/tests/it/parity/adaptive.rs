//! Adaptive nodes, what they take for a rate limit, and what they hand on of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use paceline::{Aimd, AimdBuilder, RateLimitHit, Retry, Verdict, by_error};
use paceline_flow::{Action, BoxError, Cause, Cx, Error, Failure, Flow, Graph, Limits, Node, NodeStats, Result};
use tokio::time::sleep;

use super::{Capped, at, hit, millis, secs, timed};

/// `class SmartNode(AdaptiveThrottledNode)`: an item that is refused is left out, as `exec_fallback` of the class says.
struct Smart;

impl Node for Smart {
    type Shared = Capped;
    type Params = u64;
    type Item = ();
    type Output = bool;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<()>> {
        Ok(vec![(); usize::try_from(*cx.params)?])
    }

    async fn exec(&self, cx: Cx<'_, Self>, (): &()) -> Result<bool> {
        cx.shared.call().await?;
        Ok(true)
    }

    async fn fallback(&self, _: Cx<'_, Self>, (): &(), _: BoxError) -> Result<bool> {
        Ok(false)
    }
}

/// `initial_concurrent = 10`, `min_concurrent = 2`, `max_concurrent = 50`, `backoff_factor = 0.5`, `recovery_factor = 1.2`.
fn smart() -> AimdBuilder {
    Aimd::builder().initial_concurrent(10).min_concurrent(2).max_concurrent(50).backoff_factor(0.5).recovery_factor(1.2)
}

fn flow(limits: Limits) -> Flow<'static, Capped, u64> {
    let mut graph = Graph::new();
    let smart = graph.add(Smart, limits);
    graph.start(smart).unwrap()
}

fn adaptive(controller: AimdBuilder) -> Limits {
    Limits::adaptive(controller.build().unwrap())
}

fn node<S: Sync, P: Send + Sync>(flow: &Flow<'_, S, P>) -> NodeStats {
    flow.stats().remove(0)
}

/// The seed's: initial 5, min 1, max 20, backoff 0.5, threshold 10, recovery 1.2.
#[tokio::test(start_paused = true)]
async fn parity_p04_the_defaults() {
    let (flow, service) = (flow(Limits::adaptive(Aimd::default())), Capped::at(1_000));
    assert_eq!((node(&flow).current_concurrent, node(&flow).max_concurrent), (Some(5), Some(20)));
    let level = || node(&flow).current_concurrent;
    assert_eq!(at(millis(2_500), flow.run(&service, 1_000), level).await, Some(6), "ten successes are a fifth more");
    flow.run(&service, 1_000).await.unwrap();
    assert_eq!((service.take_peak(), node(&flow).current_concurrent), (20, Some(20)), "and never more than the most");
    service.cap.store(0, SeqCst);
    flow.run(&service, 1).await.unwrap();
    assert_eq!(node(&flow).current_concurrent, Some(10), "half, on a refusal");
    for _ in 0..10 {
        flow.run(&service, 1).await.unwrap();
    }
    assert_eq!(node(&flow).current_concurrent, Some(1), "and never less than the least");
}

/// Ten at once, all refused: the seed cuts ten times, to 2, and goes on with a new limiter beside the ten.
#[tokio::test(start_paused = true)]
async fn parity_p04_ten_refusals_of_one_burst_are_one_cut() {
    let (flow, service) = (flow(adaptive(smart())), Capped::at(0));
    flow.run(&service, 10).await.unwrap();
    let stats = node(&flow);
    assert_eq!((service.take_peak(), stats.rate_limit_hits, stats.cuts), (10, 10, 1));
    assert_eq!(stats.current_concurrent, Some(5));
}

/// What is out above a lowered level counts: a limiter is never replaced while permits are out.
#[tokio::test(start_paused = true)]
async fn parity_p04_never_more_than_the_level_are_at_the_service() {
    let (flow, service) = (flow(adaptive(smart())), Capped::at(8));
    let watch = async {
        let mut most = 0;
        loop {
            let stats = node(&flow);
            let level = stats.current_concurrent.unwrap();
            // Right after a cut, those that were admitted before it are still there.
            most = most.max(stats.in_flight.saturating_sub(level.max(10)));
            sleep(millis(7)).await;
            if stats.completed == 400 {
                return most;
            }
        }
    };
    let (done, excess) = tokio::join!(flow.run(&service, 400), watch);
    done.unwrap();
    assert_eq!(excess, 0);
    assert!(service.take_peak() <= 10, "it never knew of more than ten");
    assert!(node(&flow).cuts > 0);
}

/// `int(4 * 1.2)` is 4, and `int(1 * 1.2)` is 1: there the seed stays for ever.
#[tokio::test(start_paused = true)]
async fn parity_p04_it_grows_from_four_and_from_one() {
    for initial in [1, 4] {
        let (flow, service) =
            (flow(adaptive(smart().min_concurrent(1).initial_concurrent(initial))), Capped::at(1_000));
        let ten = millis(500 + 1_000 * 10_u64.div_ceil(initial));
        let level = at(ten, flow.run(&service, 1_000), || node(&flow).current_concurrent).await;
        assert_eq!(level, Some(initial + 1));
        flow.run(&service, 2_000).await.unwrap();
        assert_eq!(node(&flow).current_concurrent, Some(50));
    }
}

/// It settles near what the service takes, and follows when that changes.
#[tokio::test(start_paused = true)]
async fn parity_p04_it_tunes_itself_to_what_the_service_takes() {
    let retry = Retry::attempts(50).backoff(millis(50), secs(2)).without_budget().seed(4);
    let (flow, service) = (flow(adaptive(smart()).retry(retry)), Capped::at(20));
    let mut took = Vec::new();
    for cap in [20, 4, 40] {
        service.cap.store(cap, SeqCst);
        let (done, time) = timed(flow.run(&service, 2_000)).await;
        done.unwrap();
        took.push(2_000.0 / time.as_secs_f64() / cap as f64);
    }
    assert_eq!(node(&flow).fallbacks, 0, "every item has its result in the end");
    assert!(took.iter().all(|share| *share > 0.6), "of what it takes, {took:.2?} are used");
}

/// `stats` has current_concurrent, total_successes and total_rate_limits; `reset_adaptive_state` begins anew.
#[tokio::test(start_paused = true)]
async fn parity_p04_stats_and_reset() {
    let (flow, service) = (flow(adaptive(smart())), Capped::at(1_000));
    at(millis(1_500), flow.run(&service, 1_000), || assert_eq!(node(&flow).current_concurrent, Some(12))).await;
    service.cap.store(0, SeqCst);
    flow.run(&service, 4).await.unwrap();
    let stats = node(&flow);
    assert_eq!((stats.current_concurrent, stats.cuts), (Some(6), 1));
    assert_eq!((stats.completed - stats.fallbacks, stats.rate_limit_hits), (10, 4));
    flow.reset();
    let stats = node(&flow);
    assert_eq!((stats.current_concurrent, stats.cuts, stats.completed, stats.rate_limit_hits), (Some(10), 0, 0, 0));
}

/// A node that fails with what is in the shared state, and tells what it took that for.
struct Fails<V> {
    verdict: V,
}

impl<V: Fn(&Result<()>) -> Verdict + Send + Sync> Node for Fails<V> {
    type Shared = Mutex<Option<BoxError>>;
    type Params = ();
    type Item = ();
    type Output = ();

    async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
        Ok(vec![()])
    }

    async fn exec(&self, cx: Cx<'_, Self>, (): &()) -> Result<()> {
        cx.shared.lock().unwrap().take().map_or(Ok(()), Err)
    }

    fn verdict(&self, result: &Result<()>) -> Verdict {
        (self.verdict)(result)
    }
}

/// Runs it once: whether the adaptive node took that for a rate limit, and how the flow ended.
async fn recognised(
    error: impl Into<BoxError>,
    verdict: impl Fn(&Result<()>) -> Verdict + Send + Sync,
) -> (bool, Option<Failure>) {
    let mut graph = Graph::new();
    let fails = graph.add_as("fails", Fails { verdict }, Limits::adaptive(Aimd::default()));
    let flow = graph.start(fails).unwrap();
    let ended = flow.run(&Mutex::new(Some(error.into())), ()).await;
    let failure = match ended {
        Ok(_) => None,
        Err(Error::Failed(failure)) => Some(failure),
        Err(error) => panic!("{error}"),
    };
    (node(&flow).rate_limit_hits == 1, failure)
}

/// The words of `is_rate_limit_error`, in any case.
#[tokio::test(start_paused = true)]
async fn parity_p05_rate_limits_are_recognised_by_their_words() {
    for text in [
        "Error code: 429",
        "RATE LIMIT exceeded",
        "rate_limit_error",
        "Too many requests",
        "Quota exceeded for metric",
        "ThrottlingException",
        "request was throttled",
    ] {
        let (limited, failure) = recognised(text, by_error).await;
        assert!(limited, "{text}");
        assert!(matches!(failure.unwrap().cause, Cause::Error(error) if error.to_string() == text), "as it was raised");
    }
    for text in ["connection reset", "invalid key", "took 1429 ms"] {
        assert!(!recognised(text, by_error).await.0, "{text}");
    }
}

/// An override of `is_rate_limit_error`; and what has a type needs no words.
#[tokio::test(start_paused = true)]
async fn parity_p05_and_by_a_rule_of_the_nodes_own() {
    let slow_down = |result: &Result<()>| match result {
        Err(error) if error.to_string().contains("slow down") => Verdict::RateLimited { retry_after: None },
        result => by_error(result),
    };
    assert!(recognised("please slow down", slow_down).await.0);
    assert!(!recognised("please slow down", by_error).await.0);
    assert!(recognised("429", slow_down).await.0);
    assert!(recognised(hit(), by_error).await.0, "its text says nothing of that");
    let permanent = |result: &Result<()>| result.as_ref().map_or(Verdict::Permanent, |()| Verdict::Success);
    assert!(!recognised("no rate limit is set for this key", permanent).await.0, "the type goes before the text");
}

async fn propagated(error: impl Into<BoxError>) -> (Failure, u64) {
    let mut graph = Graph::new();
    let retry = Retry::attempts(5).backoff(secs(0), secs(0));
    let limits = Limits::adaptive(Aimd::default()).retry(retry).propagate_rate_limit();
    let fails = graph.add_as("ask", Fails { verdict: by_error }, limits);
    let flow = graph.start(fails).unwrap();
    let ended = flow.run(&Mutex::new(Some(error.into())), ()).await;
    let Err(Error::Failed(failure)) = ended else { panic!("{ended:?}") };
    (failure, node(&flow).attempts)
}

/// `propagate_rate_limit = True`: what was recognised goes up as a `RateLimitHit` with message, wait and source, at once.
#[tokio::test(start_paused = true)]
async fn parity_p06_a_rate_limit_is_handed_on_as_a_hit() {
    let (failure, attempts) = propagated("Error code: 429 - slow down").await;
    assert_eq!((&*failure.node, failure.is_rate_limit(), attempts), ("ask", true, 1));
    let Cause::RateLimited(hit) = failure.cause else { panic!("{failure}") };
    assert_eq!(hit.to_string(), "Error code: 429 - slow down");
    assert_eq!(std::error::Error::source(&hit).unwrap().to_string(), "Error code: 429 - slow down");
    assert_eq!(hit.verdict(), Verdict::RateLimited { retry_after: None });
}

#[tokio::test(start_paused = true)]
async fn parity_p06_a_hit_goes_up_as_it_was_raised() {
    let (failure, attempts) = propagated(hit()).await;
    let Cause::RateLimited(hit) = failure.cause else { panic!("{failure}") };
    assert_eq!((hit.to_string(), attempts), ("OpenAI rate limit exceeded".into(), 1));
    assert_eq!(hit.verdict(), Verdict::RateLimited { retry_after: Some(secs(30)) });
    assert_eq!(std::error::Error::source(&hit).unwrap().to_string(), "openai", "the seed's `source`");
}

/// What is no rate limit is tried again and fails as what it is; without the option, so is a rate limit.
#[tokio::test(start_paused = true)]
async fn parity_p06_other_errors_are_the_nodes_own() {
    struct Always(AtomicU64, &'static str);
    impl Node for Always {
        type Shared = ();
        type Params = ();
        type Item = ();
        type Output = ();

        async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
            Ok(vec![()])
        }

        async fn exec(&self, _: Cx<'_, Self>, (): &()) -> Result<()> {
            self.0.fetch_add(1, SeqCst);
            Err(self.1.into())
        }
    }
    let retry = || Retry::attempts(3).backoff(secs(0), secs(0));
    for (limits, text) in [
        (Limits::none().retry(retry()).propagate_rate_limit(), "connection reset"),
        (Limits::none().retry(retry()), "429 Too Many Requests"),
    ] {
        let mut graph = Graph::new();
        let always = graph.add(Always(AtomicU64::new(0), text), limits);
        let flow = graph.start(always).unwrap();
        let Err(Error::Failed(failure)) = flow.run(&(), ()).await else { panic!("it fails") };
        assert_eq!((failure.is_rate_limit(), failure.cause.to_string()), (false, text.into()));
        assert_eq!(node(&flow).attempts, 3);
    }
}

/// `raise RateLimitHit(...)` in any node is a signal to the flow, whatever the node's options: after its own retries.
#[tokio::test(start_paused = true)]
async fn parity_p06_a_hit_raised_by_any_node_is_a_signal() {
    struct Raise;
    impl Node for Raise {
        type Shared = Mutex<u64>;
        type Params = ();
        type Item = ();
        type Output = ();

        async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
            Ok(vec![()])
        }

        async fn exec(&self, cx: Cx<'_, Self>, (): &()) -> Result<()> {
            *cx.shared.lock().unwrap() += 1;
            Err(hit().into())
        }
    }
    struct RaiseInPost;
    impl Node for RaiseInPost {
        type Shared = Mutex<u64>;
        type Params = ();
        type Item = ();
        type Output = ();

        async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
            Ok(vec![])
        }

        async fn exec(&self, _: Cx<'_, Self>, (): &()) -> Result<()> {
            Ok(())
        }

        async fn post(&self, _: Cx<'_, Self>, _: Vec<()>, _: Vec<()>) -> Result<Action> {
            Err(hit().into())
        }
    }
    let check = |failed: Result<Action, Error>| {
        let Err(Error::Failed(Failure { cause: Cause::RateLimited(hit), .. })) = failed else { panic!("{failed:?}") };
        assert_eq!(RateLimitHit::verdict(&hit), Verdict::RateLimited { retry_after: Some(secs(30)) });
    };
    for (limits, attempts) in [(Limits::none(), 1), (Limits::none().retry(Retry::attempts(3).seed(1)), 3)] {
        let (mut graph, calls) = (Graph::new(), Mutex::new(0));
        let raise = graph.add(Raise, limits);
        let (failed, took) = timed(graph.start(raise).unwrap().run(&calls, ())).await;
        check(failed);
        assert_eq!(calls.into_inner().unwrap(), attempts);
        assert!(took >= secs(30) * u32::try_from(attempts - 1).unwrap(), "a retry waits as it was told: {took:?}");
    }
    let mut graph = Graph::new();
    let post = graph.add(RaiseInPost, Limits::none());
    check(graph.start(post).unwrap().run(&Mutex::new(0), ()).await);
}
