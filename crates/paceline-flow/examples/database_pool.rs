//! Twenty workers and a database that takes five connections: a resource limit, shared by two blocking nodes.
//!
//! The database's driver blocks its thread, so its nodes are blocking ones, and run on threads of the runtime's pool. It prints
//! how many connections were open at once at the most, and how long queries waited for one.
//!
//! `cargo run -p paceline-flow --example database_pool`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use paceline::LimitSet;
use paceline_flow::{BatchFlow, Blocking, BlockingNode, Context, Graph, Limits, Result};

/// A simulated database, that refuses a sixth connection.
#[derive(Default)]
struct Database {
    open: AtomicU64,
    most: AtomicU64,
    queries: AtomicU64,
}

impl Database {
    fn query(&self, sql: &str) -> Result<usize> {
        let open = self.open.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(open, SeqCst);
        thread::sleep(Duration::from_millis(5));
        self.open.fetch_sub(1, SeqCst);
        self.queries.fetch_add(1, SeqCst);
        if open > 5 { Err("FATAL: too many connections".into()) } else { Ok(sql.len()) }
    }
}

/// Runs a statement for each row of a worker's share. What a thread needs is the node's own: it may outlive a borrow.
struct Query {
    database: Arc<Database>,
    statement: &'static str,
}

impl BlockingNode for Query {
    type Shared = ();
    type Params = u32;
    type Item = String;
    type Output = usize;

    fn prep(&self, cx: Context<'_, (), u32>) -> Result<Vec<String>> {
        Ok((0..4).map(|row| format!("{} {}", self.statement, cx.params * 4 + row)).collect())
    }

    fn exec(&self, sql: &String) -> Result<usize> {
        self.database.query(sql)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let database = Arc::new(Database::default());
    let pool = LimitSet::builder("database").resource("connection", 5).build()?;

    let query = |statement| Blocking::new(Query { database: Arc::clone(&database), statement });
    let mut graph = Graph::new();
    let select = graph.add_as("select", query("SELECT"), Limits::none().shared(&pool));
    let update = graph.add_as("update", query("UPDATE"), Limits::none().shared(&pool));
    graph.then(select, update);
    let flow = BatchFlow::over(graph.start(select)?).name("workers").max_concurrent_flows(20).build()?;
    println!("{}", flow.effective_limits());

    let report = flow.run_over(&(), 0..40).await?;
    println!("{report}");
    let [queries, most] = [&database.queries, &database.most].map(|count| count.load(SeqCst));
    println!("{queries} queries, {most} of 5 connections at once");
    for node in flow.node_stats() {
        println!("{}: {} queries, which waited for {:.1?} together", node.node, node.attempts, node.waited);
    }
    assert!(report.is_complete());
    assert!(queries == 320 && most <= 5);
    Ok(())
}
