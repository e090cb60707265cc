//! Which path leads where.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;

use crate::call::Kind;
use crate::dialect::Fault;
use crate::provider::Provider;
use crate::{Seen, Stats, answer};

type Shared = State<Arc<Provider>>;

pub(crate) fn router(provider: Arc<Provider>) -> Router {
    Router::new()
        .route("/v1/{*path}", post(call))
        .route("/v1/models", get(models).post(call))
        .route("/_mock/requests", get(requests))
        .route("/_mock/stats", get(stats))
        .route("/_mock/reset", post(reset))
        .fallback(async |State(provider): Shared| provider.plain_fault(&Fault::NotFound))
        .method_not_allowed_fallback(async |State(provider): Shared| provider.plain_fault(&Fault::MethodNotAllowed))
        .with_state(provider)
}

/// Takes the request whole, since extracting its headers would copy them.
async fn call(State(provider): Shared, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let kind = Kind::of(parts.uri.path());
    match to_bytes(body, usize::MAX).await {
        Ok(body) => provider.call(kind, &parts.headers, &body).await,
        Err(why) => provider.plain_fault(&Fault::Malformed(format!("the body ended early: {why}"))),
    }
}

async fn models() -> Json<Value> {
    Json(answer::models())
}

async fn requests(State(provider): Shared) -> Json<Vec<Seen>> {
    Json(provider.requests())
}

async fn stats(State(provider): Shared) -> Json<Stats> {
    Json(provider.stats())
}

async fn reset(State(provider): Shared) -> StatusCode {
    provider.reset();
    StatusCode::NO_CONTENT
}
