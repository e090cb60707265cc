//! The thread that writes. A result frees its slot once it is written, and counts once it is [on the disk](super::disk).
//!
//! Results go there in groups, at most [`DELAY`] after the first of a group was written: a kill loses no result that was
//! written, a power failure those of the last groups, which never counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::disk::{Disk, Group};
use super::order::Reorder;
use super::sink::Sink;
use crate::args::ResultOrder;
use crate::journal::Journal;
use crate::stop::{Cause, Stop};
use crate::tally::Tally;

/// What became of an item.
#[derive(Debug)]
pub(crate) struct Written {
    /// Its place among the items.
    pub(crate) number: u64,
    pub(crate) outcome: Outcome,
    /// Given back when it is written: what is not yet written is bounded.
    pub(crate) slot: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Succeeded(Vec<u8>),
    Failed(Vec<u8>),
    /// Stopped before there was a result; it will be sent again.
    Abandoned,
}

/// Whom results go to.
#[derive(Clone, Debug)]
pub(crate) enum Results {
    Written(Sender<Written>),
    /// Nobody: in a simulation they only count.
    Counted(Arc<Tally>),
}

impl Results {
    pub(crate) fn send(&self, result: Written) {
        match self {
            // The writer outlives every sender, unless it panicked, which its owner sees.
            Self::Written(writer) => drop(writer.send(result)),
            Self::Counted(tally) => match result.outcome {
                Outcome::Succeeded(_) => tally.written(1, 0),
                Outcome::Failed(_) => tally.written(0, 1),
                Outcome::Abandoned => {}
            },
        }
    }
}

/// Starts the thread. It ends when all senders are gone, with what is there written.
pub(crate) fn spawn(
    sink: Sink,
    order: ResultOrder,
    journal: Arc<Journal>,
    tally: Arc<Tally>,
    stop: Arc<Stop>,
) -> (Results, JoinHandle<()>) {
    let (send, receive) = channel();
    let thread = thread::spawn(move || {
        let broken = &AtomicBool::new(false);
        let disk = Disk { file: sink.file(), journal: &journal, tally: &tally, stop: &stop, broken };
        // A group is handed over when the one before is on the disk: no more than one waits.
        let (groups, due) = sync_channel(0);
        thread::scope(|scope| {
            scope.spawn(move || disk.take(&due));
            let mut writer =
                Writer { sink, journal: &journal, tally: &tally, stop: &stop, broken, groups, group: None };
            match order {
                ResultOrder::Completion => writer.as_they_come(&receive),
                ResultOrder::Input => writer.in_order(&receive),
            }
            writer.hand_over();
        });
    });
    (Results::Written(send), thread)
}

struct Writer<'a> {
    sink: Sink,
    journal: &'a Journal,
    tally: &'a Tally,
    stop: &'a Stop,
    /// Writing failed once: nothing more is tried, so that no result is written after a gap.
    broken: &'a AtomicBool,
    groups: SyncSender<Group>,
    /// Written, and not yet on its way to the disk.
    group: Option<(Instant, Group)>,
}

/// How much is written at once.
const CHUNK: usize = 1 << 18;

/// How long a result waits for others to be written with it: whoever hands one in meanwhile wakes nobody.
const GATHER: Duration = Duration::from_millis(1);

/// How long a result waits for others to go to the disk with it.
const DELAY: Duration = Duration::from_millis(100);

impl Writer<'_> {
    fn as_they_come(&mut self, results: &Receiver<Written>) {
        while let Some(first) = self.receive(results) {
            thread::sleep(GATHER);
            let mut chunk = Chunk::default();
            chunk.push(first);
            while chunk.lines.len() < CHUNK {
                let Ok(next) = results.try_recv() else { break };
                chunk.push(next);
            }
            self.write(chunk);
        }
    }

    fn in_order(&mut self, results: &Receiver<Written>) {
        let mut reorder = Reorder::default();
        while let Some(result) = self.receive(results) {
            thread::sleep(GATHER);
            reorder.push(result.number, result);
            reorder_all(results, &mut reorder);
            loop {
                let mut chunk = Chunk::default();
                while let Some(next) = (chunk.lines.len() < CHUNK).then(|| reorder.pop()).flatten() {
                    chunk.push(next);
                }
                if chunk.slots.is_empty() {
                    break;
                }
                self.write(chunk);
            }
        }
        let mut chunk = Chunk::default();
        reorder.rest().for_each(|result| chunk.push(result));
        self.write(chunk);
    }

    /// The next result; none when no more come. What is due goes to the disk meanwhile.
    fn receive(&mut self, results: &Receiver<Written>) -> Option<Written> {
        loop {
            let Some((due, _)) = &self.group else { return results.recv().ok() };
            match due.checked_duration_since(Instant::now()) {
                None => self.hand_over(),
                Some(left) => match results.recv_timeout(left) {
                    Ok(result) => return Some(result),
                    Err(RecvTimeoutError::Timeout) => self.hand_over(),
                    Err(RecvTimeoutError::Disconnected) => return None,
                },
            }
        }
    }

    fn write(&mut self, chunk: Chunk) {
        if !self.broken.load(Relaxed) && !chunk.lines.is_empty() {
            // Ends come before the results they led to, so that what was answered is not taken for unknown.
            if let Err(error) = self.journal.flush() {
                self.stop.drain(Cause::Journal(error.to_string()));
            }
            if let Err(error) = self.sink.write(&chunk.lines) {
                self.fail(&error);
            }
        }
        if self.broken.load(Relaxed) {
            self.tally.lost.add(chunk.succeeded + chunk.failed);
            return;
        }
        let (_, group) = self.group.get_or_insert_with(|| (Instant::now() + DELAY, Group::default()));
        group.succeeded += chunk.succeeded;
        group.failed += chunk.failed;
    }

    /// Has what was written brought to the disk, once what was written before is there.
    fn hand_over(&mut self) {
        if let Some((_, group)) = self.group.take() {
            // It is there for as long as this is, unless it panicked, which the scope passes on.
            let _ = self.groups.send(group);
        }
    }

    fn fail(&mut self, error: &io::Error) {
        self.broken.store(true, Relaxed);
        self.stop.abort(Cause::Output(error.to_string()));
    }
}

fn reorder_all(results: &Receiver<Written>, reorder: &mut Reorder<Written>) {
    while let Ok(next) = results.try_recv() {
        reorder.push(next.number, next);
    }
}

/// Results that are written together.
#[derive(Default)]
struct Chunk {
    lines: Vec<u8>,
    succeeded: u64,
    failed: u64,
    slots: Vec<OwnedSemaphorePermit>,
}

impl Chunk {
    fn push(&mut self, result: Written) {
        match result.outcome {
            Outcome::Succeeded(line) => {
                self.lines.extend_from_slice(&line);
                self.succeeded += 1;
            }
            Outcome::Failed(line) => {
                self.lines.extend_from_slice(&line);
                self.failed += 1;
            }
            Outcome::Abandoned => {}
        }
        self.slots.push(result.slot);
    }
}
