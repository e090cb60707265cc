//! A service that keeps its own journal: a plain list of when each call came and when it was over. It knows nothing of
//! limits, and its clock is the only one that counts.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// One call, as the service saw it: in nanoseconds of the boot's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// Who called.
    pub(crate) caller: u64,
    pub(crate) from: u64,
    /// None where the caller was gone before, or goes on.
    pub(crate) to: Option<u64>,
}

/// The service; it ends with the test's process.
pub(crate) struct Service(Arc<Mutex<Vec<Call>>>);

const BEGIN: u8 = b'(';
const END: u8 = b')';

pub(crate) fn now() -> u64 {
    Clock::boot().now().as_nanos()
}

impl Service {
    pub(crate) fn start(directory: &Path) -> Self {
        let listener = UnixListener::bind(directory.join("service")).unwrap();
        let journal = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&journal);
        std::thread::spawn(move || {
            for caller in listener.incoming() {
                let journal = Arc::clone(&all);
                // Who is killed leaves in the middle of anything.
                std::thread::spawn(move || drop(serve(caller.unwrap(), &journal)));
            }
        });
        Self(journal)
    }

    /// All calls so far, in the order in which they came.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let mut calls = self.0.lock().unwrap().clone();
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
        let mut calls = journal.lock().unwrap();
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
pub(crate) struct Caller(tokio::net::UnixStream);

impl Caller {
    /// To be made within a runtime.
    pub(crate) fn connect(directory: &Path, caller: u64) -> Self {
        let mut stream = UnixStream::connect(directory.join("service")).unwrap();
        stream.write_all(&caller.to_le_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self(tokio::net::UnixStream::from_std(stream).unwrap())
    }

    /// A call that takes as long. The service has seen its begin and its end when it returns.
    pub(crate) async fn call(&mut self, takes: Duration) {
        self.say(BEGIN).await;
        tokio::time::sleep(takes).await;
        self.say(END).await;
    }

    async fn say(&mut self, what: u8) {
        self.0.write_all(&[what]).await.unwrap();
        assert_eq!(self.0.read_u8().await.unwrap(), what);
    }
}
