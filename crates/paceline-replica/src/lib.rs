#![doc = include_str!("../README.md")]
//!
//! * [`Op`]: what is done to a set, as words.
//! * [`Replica`]: the set as one member sees it; [`apply`](Replica::apply) is the only way to change it.
//! * [`limits`]: the limits that a set was made with, as words, and what differs between two descriptions.
//!
//! How records get from one member to another, in which order, and who is still there, is the backend's.
//!
//! ```
//! use paceline::backend::LimitSpec;
//! use paceline_core::{Priority, Time};
//! use paceline_replica::{Asked, Effect, Key, Member, Op, Patience, Replica};
//!
//! let mut replica = Replica::of(&[("slots".into(), LimitSpec::Resource(1))], Time::ZERO)?;
//! let key = Key { member: Member::of(1).unwrap(), permit: 7 };
//! let demand = [(0, 1)].into_iter().collect();
//! let op = Op::Ask(Asked { key, demand, priority: Priority::Normal, waited: Default::default(), patience: Patience::None });
//! assert!(matches!(replica.apply(Time::from_nanos(5), &op), Effect::Granted(_)));
//! assert!(matches!(replica.apply(Time::from_nanos(6), &op), Effect::Wait(_)));
//! # Ok::<(), paceline_core::ChangeError>(())
//! ```

mod describe;
pub mod limits;
mod member;
mod op;
mod replica;

pub use member::Member;
pub use op::{Asked, Key, Op, Patience};
pub use replica::{Effect, Replica, Verdict};

/// To be raised with every change of what a record or an image means, of core's images and decisions too: members that
/// know different versions must not share.
pub const VERSION: u64 = 4;
