//! One attempt over HTTP.

mod flaw;
mod simulated;
mod told;

use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use anyhow::{Context as _, Result};
use bytes::{Bytes, BytesMut};
use http::Response;
use paceline::headers::Dialect;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Body, Client, StatusCode, Url, redirect, retry};

use crate::endpoint::{ApiKey, BaseUrl, Endpoint, Group};
use crate::estimate::Cost;
use crate::input::{Code, Request};
use crate::job::Job;
use crate::journal::record::Failure;
use crate::output::{self as kept, Reply};
pub(crate) use flaw::{Flaw, Flawed, status_of};
pub(crate) use simulated::Simulated;
use told::Told;

/// What the attempts at one endpoint have in common.
#[derive(Debug)]
pub(crate) struct Sender {
    link: Link,
    name: String,
    base: BaseUrl,
    /// The latest line's url and the address it led to: most lines have the same.
    latest: Mutex<Option<(String, Url)>>,
    key: Option<ApiKey>,
    send_custom_id: bool,
}

/// What is at the other end.
#[derive(Debug)]
enum Link {
    Http(Client),
    /// Nothing, but it takes its time.
    Simulated {
        service: Arc<Simulated>,
        timeout: Duration,
    },
}

/// Why an attempt has no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// No connection was made.
    Unreachable(String),
    TimedOut,
    /// The connection failed later.
    Broken(String),
    /// It was not sent, since the journal could not take it.
    Unrecorded(io::Error),
    /// The answer did not end within this many bytes.
    TooLong(usize),
}

const X_CUSTOM_ID: HeaderName = HeaderName::from_static("x-custom-id");

/// A service that does not even accept a connection by then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// No model writes more, but a service that never ends would fill the memory.
const LARGEST: usize = 64 << 20;

impl Sender {
    /// Those of a job's endpoints, in their order.
    pub(crate) fn all(job: &Job) -> Result<Arc<[Self]>> {
        let of = |group: &Group, endpoint| {
            Self::new(endpoint, group.speech.dialect, group.concurrency.most(), job.send_custom_id)
        };
        job.groups.iter().flat_map(|group| group.endpoints.iter().map(move |endpoint| of(group, endpoint))).collect()
    }

    /// One that keeps so many connections open.
    fn new(endpoint: &Endpoint, dialect: Dialect, connections: u64, send_custom_id: bool) -> Result<Self> {
        let Endpoint { name, base, key, timeout, headers, .. } = endpoint.clone();
        // Fails only if it is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &key {
            key.show(dialect, base.is_compatible(), &mut headers);
        }
        let mut client = Client::builder()
            .user_agent(concat!("paceline/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .timeout(timeout)
            .connect_timeout(timeout.min(CONNECT_TIMEOUT))
            .pool_max_idle_per_host(usize::try_from(connections).unwrap_or(usize::MAX))
            // Every attempt is charged, so every attempt is ours to make.
            .retry(retry::never())
            .redirect(redirect::Policy::none());
        if base.is_loopback() {
            client = client.no_proxy();
        }
        if !base.is_tls() {
            // Then a machine without root certificates will do.
            client = client.tls_certs_only([]);
        }
        let client = client.build().context("cannot set up HTTP")?;
        Ok(Self { link: Link::Http(client), name, base, latest: Mutex::default(), key, send_custom_id })
    }

    /// One that has that endpoint's name and patience, and sends nothing.
    pub(crate) fn simulated(endpoint: &Endpoint, service: Arc<Simulated>) -> Self {
        let Endpoint { name, base, timeout, .. } = endpoint.clone();
        let link = Link::Simulated { service, timeout };
        Self { link, name, base, latest: Mutex::default(), key: None, send_custom_id: false }
    }

    /// Where it sends to.
    pub(crate) fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// What the endpoint is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What held the key, if there is one.
    pub(crate) fn key_place(&self) -> Option<&str> {
        self.key.as_ref().map(|key| &*key.place)
    }

    /// Sends a request once and reads the whole answer; `left` is called when its bytes are handed to the connection.
    ///
    /// Cancel safety: dropped, the request may or may not have reached the service.
    pub(crate) async fn exchange(
        &self,
        request: &Request,
        cost: Cost,
        left: impl FnOnce() + Send + Sync + Unpin + 'static,
    ) -> Result<Response<Body>, Unanswered> {
        let client = match &self.link {
            Link::Http(client) => client,
            Link::Simulated { service, timeout } => return service.answer(cost, *timeout, left).await,
        };
        let body = Body::wrap(Told::new(request.body.clone(), left));
        let mut call = client.post(self.address(client, &request.url)?).body(body);
        if self.send_custom_id {
            // An id that no header can carry goes without.
            if let Ok(id) = HeaderValue::from_bytes(request.custom_id.as_bytes()) {
                call = call.header(X_CUSTOM_ID, id);
            }
        }
        let mut answer = call.send().await?;
        let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
        let mut response = Response::new(Body::from(whole(&mut answer).await?));
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        Ok(response)
    }

    fn address(&self, client: &Client, url: &str) -> reqwest::Result<Url> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, address)) = &*latest {
            if known == url {
                return Ok(address.clone());
            }
        }
        let address = client.post(self.base.join(url)).build()?.url().clone();
        *latest = Some((url.to_owned(), address.clone()));
        Ok(address)
    }

    /// An answer as it is kept.
    pub(crate) fn reply(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Reply {
        let text = match String::from_utf8(body.into()) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        let body = kept::Body::new(self.redact(text));
        Reply { status: status.as_u16(), request_id: self.redact(request_id(headers)), body }
    }

    /// Where a redirect points to, to be shown.
    pub(crate) fn location(&self, headers: &HeaderMap) -> String {
        let to = headers.get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
        self.redact(to.unwrap_or_else(|| "nowhere".into())).chars().take(200).collect()
    }

    fn redact(&self, text: String) -> String {
        match &self.key {
            Some(key) => key.redact(text),
            None => text,
        }
    }
}

/// All of an answer, if that is not too much.
async fn whole(answer: &mut reqwest::Response) -> Result<Bytes, Unanswered> {
    let Some(first) = answer.chunk().await? else { return Ok(Bytes::new()) };
    let Some(second) = answer.chunk().await? else { return Ok(first) };
    let mut all = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(chunk) = next {
        if all.len() + chunk.len() > LARGEST {
            return Err(Unanswered::TooLong(LARGEST));
        }
        all.extend_from_slice(&chunk);
        next = answer.chunk().await?;
    }
    Ok(all.freeze())
}

fn request_id(headers: &HeaderMap) -> String {
    let id = ["x-request-id", "request-id"].iter().find_map(|name| headers.get(*name));
    id.map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned()).unwrap_or_default()
}

impl From<reqwest::Error> for Unanswered {
    fn from(error: reqwest::Error) -> Self {
        let mut cause = error.source();
        let mut root = error.to_string();
        while let Some(error) = cause {
            root = error.to_string();
            cause = error.source();
        }
        if error.is_connect() {
            Self::Unreachable(format!("cannot connect: {root}"))
        } else if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Broken(format!("the connection failed before the answer was complete: {root}"))
        }
    }
}

impl Unanswered {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::TimedOut => Code::Timeout,
            Self::Unreachable(_) | Self::Broken(_) | Self::Unrecorded(_) => Code::Connection,
            Self::TooLong(_) => Code::BadAnswer,
        }
    }

    /// What the journal calls it.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::TimedOut => Failure::Timeout,
            Self::Unreachable(_) | Self::Broken(_) | Self::TooLong(_) | Self::Unrecorded(_) => Failure::Connection,
        }
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("no answer in time; --timeout sets how long to wait"),
            Self::Unreachable(why) | Self::Broken(why) => f.write_str(why),
            Self::Unrecorded(error) => write!(f, "not sent, since the journal cannot be written: {error}"),
            Self::TooLong(bytes) => write!(f, "the answer did not end within {} MiB; ask for less", bytes >> 20),
        }
    }
}
