//! Where the time comes from.
//!
//! A set reads one clock, once a call; decisions get the instant as an argument. Instants of one kind of clock share
//! an origin in the process, so an arrival means the same in every set that uses it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use paceline_core::Time;
use parking_lot::Mutex;

use crate::local::Local;

/// Where every clock starts: ten years after the origin, so that instants before the process can be told, such as when
/// the window began that a service speaks of.
const START: Time = Time::from_nanos(10 * 365 * 86_400 * 1_000_000_000);

/// A source of instants.
///
/// | clock | for |
/// |---|---|
/// | [`tokio`](Self::tokio) (default) | everything; follows tokio's paused time in tests |
/// | [`quanta`](Self::quanta) | the hot path: reads the processor's counter |
/// | [`boot`](Self::boot) | long-lived state: counts the time a machine was suspended, where the system can tell |
/// | [`ManualClock`] | tests and simulations that move time themselves |
#[derive(Clone, Debug, Default)]
pub struct Clock(Kind);

#[derive(Clone, Debug, Default)]
enum Kind {
    #[default]
    Tokio,
    Quanta,
    Other(Other),
}

/// Those that nobody reads in a hurry.
#[derive(Clone, Debug)]
enum Other {
    Boot,
    Manual(ManualClock),
}

impl Clock {
    /// Tokio's clock: the system's monotonic one, or the paused one of a test's runtime.
    #[must_use]
    pub fn tokio() -> Self {
        Self(Kind::Tokio)
    }

    /// The processor's own counter, scaled: the fastest to read.
    #[must_use]
    pub fn quanta() -> Self {
        Self(Kind::Quanta)
    }

    /// The system's clock that goes on during suspend (CLOCK_BOOTTIME on Linux; elsewhere the monotonic one).
    #[must_use]
    pub fn boot() -> Self {
        Self(Kind::Other(Other::Boot))
    }

    /// The instant now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.read()
    }

    /// The same, always inlined: the hot path is short, and a call is a tenth of what a look at the counter costs.
    #[inline(always)]
    pub(crate) fn read(&self) -> Time {
        match &self.0 {
            Kind::Tokio => since_start(tokio::time::Instant::now().into_std()),
            Kind::Quanta => counter_time(),
            Kind::Other(other) => other.now(),
        }
    }

    pub(crate) fn manual(&self) -> Option<&ManualClock> {
        match &self.0 {
            Kind::Other(Other::Manual(clock)) => Some(clock),
            _ => None,
        }
    }
}

impl Other {
    /// Out of line, so that the hot path has two ways to go instead of four.
    #[cold]
    fn now(&self) -> Time {
        match self {
            Self::Boot => boot_time(),
            Self::Manual(clock) => clock.now(),
        }
    }
}

/// The processor's counter, without the thread-local override that [`quanta::Instant`] looks for and without detour by
/// a `Duration`.
#[inline]
fn counter_time() -> Time {
    static SOURCE: OnceLock<(quanta::Clock, u64)> = OnceLock::new();
    let (clock, origin) = SOURCE.get_or_init(|| {
        let clock = quanta::Clock::new();
        let origin = clock.raw();
        (clock, origin)
    });
    Time::from_nanos(START.as_nanos() + clock.delta_as_nanos(*origin, clock.raw()))
}

/// The origin is real time even where the clock is paused: a paused clock starts at the real instant, so it never lies
/// before the origin, however far another runtime's clock was advanced.
fn since_start(instant: Instant) -> Time {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let origin =
        *ORIGIN.get_or_init(|| Instant::now().checked_sub(Duration::from_secs(1)).unwrap_or_else(Instant::now));
    let since = instant.saturating_duration_since(origin);
    // It fits for centuries.
    Time::from_nanos(START.as_nanos() + since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos()))
}

#[cfg(target_os = "linux")]
fn boot_time() -> Time {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (secs, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    START + Duration::from_nanos(secs.saturating_mul(1_000_000_000).saturating_add(nanos))
}

#[cfg(not(target_os = "linux"))]
fn boot_time() -> Time {
    since_start(Instant::now())
}

/// A clock that stands still until it is moved. Moving it decides, in the same call, all waits whose time has come.
///
/// ```
/// use paceline::{LimitSet, ManualClock, Quota};
/// use std::time::Duration;
///
/// let clock = ManualClock::default();
/// let set = LimitSet::builder("api").calls(Quota::per_minute(1)).clock(clock.clone()).build()?;
/// assert!(set.try_acquire(()).is_ok());
/// assert!(set.try_acquire(()).is_err());
/// clock.advance(Duration::from_secs(60));
/// assert!(set.try_acquire(()).is_ok());
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<Manual>);

#[derive(Debug, Default)]
struct Manual {
    nanos: AtomicU64,
    sets: Mutex<Vec<Weak<Local>>>,
}

impl ManualClock {
    /// The instant it stands at.
    #[must_use]
    pub fn now(&self) -> Time {
        START + Duration::from_nanos(self.0.nanos.load(Ordering::SeqCst))
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.0.nanos.fetch_add(nanos, Ordering::SeqCst);
        let mut sets = self.0.sets.lock().clone();
        sets.retain(|set| set.upgrade().map(|set| set.tick()).is_some());
        self.0.sets.lock().retain(|set| set.strong_count() > 0);
    }

    pub(crate) fn drives(&self, set: &Arc<Local>) {
        self.0.sets.lock().push(Arc::downgrade(set));
    }
}

impl From<ManualClock> for Clock {
    fn from(clock: ManualClock) -> Self {
        Self(Kind::Other(Other::Manual(clock)))
    }
}
