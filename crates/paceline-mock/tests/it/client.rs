//! A small HTTP client, and the mocks that the tests start.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use paceline_mock::{Mock, MockConfig};
use serde_json::Value;

pub(crate) const CHAT: &str = "/v1/chat/completions";

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a text header"))
    }
}

pub(crate) async fn start(config: MockConfig) -> Mock {
    Mock::start(config, ([127, 0, 0, 1], 0).into()).await.expect("a free port")
}

/// Sends a call with further headers; `None` for the body makes it a GET.
pub(crate) async fn send(mock: &Mock, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
    let client: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new()).build_http();
    let mut request =
        Request::builder().method(if body.is_some() { "POST" } else { "GET" }).uri(format!("{}{path}", mock.url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Body::from(body.unwrap_or_default().to_owned());
    let response = client.request(request.body(body).expect("a request")).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let body = to_bytes(Body::new(body), usize::MAX).await.expect("a body");
    Answer { status: parts.status, headers: parts.headers, body }
}

pub(crate) async fn post(mock: &Mock, path: &str, body: &str) -> Answer {
    send(mock, path, &[], Some(body)).await
}

pub(crate) async fn get(mock: &Mock, path: &str) -> Answer {
    send(mock, path, &[], None).await
}
