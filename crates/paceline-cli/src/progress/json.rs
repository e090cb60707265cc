//! One object a second, for programs.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Show;
use super::view::View;
use crate::drive::Shared;

pub(super) struct Json;

impl Show for Json {
    fn pace(&self) -> (Duration, Duration) {
        (Duration::from_secs(1), Duration::from_secs(1))
    }

    fn show(&mut self, view: &View, shared: &Shared) {
        shared.screen.show(&object(view, shared).to_string());
    }

    fn end(&mut self, view: &View, shared: &Shared) {
        self.show(view, shared);
    }
}

fn object(view: &View, shared: &Shared) -> Value {
    let tally = &shared.tally;
    let limit = |fill: &super::view::Fill| {
        (fill.name.to_string(), json!({"used": fill.used, "available": fill.available, "fill": rounded(fill.share)}))
    };
    json!({
        "event": "progress",
        "elapsed_s": rounded(view.elapsed.as_secs_f64()),
        "done": view.done,
        "total": view.total,
        "ok": tally.succeeded.get(),
        "failed": tally.failed.get(),
        "skipped": tally.known.get(),
        "in_flight": tally.in_flight.get(),
        "rate": rounded(view.rate),
        "binding": view.binding.as_deref(),
        "limits": view.fills.iter().map(limit).collect::<Map<_, _>>(),
        "rejected": tally.refusals.get(),
        "retries": tally.retries.get(),
        "eta_s": view.eta.map(|eta| rounded(eta.as_secs_f64())),
    })
}

/// To the thousandth: the rest is noise.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}
