//! A service that keeps its own journal: a plain list of when each call came and when it was over. It knows nothing of
//! limits, and its clock is the only one that counts.
//!
//! It is called over a socket in the file system, by processes of this machine in whatever network.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use paceline::Clock;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// One call, as the service saw it: in nanoseconds of the boot's clock.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Who called.
    pub caller: u64,
    /// When it came.
    pub from: u64,
    /// When it was over; none where the caller was gone before, or goes on.
    pub to: Option<u64>,
}

/// The service; it ends with the test's process.
#[derive(Debug)]
pub struct Service(Arc<Mutex<Vec<Call>>>);

const BEGIN: u8 = b'(';
const END: u8 = b')';

/// What time the service has.
#[must_use]
pub fn now() -> u64 {
    Clock::boot().now().as_nanos()
}

impl Service {
    /// Starts it at a path where nothing is.
    ///
    /// # Panics
    ///
    /// Where it cannot be.
    #[must_use]
    pub fn start(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a new socket");
        let journal = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&journal);
        std::thread::spawn(move || {
            for caller in listener.incoming().map_while(Result::ok) {
                let journal = Arc::clone(&all);
                // Who is killed leaves in the middle of anything.
                std::thread::spawn(move || drop(serve(caller, &journal)));
            }
        });
        Self(journal)
    }

    /// All calls so far, in the order in which they came.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let mut calls = self.0.lock().clone();
        calls.sort_unstable_by_key(|call| call.from);
        calls
    }
}

fn serve(mut stream: UnixStream, journal: &Mutex<Vec<Call>>) -> io::Result<()> {
    let mut caller = [0; 8];
    stream.read_exact(&mut caller)?;
    let caller = u64::from_le_bytes(caller);
    let mut open = None;
    loop {
        let mut what = [0];
        stream.read_exact(&mut what)?;
        let mut calls = journal.lock();
        match (what[0], open) {
            (BEGIN, None) => {
                open = Some(calls.len());
                calls.push(Call { caller, from: now(), to: None });
            }
            (END, Some(at)) => {
                calls[at].to = Some(now());
                open = None;
            }
            other => panic!("{other:?} from {caller}"),
        }
        drop(calls);
        stream.write_all(&what)?;
    }
}

/// Somebody who calls the service, one call at a time.
#[derive(Debug)]
pub struct Caller(tokio::net::UnixStream);

impl Caller {
    /// To be made within a runtime.
    ///
    /// # Errors
    ///
    /// Where no service is at `path`.
    pub fn connect(path: &Path, caller: u64) -> io::Result<Self> {
        let mut stream = UnixStream::connect(path)?;
        stream.write_all(&caller.to_le_bytes())?;
        stream.set_nonblocking(true)?;
        Ok(Self(tokio::net::UnixStream::from_std(stream)?))
    }

    /// A call that takes as long. The service has seen its begin and its end when it returns.
    ///
    /// # Errors
    ///
    /// Where the service is gone.
    pub async fn call(&mut self, takes: Duration) -> io::Result<()> {
        self.say(BEGIN).await?;
        tokio::time::sleep(takes).await;
        self.say(END).await
    }

    async fn say(&mut self, what: u8) -> io::Result<()> {
        self.0.write_all(&[what]).await?;
        self.0.read_u8().await.map(drop)
    }
}

/// The service's own view: in no period more calls than `amount`, and never more than `at_once` at once.
///
/// # Panics
///
/// Where it was otherwise.
pub fn assert_within(calls: &[Call], amount: usize, period: Duration, at_once: usize) {
    for window in calls.windows(amount + 1) {
        let took = Duration::from_nanos(window[amount].from - window[0].from);
        assert!(took >= period, "{} calls within {took:?}", amount + 1);
    }
    let begun = calls.iter().map(|call| (call.from, 1));
    let over = calls.iter().filter_map(|call| Some((call.to?, -1)));
    let mut events: Vec<(u64, i64)> = begun.chain(over).collect();
    events.sort_unstable();
    // A caller that was killed as it began may be over first.
    let mut out = 0;
    for (_, change) in events {
        out += change;
        assert!(out <= at_once as i64, "{out} calls at once");
    }
}
