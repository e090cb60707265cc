//! A user's node in a graph: its items, run as its limits allow.

mod item;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use paceline::{RateLimitHit, Verdict};

use crate::action::Action;
use crate::context::Context;
use crate::effective::Shape;
use crate::event::Event;
use crate::failure::{Cause, Failure, Result};
use crate::lane::{Lane, Plan};
use crate::mermaid::{escaped, line};
use crate::node::Node;
use crate::panics::guarded;
use crate::stage::{Desk, Stage};
use crate::stats::{Counters, NodeStats, add_slot};

/// A node with its limits.
pub(crate) struct Step<N> {
    node: N,
    plan: Plan,
    counters: Counters,
}

impl<N: Node> Step<N> {
    pub(crate) fn new(node: N, plan: Plan) -> Self {
        Self { node, plan, counters: Counters::default() }
    }

    async fn run<'a>(&'a self, lane: &'a Lane, cx: Context<'a, N::Shared, N::Params>) -> Result<Action, Failure> {
        self.counters.runs.add(1);
        let items = self.own(guarded(|| self.node.prep(cx)).await)?;
        cx.tell(Event::Prepared { instance: cx.instance(), node: cx.node(), items: items.len() });
        let outputs = self.outputs(lane, cx, &items).await?;
        self.own(guarded(|| self.node.post(cx, items, outputs)).await)
    }

    /// What became of all items, in their order. The first that fails for good ends it, and the others with it.
    async fn outputs<'a>(
        &'a self,
        lane: &'a Lane,
        cx: Context<'a, N::Shared, N::Params>,
        items: &'a [N::Item],
    ) -> Result<Vec<N::Output>, Failure> {
        if let [item] = items {
            return Ok(vec![self.item(lane, cx, 0, item).await.1?]);
        }
        let mut outputs: Vec<Option<N::Output>> = std::iter::repeat_with(|| None).take(items.len()).collect();
        let mut running = FuturesUnordered::new();
        let mut waiting = items.iter().enumerate();
        let mut bound = lane.bound(items.len());
        // A look at every set costs something, and levels do not change that fast.
        let mut until_next_look = bound / 2;
        loop {
            while running.len() < bound {
                let Some((index, item)) = waiting.next() else { break };
                running.push(self.item(lane, cx, index, item));
            }
            let Some((index, output)) = running.next().await else { break };
            outputs[index] = Some(output?);
            until_next_look = until_next_look.saturating_sub(1);
            if until_next_look == 0 && waiting.len() > 0 {
                bound = lane.bound(items.len());
                until_next_look = bound / 2;
            }
        }
        Ok(outputs.into_iter().flatten().collect())
    }

    /// A failure of the node itself, not of an item.
    fn own<T>(&self, result: Result<T, Cause>) -> Result<T, Failure> {
        result.map_err(|cause| {
            let cause = match cause {
                Cause::Error(error) if self.plan.limits.propagates => self.propagated(error),
                Cause::Error(error) => Cause::of(error),
                cause => cause,
            };
            Failure::new(&self.plan.name, None, cause)
        })
    }

    /// An error of prep or post, handed on where it is a rate limit.
    fn propagated(&self, error: crate::BoxError) -> Cause {
        let result = Err(error);
        let verdict = paceline::by_error::<(), _>(&result);
        match (verdict, result) {
            (Verdict::RateLimited { retry_after }, Err(error)) => Cause::RateLimited(hit(error, retry_after)),
            (_, Err(error)) => Cause::Error(error),
            (_, Ok(())) => Cause::Rejected,
        }
    }
}

/// The hit that an error tells of: itself, if it is one.
fn hit(error: crate::BoxError, retry_after: Option<std::time::Duration>) -> RateLimitHit {
    match error.downcast::<RateLimitHit>() {
        Ok(hit) => *hit,
        Err(error) => {
            let hit = RateLimitHit::new(error.to_string());
            let hit = retry_after.into_iter().fold(hit, RateLimitHit::retry_after);
            hit.caused_by(error)
        }
    }
}

impl<N: Node> Stage<N::Shared, N::Params> for Step<N> {
    fn run<'a>(
        &'a self,
        desk: &'a Desk,
        cx: Context<'a, N::Shared, N::Params>,
    ) -> BoxFuture<'a, Result<Action, Failure>> {
        match desk {
            Desk::Lane(lane) => self.run(lane, cx).boxed(),
            Desk::Slot(_) | Desk::Shop(_) => unreachable!("it opened a lane"),
        }
    }

    fn open(&self) -> Desk {
        Desk::Lane(self.plan.open())
    }

    fn rename(&mut self, name: &Arc<str>) {
        self.plan.name = Arc::clone(name);
    }

    fn stats(&self, desks: &[&Desk], into: &mut Vec<NodeStats>) {
        let mut stats = self.plan.stats();
        self.counters.fill(&mut stats);
        for lane in lanes(desks) {
            add_slot(&mut stats, lane.own.as_ref());
        }
        into.push(stats);
    }

    fn reset(&self, desks: &[&Desk]) {
        self.counters.reset();
        for own in lanes(desks).filter_map(|lane| lane.own.as_ref()) {
            // A slot's own set is of this process, where neither can fail.
            let _ = own.reset();
            let _ = own.reset_adaptive();
        }
    }

    fn shape(&self) -> Shape {
        Shape::Node(self.plan.shape())
    }

    fn chart(&self, text: &mut String, id: &str, depth: usize) {
        let limits = self.plan.shape().label();
        let limits = if limits.is_empty() { limits } else { format!("<br/>{}", escaped(&limits)) };
        line(text, depth, format_args!("{id}[\"{}{limits}\"]", escaped(&self.plan.name)));
    }
}

fn lanes<'d>(desks: &'d [&'d Desk]) -> impl Iterator<Item = &'d Lane> {
    desks.iter().filter_map(|desk| match desk {
        Desk::Lane(lane) => Some(lane),
        Desk::Slot(_) | Desk::Shop(_) => None,
    })
}
