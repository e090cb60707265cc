//! A subscriber that writes down what it sees on this thread.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// A span or an event.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) name: &'static str,
    /// The span that it lies in.
    pub(super) within: Option<&'static str>,
    fields: Fields,
}

impl Told {
    /// A field as text; none where it has no value.
    pub(super) fn get(&self, field: &str) -> Option<&str> {
        self.fields.0.get(field).map(String::as_str)
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &'static str> {
        self.fields.0.keys().copied().filter(|field| *field != "message")
    }
}

#[derive(Clone, Debug, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

#[derive(Debug, Default)]
struct All {
    spans: Vec<(Id, Told)>,
    events: Vec<Told>,
}

/// What was told on this thread since it was made.
pub(super) struct Seen {
    all: Arc<Mutex<All>>,
    _subscriber: DefaultGuard,
}

impl Seen {
    pub(super) fn new() -> Self {
        // Where one subscriber is all there is, tracing takes whoever comes first to a span for everybody: a thread that
        // has none would switch that span off for all. With two, each is asked.
        static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
        ANOTHER.get_or_init(|| Dispatch::new(tracing_subscriber::registry()));
        let all = Arc::default();
        let subscriber = tracing_subscriber::registry().with(Writer(Arc::clone(&all)));
        Self { all, _subscriber: tracing::subscriber::set_default(subscriber) }
    }

    pub(super) fn spans(&self) -> Vec<Told> {
        self.lock().spans.iter().map(|(_, told)| told.clone()).collect()
    }

    pub(super) fn events(&self) -> Vec<Told> {
        self.lock().events.clone()
    }

    pub(super) fn spans_of(&self, name: &str) -> Vec<Told> {
        self.spans().into_iter().filter(|span| span.name == name).collect()
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap()
    }
}

struct Writer(Arc<Mutex<All>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Writer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut told = Told { name: attributes.metadata().name(), ..Told::default() };
        told.within = context.span(id).and_then(|span| Some(span.parent()?.name()));
        attributes.record(&mut told.fields);
        self.0.lock().unwrap().spans.push((id.clone(), told));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut all = self.0.lock().unwrap();
        // Ids are used again: the latest one of that id.
        let told = all.spans.iter_mut().rev().find(|(of, _)| of == id);
        told.into_iter().for_each(|(_, told)| values.record(&mut told.fields));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut told = Told { name: event.metadata().name(), ..Told::default() };
        told.within = context.event_span(event).map(|span| span.name());
        event.record(&mut told.fields);
        self.0.lock().unwrap().events.push(told);
    }
}
