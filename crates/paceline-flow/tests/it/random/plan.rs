//! What is run: a graph of any shape, its limits, and how the run ends.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// A run of a batch flow.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) graph: GraphPlan,
    pub(super) slots: u64,
    pub(super) adaptive: bool,
    pub(super) per_minute: Option<u64>,
    pub(super) attempts: Option<u32>,
    pub(super) instances: u64,
    /// Whether the flow is run twice at once.
    pub(super) twice: bool,
    /// Calls at once and in a minute of the sets that nodes share.
    pub(super) sets: [(u64, u64); 2],
    pub(super) end: End,
}

/// How it ends, after so many milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Itself,
    Dropped(u64),
    Cancelled(u64),
    Drained(u64),
    Deadline(u64),
}

/// Stages in a row, joined by the action `next`, and other edges anywhere, cycles among them.
#[derive(Clone, Debug)]
pub(super) struct GraphPlan {
    pub(super) stages: Vec<StagePlan>,
    pub(super) edges: Vec<(usize, &'static str, usize)>,
}

#[derive(Clone, Debug)]
pub(super) enum StagePlan {
    Node(NodePlan),
    Flow(GraphPlan),
    Batch(BatchPlan),
}

/// A nested batch flow.
#[derive(Clone, Debug)]
pub(super) struct BatchPlan {
    pub(super) graph: GraphPlan,
    pub(super) slots: u64,
    pub(super) instances: u64,
    pub(super) has_post: bool,
}

#[derive(Clone, Debug)]
pub(super) struct NodePlan {
    pub(super) items: u64,
    pub(super) level: Level,
    pub(super) per_minute: Option<u64>,
    /// Each item asks for up to twelve.
    pub(super) tokens: Option<u64>,
    pub(super) outer: Outer,
    pub(super) attempts: Option<u32>,
    pub(super) timeout: Option<u64>,
    pub(super) propagates: bool,
    pub(super) rescues: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Level {
    All,
    Fixed(u64),
    Adaptive(u64),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Outer {
    Nothing,
    /// Which of the two, and whether each item names its tenant's beside them.
    Sets([bool; 2], bool),
    Pool,
}

impl Level {
    pub(super) fn most(self) -> Option<u64> {
        match self {
            Self::All => None,
            Self::Fixed(most) | Self::Adaptive(most) => Some(most),
        }
    }
}

impl NodePlan {
    /// Calls at once of an instance that nothing else holds up.
    pub(super) fn free(&self) -> Option<u64> {
        match (self.level, self.outer, self.per_minute, self.tokens) {
            (Level::Fixed(most), Outer::Nothing | Outer::Sets([false, false], false), None, None) => Some(most),
            _ => None,
        }
    }
}

pub(super) fn plan() -> impl Strategy<Value = Plan> {
    let flow = (1_u64..4, any::<bool>(), option::of(1_u64..30), option::weighted(0.3, 2_u32..4));
    // Few, or more than are taken before the first has ended.
    let instances = prop_oneof![3 => 0_u64..8, 1 => 30_u64..60];
    let run = (any::<u64>(), instances, any::<bool>(), [(1_u64..5, 5_u64..60), (1_u64..5, 5_u64..60)], end());
    (graph(2), flow, run).prop_map(|(graph, flow, run)| {
        let ((slots, adaptive, per_minute, attempts), (seed, instances, twice, sets, end)) = (flow, run);
        Plan { seed, graph, slots, adaptive, per_minute, attempts, instances, twice, sets, end }
    })
}

fn end() -> impl Strategy<Value = End> {
    let at = 1_u64..3_000;
    prop_oneof![
        2 => Just(End::Itself),
        1 => at.clone().prop_map(End::Dropped),
        1 => at.clone().prop_map(End::Cancelled),
        1 => at.clone().prop_map(End::Drained),
        1 => at.prop_map(End::Deadline),
    ]
}

fn graph(depth: u32) -> BoxedStrategy<GraphPlan> {
    let edge = (any::<prop::sample::Index>(), prop::sample::select(vec!["a", "b"]), any::<prop::sample::Index>());
    let parts = (vec(stage(depth), 1..4), vec(edge, 0..4));
    let graph = parts.prop_map(|(stages, extra)| {
        let mut edges: Vec<_> = (1..stages.len()).map(|to| (to - 1, "next", to)).collect();
        for (from, action, to) in extra {
            let (from, to) = (from.index(stages.len()), to.index(stages.len()));
            if !edges.iter().any(|(there, says, _)| (*there, *says) == (from, action)) {
                edges.push((from, action, to));
            }
        }
        GraphPlan { stages, edges }
    });
    graph.boxed()
}

fn stage(depth: u32) -> BoxedStrategy<StagePlan> {
    if depth == 0 {
        return node().prop_map(StagePlan::Node).boxed();
    }
    let batch =
        (graph(depth - 1), 1_u64..3, 0_u64..4, any::<bool>()).prop_map(|(graph, slots, instances, has_post)| {
            StagePlan::Batch(BatchPlan { graph, slots, instances, has_post })
        });
    let flow = graph(depth - 1).prop_map(StagePlan::Flow);
    prop_oneof![4 => node().prop_map(StagePlan::Node), 1 => flow, 1 => batch].boxed()
}

fn node() -> impl Strategy<Value = NodePlan> {
    let level = prop_oneof![
        1 => Just(Level::All),
        3 => (1_u64..4).prop_map(Level::Fixed),
        1 => (2_u64..6).prop_map(Level::Adaptive),
    ];
    let outer = prop_oneof![
        2 => Just(Outer::Nothing),
        3 => any::<([bool; 2], bool)>().prop_map(|(sets, tenants)| Outer::Sets(sets, tenants)),
        1 => Just(Outer::Pool),
    ];
    let limits = (level, option::weighted(0.4, 2_u64..40), option::weighted(0.2, Just(10_u64)), outer);
    let rest = (0_u64..6, option::of(2_u32..4), option::weighted(0.3, 20_u64..300), any::<bool>(), any::<bool>());
    (limits, rest).prop_map(|((level, per_minute, tokens, outer), (items, attempts, timeout, propagates, rescues))| {
        NodePlan { items, level, per_minute, tokens, outer, attempts, timeout, propagates, rescues }
    })
}
