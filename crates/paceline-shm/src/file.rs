//! Files of words with a header that says whose they are.
//!
//! A file is made whole under another name and then linked to its own, so nobody ever sees half of one, and of two who
//! make it one is first. The header names the layout, the boot and the time namespace: instants mean the same only to
//! those who share these.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::Ordering;

use crate::error::Error;
use crate::link::Link;
use crate::map::Mapping;
use crate::place::failed;

/// `paceline`, as bytes.
const MAGIC: u64 = u64::from_le_bytes(*b"paceline");

/// To be raised, there, with every change of what lies where in a file, too.
pub(crate) const VERSION: u64 = paceline_replica::VERSION;

/// Words of every header.
pub(crate) const HEADER: usize = 8;

const MAGIC_AT: usize = 0;
const VERSION_AT: usize = 1;
const BOOT_AT: usize = 2;
const CLOCK_AT: usize = 4;
const SIZE_AT: usize = 5;
/// One that the file's kind is told by.
const KIND_AT: usize = 6;

/// When and where instants mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Era {
    boot: [u64; 2],
    clock: u64,
}

impl Era {
    /// This boot, in this time namespace.
    pub(crate) fn now() -> Result<Self, Error> {
        let path = Path::new("/proc/sys/kernel/random/boot_id");
        let text = fs::read_to_string(path).map_err(failed("reading", path))?;
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        let boot = u128::from_str_radix(&digits, 16)
            .map_err(|_| failed("reading", path)(io::ErrorKind::InvalidData.into()))?;
        // Kernels without time namespaces have one clock.
        let clock = fs::metadata("/proc/self/ns/time").map_or(0, |namespace| namespace.ino());
        Ok(Self { boot: [boot as u64, (boot >> 64) as u64], clock })
    }
}

/// A file as it was found.
pub(crate) struct Found {
    pub(crate) map: Mapping,
    pub(crate) file: File,
    pub(crate) link: Link,
}

/// A file to be made or found.
pub(crate) struct Wanted<'a> {
    pub(crate) path: &'a Path,
    pub(crate) kind: u64,
    pub(crate) era: Era,
}

impl Wanted<'_> {
    /// The file, made by `fill` with `words` words if there is none.
    pub(crate) fn open_or_make(&self, words: usize, fill: impl FnOnce(&Mapping)) -> Result<Found, Error> {
        match self.open() {
            Err(Error::Io { said, .. }) if said.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        self.make(words, fill)?;
        self.open()
    }

    /// The file, if it is what it should be.
    pub(crate) fn open(&self) -> Result<Found, Error> {
        let path = self.path;
        let file = OpenOptions::new().read(true).write(true).custom_flags(NOFOLLOW).open(path);
        let file = file.map_err(failed("opening", path))?;
        let found = file.metadata().map_err(failed("looking at", path))?;
        let damaged = |why| Err(Error::Damaged { path: path.to_owned(), why });
        let words = usize::try_from(found.len() / 8).unwrap_or(usize::MAX);
        if !found.is_file() || words < HEADER || found.len() % 8 != 0 {
            return damaged("it is too short for a header");
        }
        let map = Mapping::new(&file, words).map_err(failed("mapping", path))?;
        let word = |at| map.word(at).load(Ordering::Acquire);
        if word(MAGIC_AT) != MAGIC {
            return damaged("it does not begin as a state file");
        }
        if word(VERSION_AT) != VERSION {
            return Err(Error::Version { path: path.to_owned(), found: word(VERSION_AT), known: VERSION });
        }
        if word(KIND_AT) != self.kind {
            return damaged("it is a file of another kind");
        }
        if word(SIZE_AT) != words as u64 {
            return damaged("it is not as long as it was made");
        }
        if [word(BOOT_AT), word(BOOT_AT + 1)] != self.era.boot {
            return Err(Error::Clock { path: path.to_owned(), when: "before this machine was started anew" });
        }
        if word(CLOCK_AT) != self.era.clock {
            return Err(Error::Clock { path: path.to_owned(), when: "in another time namespace (another container)" });
        }
        Ok(Found { map, file, link: Link::new(path, &found) })
    }

    fn make(&self, words: usize, fill: impl FnOnce(&Mapping)) -> Result<(), Error> {
        let path = self.path;
        let draft = path.with_extension(format!("new-{}-{:x}", std::process::id(), unique()));
        let made = self.draft(&draft, words, fill).and_then(|()| match fs::hard_link(&draft, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed("making", path)(error)),
            _ => Ok(()),
        });
        // Whoever was first, the draft has served.
        let _ = fs::remove_file(&draft);
        made
    }

    fn draft(&self, draft: &Path, words: usize, fill: impl FnOnce(&Mapping)) -> Result<(), Error> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(draft);
        let file = file.map_err(failed("making", draft))?;
        reserve(&file, words).map_err(failed("making room for", draft))?;
        let map = Mapping::new(&file, words).map_err(failed("mapping", draft))?;
        let Era { boot, clock } = self.era;
        let header = [
            (VERSION_AT, VERSION),
            (BOOT_AT, boot[0]),
            (BOOT_AT + 1, boot[1]),
            (CLOCK_AT, clock),
            (SIZE_AT, words as u64),
        ];
        for (at, word) in header.into_iter().chain([(KIND_AT, self.kind), (MAGIC_AT, MAGIC)]) {
            map.word(at).store(word, Ordering::Relaxed);
        }
        fill(&map);
        Ok(())
    }
}

/// Has the memory set aside now: found missing later, it would kill whoever touches it.
fn reserve(mut file: &File, words: usize) -> io::Result<()> {
    let bytes = words as u64 * 8;
    let none = rustix::fs::FallocateFlags::empty();
    match rustix::io::retry_on_intr(|| rustix::fs::fallocate(file, none, 0, bytes)) {
        // Not every filesystem can set aside what is not written.
        Err(rustix::io::Errno::OPNOTSUPP) => io::copy(&mut io::repeat(0).take(bytes), &mut file).map(|_| ()),
        done => Ok(done?),
    }
}

/// Not followed: what is shared lies where its path says, or a link could lead anywhere.
pub(crate) const NOFOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

/// Tells drafts of one process apart.
fn unique() -> u64 {
    static DRAFTS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    DRAFTS.fetch_add(1, Ordering::Relaxed)
}
