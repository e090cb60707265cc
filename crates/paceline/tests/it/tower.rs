//! The layer around services that are scripted, bodies included.

mod answers;
mod bodies;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use paceline::headers::{Dialect, Unit, Usage};
use paceline::tower::{BodyError, LimitError, LimitLayer, LimitLayerBuilder, LimitService, Served};
use paceline::{Attempt, Controller, Error, LimitPool, LimitSet, Pipeline, Quota, Retry, Sample, Time, Verdict};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{assert_all_came_back, millis, others_run, secs, timed};

type Stream = StreamBody<UnboundedReceiver<Result<Frame<Bytes>, String>>>;

/// A body that is written as the test goes.
fn stream() -> (UnboundedSender<Result<Frame<Bytes>, String>>, Stream) {
    let (send, receive) = unbounded();
    (send, StreamBody::new(receive))
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Full<Bytes>> {
    let builder =
        headers.iter().fold(Response::builder().status(status), |all, (name, value)| all.header(*name, *value));
    builder.body(Full::from(body.to_owned())).unwrap()
}

fn post(body: &str) -> Request<String> {
    Request::post("/v1/chat/completions").body(body.to_owned()).unwrap()
}

fn set() -> LimitSet {
    LimitSet::builder("api")
        .calls(Quota::per_minute(500))
        .rate("tokens", Quota::per_minute(10_000))
        .concurrency(4)
        .build()
        .unwrap()
}

/// Two retries, without jitter: the wait is what the service asks for.
fn over(set: &LimitSet) -> Pipeline {
    Pipeline::over(set).retry(Retry::attempts(3).backoff(Duration::ZERO, Duration::ZERO)).build().unwrap()
}

fn openai(set: &LimitSet) -> LimitLayerBuilder<String> {
    LimitLayer::builder(over(set)).dialect(Dialect::OpenAi).repeat_clones()
}

fn used(set: &LimitSet, key: &str) -> u64 {
    set.snapshot().limit(key).unwrap().used
}

fn verdicts(set: &LimitSet) -> paceline::Verdicts {
    set.snapshot().feedback.verdicts
}

/// A service that gives its answers in turn, and keeps when it was asked.
#[derive(Clone)]
struct Scripted {
    answers: Arc<Mutex<Vec<Response<Full<Bytes>>>>>,
    asked: Arc<Mutex<Vec<Instant>>>,
}

impl Service<Request<String>> for Scripted {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        self.asked.lock().unwrap().push(Instant::now());
        ready(Ok(self.answers.lock().unwrap().remove(0)))
    }
}

fn scripted(answers: impl IntoIterator<Item = Response<Full<Bytes>>>) -> (Scripted, Arc<Mutex<Vec<Instant>>>) {
    let asked = Arc::<Mutex<Vec<_>>>::default();
    let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
    (Scripted { answers, asked: Arc::clone(&asked) }, asked)
}

async fn text<B: Body<Data = Bytes, Error: std::fmt::Debug>>(response: Response<B>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// A controller that keeps what it is told.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<Sample>>>);

impl Controller for Kept {
    fn update(&mut self, sample: &Sample, _: Time) {
        self.0.lock().unwrap().push(*sample);
    }

    fn level(&self) -> u64 {
        4
    }

    fn cuts(&self) -> u64 {
        0
    }

    fn reset(&mut self) {}
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_in_flight_gives_everything_back() {
    let set = set();
    let service = openai(&set).build().unwrap();
    let service = service.layer(service_fn(|_| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()));
    tokio::time::timeout(secs(1), service.oneshot(post(""))).await.expect_err("it never answers");
    assert_eq!((verdicts(&set).cancelled, used(&set, "calls")), (1, 1));
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_inner_service_are_tried_again_and_the_last_one_is_told() {
    let set = set();
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let service = openai(&set).build().unwrap().layer(service_fn(move |_: Request<String>| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        ready(Err::<Response<Full<Bytes>>, _>(format!("connection {number} refused")))
    }));
    let error = service.oneshot(post("")).await.unwrap_err();
    assert_eq!((error.to_string(), error.status()), ("connection 2 refused".into(), StatusCode::BAD_GATEWAY));
    assert_eq!(verdicts(&set).transient, 3);
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_repeated_is_sent_once() {
    let set = set();
    let refused = || answer(503, &[], "");
    let (service, asked) = scripted([refused(), refused(), refused(), refused(), refused()]);
    let once = LimitLayer::<String>::builder(over(&set)).build().unwrap();
    assert_eq!(once.layer(service.clone()).oneshot(post("")).await.unwrap().status(), 503);
    assert_eq!(asked.lock().unwrap().len(), 1);

    // Which requests are idempotent is for the hook to say.
    let by_method = openai(&set).retry_if(|request, _| request.method() == Method::GET).build().unwrap();
    by_method.layer(service.clone()).oneshot(post("")).await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), 2);
    by_method.layer(service).oneshot(Request::get("/").body(String::new()).unwrap()).await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), 5);
    assert_all_came_back(&set);
}

/// A service that has to be asked for readiness, and notes the order of things.
#[derive(Debug)]
struct Strict {
    log: Arc<Mutex<Vec<&'static str>>>,
    set: LimitSet,
    asked: bool,
    ready: AtomicBool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { log: Arc::clone(&self.log), set: self.set.clone(), asked: false, ready: AtomicBool::new(false) }
    }
}

impl Service<Request<String>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = String;
    type Future = Ready<Result<Self::Response, String>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), String>> {
        if !std::mem::replace(&mut self.asked, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let admitted = used(&self.set, "concurrency") == 1;
        self.log.lock().unwrap().push(if admitted { "ready" } else { "asked too early" });
        self.ready.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        assert!(self.ready.swap(false, Ordering::Relaxed), "called without having been ready");
        let mut log = self.log.lock().unwrap();
        log.push("called");
        ready(if log.len() < 4 { Err("once more".into()) } else { Ok(answer(200, &[], "")) })
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_admitted_then_ready_then_called() {
    let set = LimitSet::builder("api").concurrency(1).build().unwrap();
    let log = Arc::<Mutex<Vec<_>>>::default();
    let inner = Strict { log: Arc::clone(&log), set: set.clone(), asked: false, ready: AtomicBool::new(false) };
    let mut service = openai(&set).build().unwrap().layer(inner);
    let held = set.try_acquire(()).unwrap();
    let service: &mut LimitService<Strict, String> = service.ready().await.unwrap();
    let call = service.call(post(""));
    let mut call = Box::pin(call);
    assert!(futures::poll!(&mut call).is_pending());
    assert!(log.lock().unwrap().is_empty(), "while it waits, the inner service holds nothing for it");
    drop(held);
    call.await.unwrap();
    assert_eq!(*log.lock().unwrap(), ["ready", "called", "ready", "called"]);
}

#[tokio::test(start_paused = true)]
async fn what_can_never_be_admitted_is_an_error_and_a_cost_that_panics_fails_alone() {
    let set = set();
    let (service, asked) = scripted([answer(200, &[], "")]);
    let layer = openai(&set).cost(|request| match &**request.body() {
        "panic" => panic!("on purpose"),
        "unknown" => [("characters", 1)],
        body => [("tokens", body.len() as u64)],
    });
    let service = layer.build().unwrap().layer(service);
    let call = |body: &str| service.clone().oneshot(post(body));
    let error = call("unknown").await.unwrap_err();
    assert!(matches!(error, LimitError::NotAdmitted(Error::UnknownKey { .. })));
    assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let error = call(&"x".repeat(10_001)).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(tokio::spawn(call("panic")).await.unwrap_err().is_panic());
    assert!(asked.lock().unwrap().is_empty());
    assert!(call("fine").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_finds_no_room_in_time_is_too_many() {
    let set = LimitSet::builder("api").calls(Quota::per_minute(1)).build().unwrap();
    let (service, _) = scripted((0..2).map(|_| answer(200, &[], "")));
    let service = openai(&set).within(secs(5)).build().unwrap().layer(service);
    drop(service.clone().oneshot(post("")).await.unwrap());
    let error = service.clone().oneshot(post("")).await.unwrap_err();
    assert!(matches!(error, LimitError::NotAdmitted(Error::DeadlineExceeded { .. })));
    assert_eq!(error.response::<String>().status(), StatusCode::TOO_MANY_REQUESTS);
    tokio::time::sleep(secs(60)).await;
    assert!(service.oneshot(post("")).await.is_ok());
}

/// Whoever is further in knows best what a failure was.
#[tokio::test(start_paused = true)]
async fn the_inner_service_has_its_attempt_at_hand() {
    let set = set();
    let service = openai(&set).build().unwrap().layer(service_fn(|request: Request<String>| {
        let attempt = request.extensions().get::<Attempt>().unwrap();
        assert_eq!(attempt.admitted_at(), attempt.admitted_at());
        attempt.settle([("tokens", 77)]).unwrap();
        attempt.report(Verdict::Overloaded);
        ready(Err::<Response<Full<Bytes>>, _>(attempt.number().to_string()))
    }));
    assert_eq!(service.oneshot(post("")).await.unwrap_err().to_string(), "3");
    assert_eq!((verdicts(&set).overloaded, used(&set, "tokens")), (3, 231));
    assert_all_came_back(&set);
}

#[test]
fn times_of_zero_are_refused() {
    let layer = || openai(&set());
    for (name, builder) in [
        ("longest_wait", layer().longest_wait(Duration::ZERO)),
        ("error_body", layer().error_body(9, Duration::ZERO)),
        ("body_timeout", layer().body_timeout(Duration::ZERO)),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.to_string(), format!("`{name}` is 0s; it must be above zero"));
    }
}

/// What compiles fits: hyper-util's client as it is.
#[test]
fn hyper_clients_are_services_that_can_be_limited() {
    use hyper_util::client::legacy::Client;
    use hyper_util::client::legacy::connect::HttpConnector;
    fn fits<S: Service<Request<Full<Bytes>>, Future: Send> + Clone + Send>(_: S) {}
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(hyper_util::rt::TokioExecutor::new()).build(HttpConnector::new());
    fits(LimitLayer::builder(over(&set())).repeat_clones().build().unwrap().layer(client));
}
