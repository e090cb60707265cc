//! Why limits cannot be shared, with what to do.

mod plain;

use std::io;
use std::time::Duration;

use paceline::backend::BackendError;
use redis::{ErrorKind, RedisError};

use plain::IN_A_SCRIPT;
pub(crate) use plain::{escaped, plain};

/// What went wrong, with the values that it was about. Every message ends in what to do, and none has a password in it;
/// nothing ever goes on without its limits instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a URL of a Redis. The URL itself is not told: it may hold a password.
    #[error("this is no URL of a Redis: {why}; write `redis://HOST:PORT`, `rediss://HOST:PORT` or `unix:///PATH`")]
    Url {
        /// What is wrong with it.
        why: String,
    },
    /// An option that makes no sense.
    #[error("{what}")]
    Option {
        /// Which, its value, and its range.
        what: String,
    },
    /// No connection.
    #[error(
        "cannot reach Redis at {address}: {said}; see that it runs there, that nothing is in between, and that the URL is `rediss://` where it speaks TLS and only there"
    )]
    Unreachable {
        /// Where.
        address: String,
        /// What the system said.
        said: String,
    },
    /// No encrypted connection.
    #[error("no TLS with Redis at {address}: {said}; {remedy}")]
    Tls {
        /// Who.
        address: String,
        /// What does not fit.
        said: String,
        /// What to do.
        remedy: &'static str,
    },
    /// No answer.
    #[error(
        "Redis at {address} gave no answer within {timeout:?}; see that it is not overloaded and that the URL is `rediss://` where it speaks TLS and only there, or allow more by `Options::response_timeout`"
    )]
    Silent {
        /// Who.
        address: String,
        /// For how long.
        timeout: Duration,
    },
    /// It does not know who asks.
    #[error("Redis at {address} wants to know who asks: {said}; name user and password in the URL")]
    Password {
        /// Who.
        address: String,
        /// What it said.
        said: String,
    },
    /// It knows who asks and does not allow it.
    #[error(
        "Redis at {address} does not allow this user what is needed: {said}; allow scripts, channels and keys of the prefix"
    )]
    Forbidden {
        /// Who.
        address: String,
        /// What it said.
        said: String,
    },
    /// A copy of another Redis.
    #[error("Redis at {address} is a replica, which cannot be written to; name its primary")]
    Replica {
        /// Who.
        address: String,
    },
    /// No memory left.
    #[error(
        "Redis at {address} has no memory left ({said}); give it more by `maxmemory`, or remove what is not needed"
    )]
    Memory {
        /// Who.
        address: String,
        /// What it said.
        said: String,
    },
    /// A version that cannot do what is needed.
    #[error("Redis at {address} is {version}; at least 6.2 is needed, or Valkey")]
    Old {
        /// Who.
        address: String,
        /// Its version, as it calls it.
        version: String,
    },
    /// It cannot serve now.
    #[error("Redis at {address} cannot serve now: {said}; see to what it says, or try again later")]
    Busy {
        /// Who.
        address: String,
        /// What it said.
        said: String,
    },
    /// Any other refusal.
    #[error("Redis at {address} refused: {said}; see what is said of that in its documentation")]
    Refused {
        /// Who.
        address: String,
        /// What it said.
        said: String,
    },
    /// Something else listens there.
    #[error("what answers at {address} is no Redis ({said}); see to host and port of the URL")]
    NoRedis {
        /// Where.
        address: String,
        /// What does not fit.
        said: String,
    },
    /// A set that another version has made.
    #[error(
        "`{set}` has the layout {found} and this program knows {known}: those who share it use different versions of Paceline; end them all and remove it, or use another prefix"
    )]
    Version {
        /// The set.
        set: String,
        /// Its layout version.
        found: String,
        /// The one this version writes.
        known: u64,
    },
    /// The set is shared with other limits.
    #[error(
        "`{set}` is shared with other limits: {what}; give all the same, use another name, or remove it once nobody uses it"
    )]
    Limits {
        /// The set.
        set: String,
        /// What differs.
        what: String,
    },
    /// More limits than can be shared.
    #[error("`{set}` has {count} limits; up to {most} can be shared in a set")]
    TooManyLimits {
        /// The set.
        set: String,
        /// How many.
        count: usize,
        /// How many are possible.
        most: usize,
    },
    /// A key of the set is of another type than it would be.
    #[error(
        "the key `{key}` holds something else than what is kept of `{set}` there; remove the set, which deletes that key too, or use another prefix"
    )]
    Foreign {
        /// The set.
        set: String,
        /// The key.
        key: String,
    },
    /// Keys that nobody of ours can have left so.
    #[error("what Redis keeps of `{set}` is damaged ({why}); end all who share it and remove it")]
    Damaged {
        /// The set.
        set: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Some of its keys are gone, and nobody who has seen all of it has put it back yet.
    #[error(
        "Redis has lost a part of `{set}`, which those who use it put back; if nobody does, remove it, and see that `maxmemory-policy` is `noeviction`"
    )]
    Torn {
        /// The set.
        set: String,
    },
    /// Somebody uses it.
    #[error("{count} use `{set}`; end them first, or wait until their leases have ended, for {left:?} at most")]
    InUse {
        /// The set.
        set: String,
        /// How many.
        count: usize,
        /// For how long, unless they renew their leases.
        left: Duration,
    },
    /// Nothing is held in advance.
    #[error(
        "`{set}` is at least a round trip away, so what is not held in advance cannot be had at once; wait for it by `acquire`, or hold some by `Options::prefetch`"
    )]
    NotAhead {
        /// The set.
        set: String,
    },
    /// This is the child of the process that connected.
    #[error("this process was forked from the one that connected to Redis; connect again after the fork")]
    Forked,
    /// What was to be done was not, or nobody knows.
    #[error(
        "a task that talks to Redis has panicked, which is a mistake in Paceline; report what it printed, and connect again"
    )]
    Stopped,
    /// The system gave no thread.
    #[error("cannot talk to Redis without a thread: {0}; let the system have more threads")]
    NoThread(io::Error),
}

impl Error {
    /// Whether the same call can succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Silent { .. }
                | Self::Memory { .. }
                | Self::Busy { .. }
                | Self::Torn { .. }
                | Self::InUse { .. }
                | Self::NoThread(_)
        )
    }

    /// What the client said of a call.
    pub(crate) fn of(error: RedisError, address: &str, timeout: Duration) -> Self {
        let (address, said) = (address.to_owned(), plain(&error.to_string()));
        match error.kind() {
            ErrorKind::AuthenticationFailed => return Self::Password { address, said },
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => return Self::NoRedis { address, said },
            ErrorKind::RESP3NotSupported => return Self::Old { address, version: "older than 6.0".to_owned() },
            ErrorKind::Io if error.is_timeout() => return Self::Silent { address, timeout },
            ErrorKind::Io => {
                return match crate::tls::remedy(&error) {
                    Some(remedy) => Self::Tls { address, said, remedy },
                    None => Self::Unreachable { address, said },
                };
            }
            ErrorKind::InvalidClientConfig => {
                return Self::Option { what: format!("{said}; see that certificate and key belong together") };
            }
            _ => {}
        }
        match code(&error) {
            Some("OOM") => Self::Memory { address, said },
            Some("READONLY") => Self::Replica { address },
            Some("NOPERM") => Self::Forbidden { address, said },
            Some("NOAUTH" | "WRONGPASS") => Self::Password { address, said },
            Some(
                // ASK: to where a slot is on its way: what is asked for may be there, or here, or a part of each.
                "ASK" | "BUSY" | "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "MAXCLIENTS" | "MISCONF" | "NOREPLICAS"
                | "TRYAGAIN",
            ) => Self::Busy { address, said },
            _ => Self::Refused { address, said },
        }
    }

    /// Whether it says that the store is away, and not that something is wrong with it or with what it was asked.
    pub(crate) fn is_away(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Tls { .. }
                | Self::Silent { .. }
                | Self::Memory { .. }
                | Self::Busy { .. }
                | Self::Replica { .. }
        )
    }

    /// Whether the connection is of no more use.
    pub(crate) fn is_of_the_line(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Tls { .. }
                | Self::Silent { .. }
                | Self::Password { .. }
                | Self::Replica { .. }
                | Self::NoRedis { .. }
        )
    }

    /// Whether a key was of another type than it was asked as.
    pub(crate) fn is_of_another_type(&self) -> bool {
        matches!(self, Self::Refused { said, .. } if said.contains("WRONGTYPE"))
    }

    /// Whether a script could not work with what it found.
    pub(crate) fn is_of_a_script(&self) -> bool {
        self.is_of_another_type() || matches!(self, Self::Refused { said, .. } if said.contains(IN_A_SCRIPT))
    }
}

/// The word by which a store tells what it refuses. Of what went wrong within a script, 6.2 has it in the text alone: `ERR
/// Error running script (call to f_…): @user_script: 5: -READONLY You can't write against a read only replica.`
fn code(error: &RedisError) -> Option<&str> {
    let told = error.code()?;
    let text = error.detail().filter(|_| told == "ERR").unwrap_or_default();
    if text.contains("max number of clients reached") {
        return Some("MAXCLIENTS");
    }
    if text.contains("The user executing the script can't") {
        return Some("NOPERM");
    }
    let is_code = |word: &&str| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    let within = text.split(' ').filter_map(|word| word.strip_prefix('-')).find(is_code);
    Some(within.unwrap_or(told))
}

impl From<Error> for BackendError {
    fn from(error: Error) -> Self {
        Self { message: error.to_string(), retryable: error.is_retryable() }
    }
}
