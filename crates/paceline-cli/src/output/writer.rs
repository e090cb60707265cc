//! The thread that writes. A result counts once it is written, and only then frees its slot.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use tokio::sync::OwnedSemaphorePermit;

use super::order::Reorder;
use super::sink::Sink;
use crate::args::ResultOrder;
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

/// Starts the thread. It ends when all senders are gone, with what is there written.
pub(crate) fn spawn(
    sink: Sink,
    order: ResultOrder,
    tally: Arc<Tally>,
    stop: Arc<Stop>,
) -> (Sender<Written>, JoinHandle<()>) {
    let (send, receive) = channel();
    let mut writer = Writer { sink, tally, stop, broken: false };
    let thread = std::thread::spawn(move || {
        match order {
            ResultOrder::Completion => writer.as_they_come(&receive),
            ResultOrder::Input => writer.in_order(&receive),
        }
        writer.finish();
    });
    (send, thread)
}

struct Writer {
    sink: Sink,
    tally: Arc<Tally>,
    stop: Arc<Stop>,
    /// Writing failed once: nothing more is tried, so that no result is written after a gap.
    broken: bool,
}

/// How much is written at once.
const CHUNK: usize = 1 << 18;

impl Writer {
    fn as_they_come(&mut self, results: &Receiver<Written>) {
        while let Ok(first) = results.recv() {
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
        while let Ok(result) = results.recv() {
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

    fn write(&mut self, chunk: Chunk) {
        if !self.broken && !chunk.lines.is_empty() {
            if let Err(error) = self.sink.write(&chunk.lines) {
                self.fail(&error);
            }
        }
        if self.broken {
            self.tally.lost.add(chunk.succeeded + chunk.failed);
        } else {
            self.tally.written(chunk.succeeded, chunk.failed);
        }
    }

    fn finish(&mut self) {
        if let Err(error) = self.sink.sync() {
            self.fail(&error);
        }
    }

    fn fail(&mut self, error: &io::Error) {
        self.broken = true;
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
