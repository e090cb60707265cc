//! Tenants with plans of different size: each has limits of its own in the registry, and nobody's backlog holds up another.
//!
//! Which tenant an instance works for is in its parameters. It prints what each tenant's account saw, and when each was done.
//!
//! `cargo run -p paceline-flow --example tenants`

#[path = "support/service.rs"]
mod service;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use paceline::{LimitSet, Quota, Registry};
use paceline_flow::{Action, BatchFlow, Cx, Graph, Limits, Node, Result, ServiceLimits};
use service::Service;
use tokio::time::Instant;

/// Tenants by name: how many calls at once, and how many a minute.
const PLANS: [(&str, u64, u64); 3] = [("free", 2, 10), ("pro", 5, 50), ("enterprise", 20, 200)];

struct Shared {
    registry: Registry,
    accounts: BTreeMap<&'static str, Service>,
    done: Mutex<BTreeMap<&'static str, Instant>>,
}

struct Job {
    tenant: &'static str,
    number: u32,
}

struct Process;

impl Node for Process {
    type Shared = Shared;
    type Params = Job;
    type Item = String;
    type Output = String;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
        Ok(vec![format!("job {}", cx.params.number)])
    }

    async fn exec(&self, cx: Cx<'_, Self>, job: &String) -> Result<String> {
        let _permit = cx.shared.registry.get(cx.params.tenant)?.acquire(()).await?.into_owned();
        Ok(cx.shared.accounts[cx.params.tenant].call(job).await?)
    }

    async fn post(&self, cx: Cx<'_, Self>, _: Vec<String>, _: Vec<String>) -> Result<Action> {
        cx.shared.done.lock().unwrap().insert(cx.params.tenant, Instant::now());
        Ok(Action::DEFAULT)
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    let (registry, mut accounts) = (Registry::new(), BTreeMap::new());
    for (tenant, calls, per_minute) in PLANS {
        let limits = LimitSet::builder(tenant).concurrency(calls).calls(Quota::per_minute(per_minute)).build()?;
        registry.register(tenant, limits)?;
        let allows = ServiceLimits::concurrent(calls).per_minute(per_minute);
        accounts.insert(tenant, Service::new(tenant, allows, Duration::from_secs(1)));
    }

    let mut graph = Graph::new();
    let process = graph.add(Process, Limits::none());
    // An instance that waits for its tenant keeps its place in the flow, so there is a place for every one.
    let flow = BatchFlow::over(graph.start(process)?).max_concurrent_flows(300).build()?;

    let jobs = (0..100).flat_map(|number| PLANS.map(|(tenant, ..)| Job { tenant, number }));
    let (shared, began) = (Shared { registry, accounts, done: Mutex::default() }, Instant::now());
    let report = flow.run_over(&shared, jobs).await?;
    println!("{report}");
    let done = shared.done.into_inner()?;
    for (tenant, ..) in PLANS {
        let account = &shared.accounts[tenant];
        println!("{account}, done after {:.0?}", done[tenant] - began);
        assert_eq!((account.seen().answered, account.seen().refused), (100, 0));
    }
    assert!(report.is_complete() && done["enterprise"] < done["pro"] && done["pro"] < done["free"]);
    Ok(())
}
