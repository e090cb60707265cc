//! Threads without a runtime, sharing one set: a database that takes five queries at once.
//!
//! `cargo run -p paceline --example threads`

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use paceline::LimitSet;

fn main() -> Result<(), paceline::Error> {
    let database = LimitSet::builder("database").resource("connection", 5).build()?;
    let (running, most) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let _connection = database.acquire_blocking([("connection", 1)]).expect("one comes back in time");
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(5));
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    println!("20 workers, at most {} queries at once", most.load(Ordering::SeqCst));
    Ok(())
}
