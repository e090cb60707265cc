//! The provider: account, journal and dice behind one lock, and the way of a call through them.

use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use tokio::time::sleep;

use crate::account::{Account, Reading, Refusal, Verdict};
use crate::answer;
use crate::call::{Call, Kind};
use crate::dialect::Fault;
use crate::dice::{Dice, Failure};
use crate::journal::Journal;
use crate::{Charge, Dialect, MockConfig, Seen, Stats};

pub(crate) struct Provider {
    config: MockConfig,
    desk: Mutex<Desk>,
}

struct Desk {
    started: Instant,
    account: Account,
    journal: Journal,
    dice: Dice,
    /// Calls ever, for their ids; a reset leaves it.
    calls: u64,
}

/// What arriving led to.
struct Arrival<'a> {
    number: u64,
    readings: Vec<Reading>,
    outcome: Result<Admitted<'a>, Refusal>,
}

struct Admitted<'a> {
    latency: Duration,
    failure: Option<Failure>,
    slot: Slot<'a>,
}

/// An admitted call's place in flight, given back however the call ends: a client that hangs up drops it too.
struct Slot<'a>(&'a Provider);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.desk.lock().account.leave();
    }
}

type Headers = Vec<(&'static str, String)>;

impl Provider {
    pub(crate) fn new(config: MockConfig) -> Self {
        let (account, dice) = (Account::new(&config), Dice::new(&config));
        let desk = Desk { started: Instant::now(), account, journal: Journal::default(), dice, calls: 0 };
        Provider { config, desk: Mutex::new(desk) }
    }

    /// Answers one call.
    ///
    /// Cancel safety: dropped before its arrival, it has not happened; after it, it stays charged and in the journal,
    /// but is no longer in flight.
    pub(crate) async fn call(&self, kind: Kind, headers: &HeaderMap, body: &Bytes) -> Response {
        let call = self.read(headers, body);
        if !self.config.jitter.is_zero() {
            let jitter = self.desk.lock().dice.jitter();
            sleep(jitter).await;
        }
        let custom_id = headers.get("x-custom-id").map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
        let call = match call {
            Ok(call) => call,
            Err(fault) => {
                let number = self.turn_away(custom_id, &fault);
                return self.fault(&fault, kind, number, Headers::new());
            }
        };
        let Arrival { number, readings, outcome } = self.arrive(custom_id, call.charge);
        let said = self.said(&readings, outcome.as_ref().err());
        let Admitted { latency, failure, slot } = match outcome {
            Ok(admitted) => admitted,
            Err(refusal) => return self.fault(&Fault::Refused(refusal), kind, number, said),
        };
        if !latency.is_zero() {
            sleep(latency).await;
        }
        let response = match failure {
            Some(failure) => self.fault(&failure.into(), kind, number, said),
            None => {
                let (content_type, text) = answer::write(kind, &call, number, body);
                self.respond(number, content_type, text, said)
            }
        };
        // Not a moment after the client can know of the answer, or its next call would be refused for this one.
        drop(slot);
        response
    }

    /// An answer that no call led to.
    pub(crate) fn plain_fault(&self, fault: &Fault) -> Response {
        self.fault(fault, Kind::Other, 0, Headers::new())
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.desk.lock().journal.seen.clone()
    }

    pub(crate) fn stats(&self) -> Stats {
        let desk = self.desk.lock();
        let Journal { ok, rejected, errors, .. } = desk.journal;
        Stats {
            total: ok + rejected + errors,
            ok,
            rejected,
            errors,
            peak_in_flight: desk.account.peak_in_flight(),
            limits: desk.account.limits(),
        }
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.desk.lock().account.in_flight()
    }

    pub(crate) fn reset(&self) {
        let mut desk = self.desk.lock();
        desk.journal = Journal::default();
        desk.account.forget_records();
    }

    /// Reads a call, or says why it is turned away before any limit is looked at.
    fn read(&self, headers: &HeaderMap, body: &[u8]) -> Result<Call, Fault> {
        let given = |key: &str| {
            let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
            let own = self.config.dialect.key_header().and_then(|name| headers.get(name)).map(HeaderValue::as_bytes);
            bearer == Some(key.as_bytes()) || own == Some(key.as_bytes())
        };
        match &self.config.api_key {
            Some(key) if !given(key) => Err(Fault::Unauthorized),
            _ => Call::read(body).map_err(Fault::Malformed),
        }
    }

    fn turn_away(&self, custom_id: Option<String>, fault: &Fault) -> u64 {
        let mut desk = self.desk.lock();
        let now = desk.started.elapsed();
        desk.note(now, custom_id, fault.status(self.config.dialect).as_u16())
    }

    fn arrive(&self, custom_id: Option<String>, charge: Charge) -> Arrival<'_> {
        let mut desk = self.desk.lock();
        // Read under the lock, so that instants never run backwards.
        let now = desk.started.elapsed();
        let outcome = match desk.account.arrive(now, charge) {
            Verdict::Admitted => Ok((desk.dice.latency(), desk.dice.failure())),
            Verdict::Refused(refusal) => Err(refusal),
        };
        let status = match &outcome {
            Ok((_, None)) => 200,
            Ok((_, Some(failure))) => Fault::from(*failure).status(self.config.dialect).as_u16(),
            Err(_) => 429,
        };
        let number = desk.note(now, custom_id, status);
        let readings = if self.config.no_headers { Vec::new() } else { desk.account.readings(now) };
        drop(desk);
        let outcome = outcome.map(|(latency, failure)| Admitted { latency, failure, slot: Slot(self) });
        Arrival { number, readings, outcome }
    }

    fn said(&self, readings: &[Reading], refusal: Option<&Refusal>) -> Headers {
        if self.config.no_headers {
            return Headers::new();
        }
        self.config.dialect.headers(readings, refusal, SystemTime::now())
    }

    fn fault(&self, fault: &Fault, kind: Kind, number: u64, said: Headers) -> Response {
        let dialect = self.config.dialect;
        let compatible = !matches!(kind, Kind::Messages | Kind::Other);
        let (content_type, text) = fault.body(dialect, compatible);
        let mut response = self.respond(number, content_type, text, said);
        *response.status_mut() = fault.status(dialect);
        response
    }

    fn respond(&self, number: u64, content_type: &'static str, text: String, said: Headers) -> Response {
        let mut response = ([(header::CONTENT_TYPE, content_type)], text).into_response();
        let headers = response.headers_mut();
        let id = match self.config.dialect {
            Dialect::Anthropic => "request-id",
            _ => "x-request-id",
        };
        for (name, value) in said.into_iter().chain([(id, format!("req-mock-{number:08}"))]) {
            let value = HeaderValue::try_from(value).expect("limits and ids are plain text");
            headers.insert(HeaderName::from_static(name), value);
        }
        response
    }
}

impl Desk {
    /// Enters a call in the journal; its number is the answer.
    fn note(&mut self, arrival: Duration, custom_id: Option<String>, status: u16) -> u64 {
        self.journal.write(Seen { custom_id, arrival, status });
        self.calls += 1;
        self.calls
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Internal => Fault::Internal,
            Failure::Unavailable => Fault::Unavailable,
        }
    }
}
