#![doc = include_str!("../README.md")]

mod entry;
mod error;
mod fitness;
mod handle;
mod line;
mod nodes;
mod options;
mod scripts;
mod set;
mod shared;
mod store_time;
mod thread;
mod tls;
mod way;

pub use error::Error;
pub use handle::Redis;
pub use options::{Options, Outage};

/// Shares limits over the Redis at `url`, or over the cluster that it is one of, with the default [`Options`].
///
/// # Errors
///
/// As [`Options::connect`].
pub async fn connect(url: &str) -> Result<Redis, Error> {
    Options::new(url).connect().await
}
