//! The scripts that run in the store: they put records in one order and stamp them, and know nothing of limits.

use redis::{Script, Value};

use crate::entry::Mark;

/// What the keys hold and how: of the keys in thousands, and of the words in them.
pub(crate) const VERSION: u64 = 2_000 + paceline_replica::VERSION;

/// Where a set lies: all in one slot of a cluster, and in no more keys than have to be, since a store that is short of
/// memory may take each of them away by itself.
#[derive(Debug)]
pub(crate) struct Keys {
    all: [String; 3],
    pub(crate) channel: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str, set: &str) -> Self {
        let key = |part: &str| format!("{{{prefix}:{set}}}:{part}");
        Self { all: ["head", "journal", "members"].map(key), channel: key("news") }
    }

    pub(crate) fn head(&self) -> &str {
        &self.all[0]
    }

    pub(crate) fn members(&self) -> &str {
        &self.all[2]
    }

    /// What matches the keys of every set, and what comes before its name.
    pub(crate) fn any(prefix: &str) -> (String, String) {
        (format!("{{{prefix}:*}}:*"), format!("{{{prefix}:"))
    }

    /// Of which set a key is that begins so: its head may be gone.
    pub(crate) fn set<'a>(key: &'a str, before: &str) -> Option<&'a str> {
        let (set, _) = key.strip_prefix(before)?.rsplit_once("}:")?;
        Some(set)
    }

    pub(crate) fn all(&self) -> &[String] {
        &self.all
    }

    /// Those that an image is about.
    pub(crate) fn imaged(&self) -> &[String] {
        &self.all[..2]
    }
}

#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) join: Script,
    pub(crate) append: Script,
    pub(crate) image: Script,
    pub(crate) remove: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            join: Script::new(include_str!("scripts/join.lua")),
            append: Script::new(include_str!("scripts/append.lua")),
            image: Script::new(include_str!("scripts/image.lua")),
            remove: Script::new(include_str!("scripts/remove.lua")),
        }
    }
}

/// What a member is told of a set: an image, if it needs one, and entries behind that or behind what it has seen.
#[derive(Debug)]
pub(crate) struct Told {
    /// Microseconds of the store's clock.
    pub(crate) now: u64,
    pub(crate) tail: u64,
    pub(crate) image_at: u64,
    /// The number of the entry before the first that is left.
    pub(crate) base: u64,
    pub(crate) members: u64,
    pub(crate) image: Vec<u8>,
    /// Of the entry that the image ends with, if it does with any.
    pub(crate) mark: Option<Mark>,
    pub(crate) entries: Vec<Vec<u8>>,
}

/// What came of joining.
#[derive(Debug)]
pub(crate) enum Joined {
    /// There is no such set yet; the store's microseconds.
    None(u64),
    /// It has another layout.
    Version(Vec<u8>),
    /// It has these limits.
    Limits(Vec<u8>),
    /// Somebody else is that member.
    Taken,
    /// A part of it is gone, and the rest is not enough here.
    Torn,
    /// This key of it is of another type.
    Foreign(Vec<u8>),
    In {
        incarnation: Vec<u8>,
        told: Told,
    },
}

/// What came of a batch.
#[derive(Debug)]
pub(crate) enum Appended {
    /// The store has forgotten the set.
    Gone,
    /// The store has lost entries that were seen here.
    Diverged,
    /// The lease has ended.
    Lost,
    /// Entries are gone that were not seen here.
    Torn,
    Done(Told),
}

impl Joined {
    pub(crate) fn read(reply: Value) -> Option<Self> {
        let mut reply = Reply::of(reply)?;
        Some(match &reply.bytes()?[..] {
            b"none" => Self::None(reply.word()?),
            b"version" => Self::Version(reply.bytes()?),
            b"limits" => Self::Limits(reply.bytes()?),
            b"taken" => Self::Taken,
            b"torn" => Self::Torn,
            b"foreign" => Self::Foreign(reply.bytes()?),
            b"in" => Self::In { incarnation: reply.bytes()?, told: reply.told()? },
            _ => return None,
        })
    }
}

impl Appended {
    pub(crate) fn read(reply: Value) -> Option<Self> {
        let mut reply = Reply::of(reply)?;
        Some(match &reply.bytes()?[..] {
            b"gone" => Self::Gone,
            b"diverged" => Self::Diverged,
            b"lost" => Self::Lost,
            b"torn" => Self::Torn,
            b"done" => Self::Done(reply.told()?),
            _ => return None,
        })
    }
}

struct Reply(std::vec::IntoIter<Value>);

impl Reply {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Array(values) => Some(Self(values.into_iter())),
            _ => None,
        }
    }

    fn word(&mut self) -> Option<u64> {
        match self.0.next()? {
            Value::Int(word) => word.try_into().ok(),
            _ => None,
        }
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        match self.0.next()? {
            Value::BulkString(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn told(mut self) -> Option<Told> {
        let (now, tail, image_at) = (self.word()?, self.word()?, self.word()?);
        let (base, members) = (self.word()?, self.word()?);
        let (image, mark) = (self.bytes()?, self.bytes()?.try_into().ok());
        let mut entries = Vec::with_capacity(self.0.len());
        while self.0.len() > 0 {
            entries.push(self.bytes()?);
        }
        Some(Told { now, tail, image_at, base, members, image, mark, entries })
    }
}
