//! The journal beside the results: what was started, when, at what cost, and how it ended.
//!
//! The results are the truth of what is done; the journal is what a run knows of those before it. It is appended to only:
//!
//! * `started` is handed to the system before the attempt's first byte is, so that no kill loses one;
//! * all else is written with the next `started`, or with the next results;
//! * both files are brought to the disk together, every 100 ms or as often as the disk can: what a power failure can lose is
//!   what came since, of which results would be asked for again and starts would not be charged to the windows.

mod attempt;
mod digest;
mod level;
mod open;
mod past;
mod read;
mod recall;
pub(crate) mod record;
mod write;

pub(crate) use attempt::Attempted;
pub(crate) use digest::Digest;
pub(crate) use level::watch as watch_level;
pub(crate) use open::{Opened, beside, open, peek, read};
pub(crate) use past::{Past, Tracked};
pub(crate) use read::Records;
pub(crate) use recall::{Recalled, Start, Terms, What};
pub(crate) use write::Journal;
