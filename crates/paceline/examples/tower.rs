//! Both ends of a connection behind the same layer: an axum server that lets ten calls a second in, and a reqwest client
//! that was told something else and finds out.
//!
//! `cargo run -p paceline --features tower --example tower`

use std::error::Error;
use std::time::{Duration, Instant};

use axum::Router;
use axum::error_handling::HandleErrorLayer;
use axum::http::Response;
use axum::routing::post;
use bytes::Bytes;
use paceline::tower::{LimitError, LimitLayer, Served};
use paceline::{Aimd, LimitSet, Pipeline, Quota, Retry};
use tower::{Layer as _, ServiceBuilder, ServiceExt as _};

type Failed = Box<dyn Error + Send + Sync>;

/// Ten calls a second, and those above wait for a tenth of a second at most before they are refused.
fn server() -> Result<Router, Failed> {
    let limits = LimitSet::builder("server").calls(Quota::per_second(10)).concurrency(16).build()?;
    let limited = LimitLayer::builder(Pipeline::over(limits).build()?).within(Duration::from_millis(100)).build()?;
    let refuse = HandleErrorLayer::new(async |error: LimitError<_>| {
        let mut refusal: Response<String> = error.response();
        refusal.headers_mut().entry("retry-after").or_insert_with(|| "0.2".parse().expect("a header's value"));
        refusal
    });
    let layers = ServiceBuilder::new().layer(refuse).layer(limited);
    Ok(Router::new().route("/echo", post(async |body: String| body)).layer(layers))
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/echo", listener.local_addr()?);
    let server = tokio::spawn(axum::serve(listener, server()?).into_future());

    // Whatever wants TLS finds it; this server is plain and on this machine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let reqwest = tower::service_fn(move |request: http::Request<Bytes>| {
        let sent = reqwest::Request::try_from(request).map(|request| client.execute(request));
        async { sent?.await.map(http::Response::<reqwest::Body>::from) }
    });

    let limits = LimitSet::builder("client").calls(Quota::per_second(50)).adaptive(Aimd::default()).build()?;
    let retry = Retry::attempts(8).backoff(Duration::from_millis(20), Duration::from_millis(200));
    let pipeline = Pipeline::over(&limits).retry(retry).build()?;
    let limited = LimitLayer::builder(pipeline).repeat_clones().build()?.layer(reqwest);

    let began = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..20 {
        let request = http::Request::post(&url).body(Bytes::from(format!("number {number}")))?;
        calls.spawn(limited.clone().oneshot(request));
    }
    let mut attempts = 0;
    while let Some(call) = calls.join_next().await {
        let response = call??;
        assert_eq!(response.status(), 200);
        attempts += response.extensions().get::<Served>().map_or(0, |served| served.attempts);
    }
    let feedback = limits.snapshot().feedback;
    println!("20 answers in {:?}: {attempts} attempts, {} refused", began.elapsed(), feedback.verdicts.rate_limited);
    println!("at most {:?} at once by now, after {} cuts", feedback.level, feedback.cuts);
    server.abort();
    Ok(())
}
