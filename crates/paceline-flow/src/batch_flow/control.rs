//! Ending the runs of a batch flow from elsewhere.

use std::sync::Arc;

use paceline::BatchHandle;
use parking_lot::Mutex;

/// A handle to the runs of a batch flow: [`BatchFlow::handle`](crate::BatchFlow::handle). Cloning gives another one.
///
/// ```
/// # use paceline_flow::{Cx, Node, Result};
/// use paceline_flow::{BatchFlow, Graph, Limits};
/// use std::time::Duration;
///
/// # struct Slow;
/// # impl Node for Slow {
/// #     type Shared = (); type Params = u32; type Item = u32; type Output = u32;
/// #     async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<u32>> { Ok(vec![*cx.params]) }
/// #     async fn exec(&self, _: Cx<'_, Self>, item: &u32) -> Result<u32> {
/// #         tokio::time::sleep(Duration::from_secs(1)).await;
/// #         Ok(*item)
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<()> {
/// let mut graph = Graph::new();
/// let slow = graph.add(Slow, Limits::none());
/// let flow = BatchFlow::over(graph.start(slow)?).max_concurrent_flows(2).build()?;
/// let handle = flow.handle();
/// let (report, ()) = tokio::join!(flow.run_over(&(), 0..100), async {
///     tokio::time::sleep(Duration::from_millis(3_500)).await;
///     handle.drain();                     // what has begun is finished, and nothing is begun any more
/// });
/// let report = report?;
/// assert_eq!((report.completed, report.not_begun), (8, 92));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct FlowHandle(Arc<Control>);

#[derive(Debug, Default)]
pub(super) struct Control(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    next: u64,
    runs: Vec<(u64, BatchHandle)>,
}

/// How much is still wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Running,
    Draining,
    Cancelled,
}

impl FlowHandle {
    pub(super) fn new(control: Arc<Control>) -> Self {
        Self(control)
    }

    /// Lets what has begun come to its end, and begins nothing more, in this run or a later one, until
    /// [`resume`](Self::resume).
    pub fn drain(&self) {
        self.0.stop(Phase::Draining);
    }

    /// Ends all instances where they stand, and begins nothing more, in this run or a later one, until
    /// [`resume`](Self::resume). Whether calls that were under way were carried out is unknown.
    pub fn cancel(&self) {
        self.0.stop(Phase::Cancelled);
    }

    /// Lets later runs begin; one that was ended stays so.
    pub fn resume(&self) {
        self.0.0.lock().phase = Phase::Running;
    }
}

impl Phase {
    fn tell(self, run: &BatchHandle) {
        match self {
            Self::Running => {}
            Self::Draining => run.drain(),
            Self::Cancelled => run.abort(),
        }
    }
}

impl Control {
    fn stop(&self, phase: Phase) {
        let mut state = self.0.lock();
        state.phase = state.phase.max(phase);
        state.runs.iter().for_each(|(_, run)| phase.tell(run));
    }

    /// Another run, which is over when what is returned is dropped.
    pub(super) fn begin(self: &Arc<Self>, run: BatchHandle) -> Registered {
        let mut state = self.0.lock();
        state.phase.tell(&run);
        let id = state.next;
        state.next += 1;
        state.runs.push((id, run));
        Registered { control: Arc::clone(self), id }
    }
}

/// A run that its handles can end.
#[derive(Debug)]
pub(super) struct Registered {
    control: Arc<Control>,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.control.0.lock().runs.retain(|(id, _)| *id != self.id);
    }
}
