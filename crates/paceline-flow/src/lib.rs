//! Work in steps, many instances of it at a time, under limits at every level: nodes joined by actions to graphs,
//! graphs run as flows, and what a service allows kept by all of them together.
//!
//! It is the programming model of PocketFlow Throttled on the engine of [`paceline`], whose limit sets, pools, presets,
//! retries and controllers are what nodes and flows are throttled with.
//!
//! ```
//! use paceline_flow::{Action, BatchFlow, Cx, Graph, Limits, Node, Result};
//! use std::collections::BTreeMap;
//! use std::sync::Mutex;
//!
//! # mod storage { pub async fn get(chunk: &str) -> std::io::Result<String> { Ok(chunk.to_uppercase()) } }
//! # mod llm { pub async fn analyze(what: &str, text: &str) -> std::io::Result<String> { Ok(format!("{what} of {text}")) } }
//! /// What all nodes share. What changes in it lies behind whatever you choose.
//! #[derive(Default)]
//! struct Shared {
//!     texts: Mutex<BTreeMap<String, String>>,
//!     analyses: Mutex<BTreeMap<String, Vec<String>>>,
//! }
//!
//! /// What one instance is about.
//! struct Document { id: String, chunks: u32 }
//!
//! struct FetchChunks;
//!
//! impl Node for FetchChunks {
//!     type Shared = Shared;
//!     type Params = Document;
//!     type Item = String;
//!     type Output = String;
//!
//!     async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
//!         Ok((0..cx.params.chunks).map(|chunk| format!("{}/{chunk}", cx.params.id)).collect())
//!     }
//!
//!     async fn exec(&self, _: Cx<'_, Self>, chunk: &String) -> Result<String> {
//!         Ok(storage::get(chunk).await?)                  // within the node's limits, an item at a time or many
//!     }
//!
//!     async fn post(&self, cx: Cx<'_, Self>, _: Vec<String>, texts: Vec<String>) -> Result<Action> {
//!         cx.shared.texts.lock().unwrap().insert(cx.params.id.clone(), texts.join(" "));
//!         Ok("analyze".into())
//!     }
//! }
//!
//! struct Analyze;
//!
//! impl Node for Analyze {
//!     type Shared = Shared;
//!     type Params = Document;
//!     type Item = (&'static str, String);
//!     type Output = String;
//!
//!     async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<(&'static str, String)>> {
//!         let text = cx.shared.texts.lock().unwrap()[&cx.params.id].clone();
//!         Ok(["sentiment", "entities", "summary"].map(|what| (what, text.clone())).into())
//!     }
//!
//!     async fn exec(&self, _: Cx<'_, Self>, (what, text): &(&'static str, String)) -> Result<String> {
//!         Ok(llm::analyze(what, text).await?)
//!     }
//!
//!     async fn post(&self, cx: Cx<'_, Self>, _: Vec<(&str, String)>, analyses: Vec<String>) -> Result<Action> {
//!         cx.shared.analyses.lock().unwrap().insert(cx.params.id.clone(), analyses);
//!         Ok(Action::DEFAULT)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<()> {
//! let mut graph = Graph::new();
//! let fetch = graph.add(FetchChunks, Limits::concurrent(5).per_minute(100));
//! let analyze = graph.add(Analyze, Limits::concurrent(2).per_minute(60));
//! graph.on(fetch, "analyze", analyze);
//!
//! let flow = BatchFlow::over(graph.start(fetch)?)
//!     .max_concurrent_flows(10)
//!     .max_flows_per_minute(60)
//!     .build()?;
//! println!("{}", flow.effective_limits());                // 10 × 5 at the storage, 10 × 2 at the model
//!
//! let shared = Shared::default();
//! let documents = (0..12).map(|id| Document { id: format!("doc-{id}"), chunks: 10 });
//! let report = flow.run_over(&shared, documents).await?;
//! assert!(report.is_complete());
//! assert_eq!(shared.analyses.lock().unwrap().len(), 12);
//! # Ok(()) }
//! ```
//!
//! # What there is
//!
//! | | |
//! |---|---|
//! | [`Node`] | a step: prep, exec, post, fallback; [`BlockingNode`] where its work blocks |
//! | [`Limits`] | what a node may do at a time: one form for sequential, parallel, throttled and adaptive nodes |
//! | [`Graph`] | nodes joined by [`Action`]s, checked when it is started |
//! | [`Flow`] | a graph that can be run once |
//! | [`BatchFlow`] | a flow that is run for many sets of parameters, under limits of its own; [`presets`] of such |
//! | [`Report`], [`Outcome`] | what became of every instance; [`NodeStats`], [`FlowStats`] what it took |
//! | [`EffectiveLimits`] | what all the nesting allows at most, checked against quotas |
//!
//! Flows are nodes of other flows by [`Graph::add_flow`] and [`Graph::add_batch`].
//!
//! The crate's `examples/` are a cookbook: a program for each way to throttle, with what the throttled service saw.
//! Whoever knows PocketFlow Throttled, Concurry or Amorsize finds their examples beside ours in [`coming_from`].

mod action;
mod batch_flow;
mod blocking;
mod call;
pub mod coming_from;
mod context;
mod effective;
mod error;
mod event;
mod failure;
mod flow;
mod graph;
mod lane;
mod limits;
mod mermaid;
mod nested;
mod node;
mod outer;
mod panics;
pub mod presets;
mod stage;
mod stats;
mod step;

pub use action::Action;
pub use batch_flow::{BatchFlow, BatchFlowBuilder, Ending, FlowHandle, FlowStats, Outcome, Report, Warning};
pub use blocking::{Blocking, BlockingNode};
pub use context::{Context, Cx};
pub use effective::{EffectiveLimits, Finding, Measure, ServiceLimits};
pub use error::Error;
pub use event::Event;
pub use failure::{BoxError, Cause, Failure, Result};
pub use flow::Flow;
pub use graph::{Graph, NodeId};
pub use limits::Limits;
pub use node::Node;
pub use stats::NodeStats;

/// The project's own README: its programs are tested too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
