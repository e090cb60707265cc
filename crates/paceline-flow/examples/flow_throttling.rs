//! A flow for each of a thousand users: ten at once, and no more than sixty begun in a minute.
//!
//! The flow's own prep yields what the instances are about, and its post folds what became of them. Time is paused, so the
//! seventeen minutes pass at once.
//!
//! `cargo run -p paceline-flow --example flow_throttling`

#[path = "support/service.rs"]
mod service;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use paceline_flow::{Action, BatchFlow, Cx, Graph, Limits, Node, Result, ServiceLimits};
use service::Service;

struct Shared {
    user_ids: Vec<u32>,
    api: Service,
    users: Mutex<BTreeMap<u32, String>>,
}

struct FetchUser;

impl Node for FetchUser {
    type Shared = Shared;
    type Params = u32;
    type Item = u32;
    type Output = String;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<u32>> {
        Ok(vec![*cx.params])
    }

    async fn exec(&self, cx: Cx<'_, Self>, user: &u32) -> Result<String> {
        if user % 250 == 13 {
            return Err(format!("there is no user {user}").into());
        }
        Ok(cx.shared.api.call(&format!("profile of {user}")).await?)
    }

    async fn post(&self, cx: Cx<'_, Self>, users: Vec<u32>, profiles: Vec<String>) -> Result<Action> {
        cx.shared.users.lock().unwrap().extend(users.into_iter().zip(profiles));
        Ok(Action::DEFAULT)
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    let mut graph = Graph::new();
    let fetch = graph.add(FetchUser, Limits::none());
    let flow = BatchFlow::over(graph.start(fetch)?)
        .name("users")
        .max_concurrent_flows(10)
        .max_flows_per_minute(60)
        .prep(|shared: &Shared| Ok(shared.user_ids.clone()))
        .label(|user| format!("user {user}"))
        .post(|shared, report| {
            println!("{} users fetched, {} failed", shared.users.lock().unwrap().len(), report.failed);
            Ok(Action::DEFAULT)
        })
        .build()?;
    println!("{}", flow.effective_limits());

    let allows = ServiceLimits::concurrent(10).per_minute(60);
    let api = Service::new("api", allows, Duration::from_secs(2));
    let shared = Shared { user_ids: (0..1_000).collect(), api, users: Mutex::default() };
    let report = flow.run(&shared).await?;
    println!("{report}");
    println!("{}", shared.api);

    let stats = flow.stats();
    println!("{} instances at once at the most, in {} slots", stats.peak_running, stats.slots);
    assert_eq!((report.completed, report.failed), (996, 4));
    assert_eq!((shared.api.seen().refused, shared.api.seen().fullest_minute), (0, 60));
    Ok(())
}
