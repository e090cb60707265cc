//! What the provider saw, as it tells it at `/_mock/requests` and `/_mock/stats`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// One call in the journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Seen {
    /// The `x-custom-id` header, if it was sent.
    pub custom_id: Option<String>,
    /// When it arrived, since the mock started; seconds as a float in JSON.
    #[serde(serialize_with = "seconds")]
    pub arrival: Duration,
    /// How it was answered, decided on arrival: a client that left before its answer is written here all the same.
    pub status: u16,
}

/// Totals since the start, or since the last reset. `total` is the sum of the three after it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Calls.
    pub total: u64,
    /// Admitted and answered with 200.
    pub ok: u64,
    /// Refused with 429.
    pub rejected: u64,
    /// Answered with anything else.
    pub errors: u64,
    /// The most calls in flight at once.
    pub peak_in_flight: u64,
    /// The limits by name: `requests`, `tokens`, …; a second limit of one key is named `requests/86400s`.
    pub limits: BTreeMap<String, LimitStats>,
}

/// One limit, and how full it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LimitStats {
    /// Units per window.
    pub amount: u64,
    /// The window; `window_s` in seconds in JSON.
    #[serde(rename = "window_s", serialize_with = "seconds")]
    pub window: Duration,
    /// The most units admitted in any window `(t − window, t]`.
    pub worst: u64,
}

fn seconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_secs_f64())
}

/// The calls in order of arrival, and their totals.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) seen: Vec<Seen>,
    pub(crate) ok: u64,
    pub(crate) rejected: u64,
    pub(crate) errors: u64,
}

impl Journal {
    pub(crate) fn write(&mut self, seen: Seen) {
        match seen.status {
            200 => self.ok += 1,
            429 => self.rejected += 1,
            _ => self.errors += 1,
        }
        self.seen.push(seen);
    }
}
