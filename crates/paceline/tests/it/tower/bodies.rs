//! Permits and verdicts to the end of a body.

use super::*;

fn data(text: &str) -> Result<Frame<Bytes>, String> {
    Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes())))
}

#[tokio::test(start_paused = true)]
async fn a_permit_is_held_to_the_end_of_the_body_and_the_sample_ends_with_its_head() {
    let kept = Kept::default();
    let set = LimitSet::builder("api").adaptive(kept.clone()).build().unwrap();
    let (send, body) = stream();
    let body = Mutex::new(Some(body));
    let body = Arc::new(body);
    let service = openai(&set).build().unwrap().layer(service_fn(move |_| {
        let body = Arc::clone(&body);
        async move {
            tokio::time::sleep(millis(30)).await;
            Ok::<_, Infallible>(Response::new(body.lock().unwrap().take().unwrap()))
        }
    }));
    let response = service.oneshot(post("")).await.unwrap();
    let mut body = response.into_body();
    tokio::time::sleep(secs(9)).await;
    send.unbounded_send(data("one")).unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
    assert_eq!((used(&set, "concurrency"), verdicts(&set).total()), (1, 0));
    drop(send);
    assert!(body.frame().await.is_none());
    assert_eq!((used(&set, "concurrency"), verdicts(&set).success), (0, 1), "before it is dropped");
    let samples = kept.0.lock().unwrap().clone();
    assert_eq!((samples.len(), samples[0].duration), (1, millis(30)));
    drop(body);
    assert_eq!(verdicts(&set).total(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_whose_last_frame_is_known_gives_its_permit_back_with_it() {
    let set = set();
    let (service, _) = scripted([answer(200, &[], "all of it"), answer(204, &[], "")]);
    let service = openai(&set).build().unwrap().layer(service);
    let mut body = service.clone().oneshot(post("")).await.unwrap().into_body();
    assert_eq!(used(&set, "concurrency"), 1);
    let _ = body.frame().await;
    assert_eq!((used(&set, "concurrency"), verdicts(&set).success), (0, 1));
    let _empty = service.oneshot(post("")).await.unwrap();
    assert_eq!((used(&set, "concurrency"), verdicts(&set).success), (0, 2), "nothing of it is left to read");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_settled_by_its_last_word() {
    let set = LimitSet::builder("api")
        .rate("input_tokens", Quota::per_minute(9_000))
        .rate("output_tokens", Quota::per_minute(9_000))
        .build()
        .unwrap();
    let (send, body) = stream();
    let response = Response::builder().header("content-type", "text/event-stream").body(body).unwrap();
    let response = Mutex::new(Some(response));
    let layer = LimitLayer::builder(over(&set)).dialect(Dialect::Anthropic).settle_usage();
    let layer = layer.cost(|_: &Request<String>| [("input_tokens", 500), ("output_tokens", 4_000)]).build().unwrap();
    let inner = Arc::new(move || response.lock().unwrap().take().unwrap());
    let service = layer.layer(service_fn(move |_| ready(Ok::<_, Infallible>(inner()))));
    let mut body = service.oneshot(post("")).await.unwrap().into_body();
    // Lines are cut as the network cuts them.
    let events = [
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"us",
        "age\":{\"input_tokens\":30,\"cache_read_input_tokens\":70,\"cache_creation_input_tokens\":0,\"output_tokens\":1}}}\n\n",
        "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"usage\"}}\n\ndata: not json \"usage\"\n\n",
        "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":17}}",
    ];
    for event in events {
        send.unbounded_send(data(event)).unwrap();
        let _ = body.frame().await;
    }
    assert_eq!((used(&set, "input_tokens"), used(&set, "output_tokens")), (500, 4_000));
    drop(send);
    assert!(body.frame().await.is_none());
    assert_eq!((used(&set, "input_tokens"), used(&set, "output_tokens")), (30, 17), "cache reads are free there");
}

#[tokio::test(start_paused = true)]
async fn usage_that_is_known_within_need_not_be_read_again() {
    let set = set();
    let layer = openai(&set).settle_usage_as(Dialect::Plain.charges()).cost(|_| [("tokens", 100)]).build().unwrap();
    let inner = service_fn(move |_| {
        let mut response = answer(200, &[], r#"{"usage":{"total_tokens":7}}"#);
        response.extensions_mut().insert(Usage { total: Some(9), ..Usage::default() });
        ready(Ok::<_, Infallible>(response))
    });
    let mut body = layer.layer(inner).oneshot(post("")).await.unwrap().into_body();
    while body.frame().await.is_some() {}
    assert_eq!((used(&set, "tokens"), body.usage().and_then(|usage| usage.total)), (9, Some(9)));
}

#[tokio::test(start_paused = true)]
async fn an_error_whose_body_never_ends_is_judged_by_its_head_and_still_handed_on() {
    let set = set();
    let (send, body) = stream();
    let body = Arc::new(Mutex::new(Some(body)));
    let layer = openai(&set).error_body(1_000, secs(3)).body_timeout(secs(60)).build().unwrap();
    let service = layer.layer(service_fn(move |_| {
        let error = Response::builder().status(400).body(body.lock().unwrap().take().unwrap());
        ready(Ok::<_, Infallible>(error.unwrap()))
    }));
    send.unbounded_send(data("half of ")).unwrap();
    let (response, took) = timed(service.oneshot(post(""))).await;
    assert_eq!((took, verdicts(&set).permanent, used(&set, "concurrency")), (secs(3), 1, 0));
    let mut body = response.unwrap().into_body();
    send.unbounded_send(data("an explanation")).unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half of ");
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "an explanation");
    let (end, took) = timed(body.frame()).await;
    assert!(matches!(end, Some(Err(BodyError::TimedOut(_)))), "{end:?}");
    assert_eq!(took, secs(60));
    assert!(body.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_longer_than_is_read_comes_whole() {
    let set = set();
    let (send, body) = stream();
    let body = Arc::new(Mutex::new(Some(body)));
    let service = openai(&set).error_body(10, secs(3)).build().unwrap().layer(service_fn(move |_| {
        let error = Response::builder().status(404).body(body.lock().unwrap().take().unwrap());
        ready(Ok::<_, Infallible>(error.unwrap()))
    }));
    for part in ["there is ", "nothing ", "of that name ", "here"] {
        send.unbounded_send(data(part)).unwrap();
    }
    drop(send);
    let (response, took) = timed(service.oneshot(post(""))).await;
    assert_eq!(took, Duration::ZERO);
    assert_eq!(text(response.unwrap()).await, "there is nothing of that name here");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_bounded_by_a_timeout() {
    let set = set();
    let (send, body) = stream();
    let body = Arc::new(Mutex::new(Some(body)));
    let service =
        openai(&set).body_timeout(secs(30)).build().unwrap().layer(service_fn(move |_| {
            ready(Ok::<_, Infallible>(Response::new(body.lock().unwrap().take().unwrap())))
        }));
    let mut body = service.oneshot(post("")).await.unwrap().into_body();
    let dribble = tokio::spawn(async move {
        while send.unbounded_send(data(".")).is_ok() {
            tokio::time::sleep(millis(700)).await;
        }
    });
    let (error, took) = timed(async {
        loop {
            if let Err(error) = body.frame().await.expect("it ends with an error").map(drop) {
                break error;
            }
        }
    })
    .await;
    assert_eq!(took, secs(30));
    assert!(error.to_string().contains("did not end within 30s"), "{error}");
    assert_eq!((verdicts(&set).overloaded, used(&set, "concurrency")), (1, 0), "nobody has to drop it");
    drop(body);
    dribble.await.unwrap();
    assert_eq!(verdicts(&set).total(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_is_transient_and_one_that_is_dropped_is_cancelled() {
    let set = set();
    let layer = openai(&set).settle_usage_as(Dialect::Plain.charges()).cost(|_| [("tokens", 100)]).build().unwrap();
    let open = async || {
        let (send, body) = stream();
        let body = Arc::new(Mutex::new(Some(body)));
        let inner =
            service_fn(move |_| ready(Ok::<_, Infallible>(Response::new(body.lock().unwrap().take().unwrap()))));
        (send, layer.layer(inner).oneshot(post("")).await.unwrap().into_body())
    };
    let (send, mut broken) = open().await;
    send.unbounded_send(Err("reset by peer".into())).unwrap();
    assert!(matches!(broken.frame().await, Some(Err(BodyError::Failed(_)))));
    assert_eq!(verdicts(&set).transient, 1);
    let (send, mut dropped) = open().await;
    send.unbounded_send(data(r#"{"usage":{"total_tokens":7}}"#)).unwrap();
    let _ = dropped.frame().await;
    drop(dropped);
    let verdicts = verdicts(&set);
    assert_eq!((verdicts.cancelled, verdicts.total()), (1, 2));
    assert_eq!(used(&set, "tokens"), 200, "what was sent stays charged");
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_dropped_lingers_as_a_cancelled_call_does() {
    let set = LimitSet::builder("api").concurrency(1).build().unwrap();
    let pipeline = Pipeline::over(&set).linger(secs(10)).build().unwrap();
    let layer = LimitLayer::<String>::builder(pipeline).build().unwrap();
    let (_send, body) = stream();
    let body = Arc::new(Mutex::new(Some(body)));
    let service = layer
        .layer(service_fn(move |_| ready(Ok::<_, Infallible>(Response::new(body.lock().unwrap().take().unwrap())))));
    drop(service.oneshot(post("")).await.unwrap());
    assert_eq!(timed(set.acquire(())).await.1, secs(10));
}
