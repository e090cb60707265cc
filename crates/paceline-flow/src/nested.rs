//! Flows as nodes of other flows.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use crate::action::Action;
use crate::batch_flow::{BatchFlow, Run, Shop, first_failure};
use crate::context::Context;
use crate::effective::Shape;
use crate::failure::{Cause, Failure, Result};
use crate::flow::Flow;
use crate::mermaid::{escaped, line};
use crate::panics::guarded_now;
use crate::stage::{Desk, Slot, Stage};
use crate::stats::NodeStats;

/// A flow that an instance of another runs once.
pub(crate) struct NestedFlow<'n, S, Q, F> {
    name: Arc<str>,
    flow: Flow<'n, S, Q>,
    params: F,
}

/// A batch flow that an instance of another runs once, for parameters of its making.
pub(crate) struct NestedBatch<'n, S, Q, F> {
    name: Arc<str>,
    batch: BatchFlow<'n, S, Q>,
    params: F,
}

impl<'n, S: Sync, Q: Send + Sync, F> NestedFlow<'n, S, Q, F> {
    pub(crate) fn new(name: Arc<str>, mut flow: Flow<'n, S, Q>, params: F) -> Self {
        flow.rename_below(&name);
        Self { name, flow, params }
    }
}

impl<'n, S: Sync, Q: Send + Sync, F> NestedBatch<'n, S, Q, F> {
    pub(crate) fn new(name: Arc<str>, mut batch: BatchFlow<'n, S, Q>, params: F) -> Self {
        batch.rename(&name);
        Self { name, batch, params }
    }
}

fn made<T>(name: &Arc<str>, made: Result<Result<T>, Cause>) -> Result<T, Failure> {
    made.and_then(|made| made.map_err(Cause::Error)).map_err(|cause| Failure::new(name, None, cause))
}

impl<S, P, Q, F> Stage<S, P> for NestedFlow<'_, S, Q, F>
where
    S: Sync,
    P: Send + Sync,
    Q: Send + Sync,
    F: Fn(Context<'_, S, P>) -> Result<Q> + Send + Sync,
{
    fn run<'a>(&'a self, desk: &'a Desk, cx: Context<'a, S, P>) -> BoxFuture<'a, Result<Action, Failure>> {
        let Desk::Slot(slot) = desk else { unreachable!("it opened a slot") };
        let run = async move {
            let params = made(&self.name, guarded_now(|| (self.params)(cx)))?;
            let warnings = Mutex::default();
            let ended = self.flow.walk(slot, cx.with_params(&params), &warnings).await?;
            Ok(ended.action)
        };
        run.boxed()
    }

    fn open(&self) -> Desk {
        Desk::Slot(self.flow.open())
    }

    fn rename(&mut self, name: &Arc<str>) {
        self.name = Arc::clone(name);
        self.flow.rename_below(name);
    }

    fn stats(&self, desks: &[&Desk], into: &mut Vec<NodeStats>) {
        into.extend(self.flow.stats_of(&slots(desks)));
    }

    fn reset(&self, desks: &[&Desk]) {
        self.flow.reset_of(&slots(desks));
    }

    fn shape(&self) -> Shape {
        Shape::Flow { name: Arc::clone(&self.name), nodes: self.flow.shapes() }
    }

    fn chart(&self, text: &mut String, id: &str, depth: usize) {
        boxed(text, id, depth, &self.name, &self.flow);
    }
}

impl<S, P, Q, F> Stage<S, P> for NestedBatch<'_, S, Q, F>
where
    S: Sync,
    P: Send + Sync,
    Q: Send + Sync,
    F: Fn(Context<'_, S, P>) -> Result<Vec<Q>> + Send + Sync,
{
    fn run<'a>(&'a self, desk: &'a Desk, cx: Context<'a, S, P>) -> BoxFuture<'a, Result<Action, Failure>> {
        let Desk::Shop(shop) = desk else { unreachable!("it opened a shop") };
        let run = async move {
            let params = made(&self.name, guarded_now(|| (self.params)(cx)))?;
            let (mut report, posted) = Run::new(&self.batch, shop, cx.watch(), cx.shared, params).report().await;
            let cause = match posted {
                Ok(action) if self.batch.has_post() || report.is_complete() => return Ok(action),
                Ok(_) => first_failure(&mut report),
                Err(error) => Cause::Error(error),
            };
            Err(Failure::new(&self.name, None, cause))
        };
        run.boxed()
    }

    fn open(&self) -> Desk {
        Desk::Shop(self.batch.open_shop())
    }

    fn rename(&mut self, name: &Arc<str>) {
        self.name = Arc::clone(name);
        self.batch.rename(name);
    }

    fn stats(&self, desks: &[&Desk], into: &mut Vec<NodeStats>) {
        into.extend(self.batch.node_stats_in(&shops(desks)));
    }

    fn reset(&self, desks: &[&Desk]) {
        self.batch.reset_in(&shops(desks));
    }

    fn shape(&self) -> Shape {
        self.batch.shape_as(&self.name)
    }

    fn chart(&self, text: &mut String, id: &str, depth: usize) {
        let title = format!("{}, {} at once", self.name, self.batch.slots());
        boxed(text, id, depth, &title, self.batch.flow());
    }
}

/// A flow as a box of its own.
fn boxed<S: Sync, Q: Send + Sync>(text: &mut String, id: &str, depth: usize, title: &str, flow: &Flow<'_, S, Q>) {
    line(text, depth, format_args!("subgraph {id}[\"{}\"]", escaped(title)));
    flow.chart(text, &format!("{id}_"), depth + 1);
    line(text, depth, format_args!("end"));
}

fn slots<'d>(desks: &[&'d Desk]) -> Vec<&'d Slot> {
    let slots = desks.iter().filter_map(|desk| match desk {
        Desk::Slot(slot) => Some(slot),
        Desk::Lane(_) | Desk::Shop(_) => None,
    });
    slots.collect()
}

fn shops<'d>(desks: &[&'d Desk]) -> Vec<&'d Shop> {
    let shops = desks.iter().filter_map(|desk| match desk {
        Desk::Shop(shop) => Some(shop),
        Desk::Lane(_) | Desk::Slot(_) => None,
    });
    shops.collect()
}
