//! What a body says of usage, read as it passes.

use http::header::CONTENT_TYPE;
use http::response;
use paceline_core::headers::{Charges, Usage};

use crate::pipeline::Attempt;
use crate::plan::unit;

/// A body or an event that is longer says nothing here.
const LARGEST: usize = 16 << 20;

/// Reads usage from the body of a success, and settles by it.
#[derive(Debug)]
pub(super) struct Meter {
    charges: Charges,
    form: Form,
    usage: Option<Usage>,
}

#[derive(Debug)]
enum Form {
    /// One JSON value, to be read at its end.
    Whole(Vec<u8>),
    /// Server-sent events: the line that is not complete yet.
    Events(Vec<u8>),
    /// Nothing that can be read, is worth the memory, or is not known already.
    Other,
}

impl Meter {
    pub(super) fn new(charges: Charges, head: &response::Parts) -> Self {
        if let Some(usage) = head.extensions.get() {
            return Self { charges, form: Form::Other, usage: Some(*usage) };
        }
        let kind = head.headers.get(CONTENT_TYPE).map_or(&b"application/json"[..], |kind| kind.as_bytes());
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let form = match kind {
            b"text/event-stream" => Form::Events(Vec::new()),
            kind if kind.ends_with(b"json") => Form::Whole(Vec::new()),
            _ => Form::Other,
        };
        Self { charges, form, usage: None }
    }

    pub(super) fn push(&mut self, data: &[u8]) {
        let held = match &mut self.form {
            Form::Other => return,
            Form::Whole(held) => {
                held.extend_from_slice(data);
                held
            }
            Form::Events(held) => {
                let mut rest = data;
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    held.extend_from_slice(&rest[..end]);
                    self.usage = follow(self.usage, event(held));
                    held.clear();
                    rest = &rest[end + 1..];
                }
                held.extend_from_slice(rest);
                held
            }
        };
        if held.len() > LARGEST {
            self.form = Form::Other;
        }
    }

    /// The body has ended: corrects the charges to what it used.
    pub(super) fn settle(mut self, attempt: &Attempt) -> Option<Usage> {
        match std::mem::replace(&mut self.form, Form::Other) {
            Form::Whole(body) => self.usage = Usage::read(&body),
            Form::Events(line) => self.usage = follow(self.usage, event(&line)),
            Form::Other => {}
        }
        let usage = self.usage?;
        let units = |key| Some((key, self.charges.units(unit(key)?, &usage)?));
        let actual: Vec<_> = attempt.set().keys().filter_map(units).collect();
        // The set's own keys.
        let _ = attempt.settle(actual);
        Some(usage)
    }
}

/// What a line of a stream says. Few events do, so that most need not be parsed.
fn event(line: &[u8]) -> Option<Usage> {
    let data = line.strip_prefix(b"data:")?;
    let names = [&b"\"usage\""[..], b"\"usageMetadata\""];
    let named = names.iter().any(|name| data.windows(name.len()).any(|part| part == *name));
    if named { Usage::read(data.trim_ascii()) } else { None }
}

fn follow(usage: Option<Usage>, later: Option<Usage>) -> Option<Usage> {
    match (usage, later) {
        (Some(usage), Some(later)) => Some(usage.followed_by(later)),
        (usage, later) => later.or(usage),
    }
}
