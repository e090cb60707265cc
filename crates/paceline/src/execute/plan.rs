//! Choosing the number of threads and the size of a chunk, from what the first calls took.

use std::fmt;
use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

use super::Execute;

/// What calls spend their time with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Work {
    /// To be found out.
    #[default]
    Unknown,
    /// With waiting.
    Waits,
}

/// How calls are spread over threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecutePlan {
    /// Threads, the caller's own included.
    pub workers: usize,
    /// Items that one takes at a time.
    pub chunk: usize,
    /// Calls that were made first, to measure them.
    pub sampled: usize,
    /// What one of those took; none where nothing was measured.
    pub each: Option<Duration>,
}

impl fmt::Display for ExecutePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workers, chunk, sampled, each } = self;
        write!(f, "{workers} threads, chunks of {chunk}")?;
        match each {
            Some(each) => write!(f, "; a call took {each:?} in the first {sampled}"),
            None => write!(f, "; nothing was measured"),
        }
    }
}

/// What the first calls took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) calls: usize,
    pub(super) wall: Duration,
    /// Of that, how long this thread computed; all of it where the system does not tell.
    pub(super) computed: Duration,
}

/// Enough to judge by, and little to lose if it could all have been done at once.
const SAMPLE: Duration = Duration::from_millis(5);

/// What a thread must have to do to be worth starting, which takes some 50 µs.
const WORTH: Duration = Duration::from_millis(1);

/// What a chunk takes at least, if there are enough items: a thousand times what its lock does.
const CHUNK: Duration = Duration::from_millis(1);

/// Chunks a thread at least, so that none is left with much to do when the others have ended.
const CHUNKS: usize = 4;

/// Threads for what waits: what Python's `ThreadPoolExecutor` takes at most by itself.
const WAITING: usize = 32;

/// Threads at most, however much they wait.
const MOST: usize = 256;

impl Execute {
    pub(super) fn needs_a_sample(&self) -> bool {
        self.work == Work::Unknown && (self.workers.is_none() || self.chunk.is_none())
    }

    pub(super) fn plan(&self, items: usize, sample: Option<Sample>) -> ExecutePlan {
        self.plan_for(items, sample, thread::available_parallelism().map_or(1, NonZeroUsize::get))
    }

    /// Threads by `cores · (1 + waiting / computing)`, which keeps the cores busy (Goetz et al., "Java Concurrency in
    /// Practice", 8.2).
    pub(super) fn plan_for(&self, items: usize, sample: Option<Sample>, cores: usize) -> ExecutePlan {
        let each = sample.map(|sample| sample.wall / u32::try_from(sample.calls).unwrap_or(u32::MAX));
        let chosen = match (self.work, &sample) {
            (Work::Unknown, Some(sample)) => {
                let share = sample.wall.as_secs_f64() / sample.computed.as_secs_f64().max(1e-9);
                let busy = (cores as f64 * share.max(1.0)).min(MOST as f64) as usize;
                let left = each.unwrap_or_default().as_secs_f64() * items as f64;
                busy.min((left / WORTH.as_secs_f64()) as usize)
            }
            _ => WAITING,
        };
        let workers = self.workers.unwrap_or(chosen).min(items).max(1);
        let chosen =
            each.map_or(1, |each| (CHUNK.as_nanos() / each.as_nanos().max(1)).try_into().unwrap_or(usize::MAX));
        let chunk = self.chunk.unwrap_or_else(|| chosen.min(items / (workers * CHUNKS)).max(1));
        ExecutePlan { workers, chunk, sampled: sample.map_or(0, |sample| sample.calls), each }
    }
}

pub(super) struct Stopwatch {
    start: Instant,
    computed: Option<Duration>,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self { start: Instant::now(), computed: computed() }
    }

    pub(super) fn has_seen_enough(&self, calls: usize) -> bool {
        calls > 0 && self.start.elapsed() >= SAMPLE
    }

    pub(super) fn sample(&self, calls: usize) -> Option<Sample> {
        let wall = self.start.elapsed();
        let computed = self.computed.zip(computed()).map_or(wall, |(then, now)| now.saturating_sub(then));
        (calls > 0).then_some(Sample { calls, wall, computed })
    }
}

/// How long this thread has computed.
#[cfg(target_os = "linux")]
fn computed() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).ok()
}

#[cfg(not(target_os = "linux"))]
fn computed() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(items: usize, wall_us: u64, computed_us: u64) -> (usize, usize) {
        let [wall, computed] = [wall_us, computed_us].map(Duration::from_micros);
        let plan = Execute::default().plan_for(items, Some(Sample { calls: 1, wall, computed }), 4);
        (plan.workers, plan.chunk)
    }

    #[test]
    fn what_computes_gets_the_cores_and_what_waits_gets_more() {
        assert_eq!(plan(100_000, 100, 100), (4, 10));
        assert_eq!(plan(100_000, 10_000, 1_000), (40, 1));
        assert_eq!(plan(100_000, 1_000_000, 10), (256, 1), "at most");
        assert_eq!(plan(3, 1_000_000, 10), (3, 1), "no more than there are items");
    }

    #[test]
    fn what_is_soon_done_is_done_here() {
        assert_eq!(plan(100, 1, 1), (1, 25));
        assert_eq!(plan(3_000, 1, 1).0, 3);
        assert_eq!(plan(0, 10_000, 10_000), (1, 1));
    }

    #[test]
    fn a_chunk_leaves_something_for_the_others() {
        assert_eq!(plan(1_000_000, 1, 1), (4, 1_000));
        assert_eq!(plan(4_000, 10, 10), (4, 100));
        assert_eq!(plan(320, 100, 100), (4, 10));
    }

    #[test]
    fn what_is_stated_is_taken() {
        let stated = Execute::default().workers(7).chunk(9);
        assert!(!stated.needs_a_sample());
        let plan = stated.plan_for(100, None, 4);
        assert_eq!(plan.to_string(), "7 threads, chunks of 9; nothing was measured");
        let waits = Execute::default().prefer_threads_for_io();
        assert!(!waits.needs_a_sample());
        assert_eq!((waits.plan_for(100, None, 4).workers, waits.plan_for(100, None, 4).chunk), (32, 1));
    }
}
