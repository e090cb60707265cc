//! Nodes whose work blocks. These run on real threads, and wait for each other, not for time.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline::LimitSet;
use paceline_flow::{Action, BatchFlow, Blocking, BlockingNode, Context, Graph, Limits, Result};

/// Works until it is told to stop, or at once if nobody is to tell.
struct Work {
    gate: Option<Mutex<Receiver<()>>>,
    now: Arc<AtomicUsize>,
    peak: Arc<AtomicUsize>,
}

type Sums = Mutex<Vec<u64>>;

impl BlockingNode for Work {
    type Shared = Sums;
    type Params = u64;
    type Item = u64;
    type Output = u64;

    fn prep(&self, cx: Context<'_, Sums, u64>) -> Result<Vec<u64>> {
        Ok((0..*cx.params).collect())
    }

    fn exec(&self, item: &u64) -> Result<u64> {
        self.peak.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        if let Some(gate) = &self.gate {
            let _ = gate.lock().unwrap().recv();
        }
        self.now.fetch_sub(1, SeqCst);
        assert_ne!(*item, 13, "unlucky");
        Ok(*item)
    }

    fn post(&self, cx: Context<'_, Sums, u64>, items: &[Arc<u64>], outputs: Vec<u64>) -> Result<Action> {
        assert!(items.iter().map(|item| **item).eq(outputs.iter().copied()));
        cx.shared.lock().unwrap().push(outputs.iter().sum());
        Ok(Action::DEFAULT)
    }
}

fn work(gate: bool) -> (Work, Option<Sender<()>>, Arc<AtomicUsize>) {
    let (open, gate) = if gate { Some(channel()).unzip() } else { (None, None) };
    let (now, peak) = (Arc::default(), Arc::<AtomicUsize>::default());
    (Work { gate: gate.map(Mutex::new), now, peak: Arc::clone(&peak) }, open, peak)
}

#[tokio::test]
async fn work_runs_on_threads_within_the_limits_and_a_panic_is_its_instances() {
    let (node, _, peak) = work(false);
    let (mut graph, sums) = (Graph::new(), Sums::default());
    let node = graph.add_as("work", Blocking::new(node), Limits::concurrent(3));
    let flow = BatchFlow::over(graph.start(node).unwrap()).max_concurrent_flows(2).build().unwrap();
    let report = flow.run_over(&sums, [10, 20, 5]).await.unwrap();
    assert_eq!((report.completed, report.failed), (2, 1));
    assert!(report.to_string().contains("item 13: panicked"), "{report}");
    let mut sums = sums.into_inner().unwrap();
    sums.sort_unstable();
    assert_eq!(sums, [10, 45]);
    assert!(peak.load(SeqCst) <= 6);
}

#[tokio::test]
async fn a_thread_that_nobody_can_stop_keeps_its_permit_to_its_end() {
    let set = LimitSet::builder("database").concurrency(1).build().unwrap();
    let (node, open, _) = work(true);
    let (mut graph, sums) = (Graph::new(), Sums::default());
    let node = graph.add_as("query", Blocking::new(node), Limits::none().shared(&set));
    let flow = graph.start(node).unwrap();
    let cancelled = tokio::time::timeout(Duration::from_millis(50), flow.run(&sums, 1)).await;
    assert!(cancelled.is_err());
    assert_eq!(set.snapshot().active, 1, "the thread is still at it");
    drop(open);
    drop(set.acquire(()).await.unwrap());
    assert_eq!(set.snapshot().active, 0);
}
