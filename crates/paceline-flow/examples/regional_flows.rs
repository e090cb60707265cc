//! A flow for each region, with limits of its own at both levels: what America takes, Asia does not.
//!
//! The three run beside each other. It prints what each may do, and what the service of each region saw.
//!
//! `cargo run -p paceline-flow --example regional_flows`

#[path = "support/service.rs"]
mod service;

use std::time::Duration;

use futures::future::try_join_all;
use paceline_flow::{BatchFlow, Cx, EffectiveLimits, Graph, Limits, Node, Result, ServiceLimits};
use service::Service;

struct Region {
    name: &'static str,
    flows: u64,
    calls: u64,
    calls_per_minute: u64,
}

#[rustfmt::skip]
const REGIONS: [Region; 3] = [
    Region { name: "us",   flows: 20, calls: 10, calls_per_minute: 200 },
    Region { name: "eu",   flows: 10, calls: 5,  calls_per_minute: 100 },
    Region { name: "asia", flows: 5,  calls: 3,  calls_per_minute: 60 },
];

struct Process;

impl Node for Process {
    type Shared = Service;
    type Params = u32;
    type Item = String;
    type Output = String;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
        Ok((0..20).map(|part| format!("item {}, part {part}", cx.params)).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, part: &String) -> Result<String> {
        Ok(cx.shared.call(part).await?)
    }
}

impl Region {
    fn flow(&self) -> Result<BatchFlow<'static, Service, u32>> {
        let mut graph = Graph::new();
        let process = graph.add(Process, Limits::concurrent(self.calls).per_minute(self.calls_per_minute));
        Ok(BatchFlow::over(graph.start(process)?).name(self.name).max_concurrent_flows(self.flows).build()?)
    }

    fn service(&self) -> Service {
        let allows = ServiceLimits::concurrent(self.flows * self.calls).per_minute(self.flows * self.calls_per_minute);
        Service::new(self.name, allows, Duration::from_secs(1))
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    let flows = REGIONS.iter().map(Region::flow).collect::<Result<Vec<_>>>()?;
    println!("What the limits allow");
    println!("{}", EffectiveLimits::together(flows.iter().map(BatchFlow::effective_limits)));

    let services = REGIONS.each_ref().map(Region::service);
    let runs = flows.iter().zip(&services).map(|(flow, service)| flow.run_over(service, 0..250));
    let reports = try_join_all(runs).await?;

    println!("What happened");
    for (report, service) in reports.iter().zip(&services) {
        println!("{service}, {report}");
        assert!(report.is_complete());
        assert_eq!((service.seen().answered, service.seen().refused), (5_000, 0));
    }
    Ok(())
}
