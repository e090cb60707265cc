//! Documents, ten at a time; of each, five chunks at once, then two analyses at once: limits at both levels multiply.
//!
//! It prints what the nesting allows, as `effective_limits()` computes it, and then what the storage and the model saw: 10 × 5
//! chunks and 10 × 2 analyses at once at the most.
//!
//! `cargo run -p paceline-flow --example nested_throttling`

#[path = "support/service.rs"]
mod service;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use paceline_flow::{Action, BatchFlow, Cx, Graph, Limits, Node, Result, ServiceLimits};
use service::Service;

struct Library {
    storage: Service,
    model: Service,
    texts: Mutex<BTreeMap<u32, String>>,
    analyses: Mutex<BTreeMap<u32, Vec<String>>>,
}

struct Document {
    id: u32,
    chunks: u32,
}

struct FetchChunks;

impl Node for FetchChunks {
    type Shared = Library;
    type Params = Document;
    type Item = String;
    type Output = String;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
        Ok((0..cx.params.chunks).map(|chunk| format!("doc {}, chunk {chunk}", cx.params.id)).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, chunk: &String) -> Result<String> {
        Ok(cx.shared.storage.call(chunk).await?)
    }

    async fn post(&self, cx: Cx<'_, Self>, _: Vec<String>, chunks: Vec<String>) -> Result<Action> {
        cx.shared.texts.lock().unwrap().insert(cx.params.id, chunks.concat());
        Ok("analyze".into())
    }
}

struct Analyze;

impl Node for Analyze {
    type Shared = Library;
    type Params = Document;
    type Item = String;
    type Output = String;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
        let text = cx.shared.texts.lock().unwrap()[&cx.params.id].clone();
        Ok(["sentiment", "entities", "summary"].map(|what| format!("{what} of {text}")).into())
    }

    async fn exec(&self, cx: Cx<'_, Self>, prompt: &String) -> Result<String> {
        Ok(cx.shared.model.call(prompt).await?)
    }

    async fn post(&self, cx: Cx<'_, Self>, _: Vec<String>, analyses: Vec<String>) -> Result<Action> {
        cx.shared.analyses.lock().unwrap().insert(cx.params.id, analyses);
        Ok(Action::DEFAULT)
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    let mut graph = Graph::new();
    let fetch = graph.add(FetchChunks, Limits::concurrent(5).per_minute(100));
    let analyze = graph.add(Analyze, Limits::concurrent(2).per_minute(60));
    graph.on(fetch, "analyze", analyze);
    let flow = BatchFlow::over(graph.start(fetch)?)
        .name("documents")
        .max_concurrent_flows(10)
        .max_flows_per_minute(60)
        .build()?;

    let storage = ServiceLimits::concurrent(50).per_minute(1_000);
    let model = ServiceLimits::concurrent(20).per_minute(600);
    let limits = flow.effective_limits();
    let limits = limits.against("storage", &["FetchChunks"], storage).against("model", &["Analyze"], model);
    println!("What the limits allow\n{limits}");

    let library = Library {
        storage: Service::new("storage", storage, Duration::from_millis(200)),
        model: Service::new("model", model, Duration::from_millis(1_500)),
        texts: Mutex::default(),
        analyses: Mutex::default(),
    };
    let report = flow.run_over(&library, (0..100).map(|id| Document { id, chunks: 10 })).await?;
    println!("What happened\n{report}\n{}\n{}", library.storage, library.model);

    assert!(report.is_complete());
    let (storage, model) = (library.storage.seen(), library.model.seen());
    assert_eq!((storage.peak, storage.refused), (50, 0));
    assert_eq!((model.peak, model.refused), (20, 0));
    assert_eq!(library.analyses.into_inner()?.len(), 100);
    Ok(())
}
