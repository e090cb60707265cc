//! The directory that shared limits live in.
//!
//! The default is one place and no other, so that two processes of one user cannot miss each other because one of them
//! has another environment: `/dev/shm/paceline-UID`. `PACELINE_SHM_DIR` or [`Options::directory`](crate::Options::directory)
//! names another. Below it, each name has a directory, and in it lie `members` (who is there) and `sets/` (one state file
//! for each set). All of it is its owner's alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::error::Error;
use crate::link::identity;

/// Names a directory other than the default.
pub(crate) const DIRECTORY: &str = "PACELINE_SHM_DIR";

const PRIVATE: u32 = 0o700;

/// Neither what a link leads to nor something that opening has effects on.
const DIRECTORY_ITSELF: i32 = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).bits() as i32;

/// What the names of state files begin with.
const SET: &str = "set-";

/// Where the limits of one name live.
#[derive(Clone, Debug)]
pub(crate) struct Place(PathBuf);

impl Place {
    /// Finds it and makes it, if need be.
    pub(crate) fn make(base: Option<&Path>, name: &str) -> Result<Self, Error> {
        let place = Self::named(base, name)?;
        match place.0.parent() {
            // Everybody can write to the directory that it is in.
            Some(base) if base == default() => private(base)?,
            Some(base) => make(base)?,
            None => {}
        }
        for directory in [&place.0, &place.sets()] {
            private(directory)?;
        }
        local(&place.0)?;
        Ok(place)
    }

    /// Keeps it from being removed, or, `alone`, from being joined, until the file is closed. None if it was removed.
    pub(crate) fn hold(&self, alone: bool) -> Result<Option<File>, Error> {
        let file = OpenOptions::new().read(true).custom_flags(DIRECTORY_ITSELF).open(&self.0);
        let file = file.map_err(failed("opening", &self.0))?;
        let how = if alone { FlockOperation::LockExclusive } else { FlockOperation::LockShared };
        rustix::io::retry_on_intr(|| flock(&file, how)).map_err(|error| failed("locking", &self.0)(error.into()))?;
        let held = file.metadata().map_err(failed("looking at", &self.0))?;
        let there = fs::metadata(&self.0).is_ok_and(|there| identity(&there) == identity(&held));
        Ok(there.then_some(file))
    }

    /// Where it would be.
    pub(crate) fn named(base: Option<&Path>, name: &str) -> Result<Self, Error> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=100).contains(&name.len()) || !name.bytes().all(known) || name.starts_with('.') {
            return Err(Error::Name { name: name.into() });
        }
        let base = match base {
            Some(base) => base.to_owned(),
            None => match std::env::var_os(DIRECTORY).filter(|directory| !directory.is_empty()) {
                Some(directory) => directory.into(),
                None => default(),
            },
        };
        Ok(Self(base.join(name)))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn members(&self) -> PathBuf {
        self.0.join("members")
    }

    pub(crate) fn sets(&self) -> PathBuf {
        self.0.join("sets")
    }

    /// The state file of a set: its name, with what a file name cannot hold as `%` and hexadecimal digits.
    pub(crate) fn set(&self, set: &str) -> PathBuf {
        let mut file = SET.to_owned();
        for byte in set.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => file.push(char::from(byte)),
                other => file.push_str(&format!("%{other:02x}")),
            }
        }
        self.sets().join(file)
    }
}

fn default() -> PathBuf {
    format!("/dev/shm/paceline-{}", rustix::process::geteuid().as_raw()).into()
}

/// The set that a state file is of; none for what is no state file, such as a draft of one.
pub(crate) fn set_of(file: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = file.strip_prefix(SET)?.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'.' => return None,
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

/// What to say where the system refuses.
pub(crate) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |said| {
        let too_many = [Errno::MFILE, Errno::NFILE].into_iter().any(|one| Errno::from_io_error(&said) == Some(one));
        let advice = match said.kind() {
            _ if too_many => {
                "let this process open more files (`ulimit -n`), or have fewer open: clones of one handle share its files"
            }
            io::ErrorKind::PermissionDenied => {
                "run it as the user who made it, or choose another directory by `PACELINE_SHM_DIR`"
            }
            io::ErrorKind::NotFound => "choose a directory that exists by `PACELINE_SHM_DIR` or `Options::directory`",
            io::ErrorKind::StorageFull => "make room there, or choose another directory by `PACELINE_SHM_DIR`",
            _ => "choose another directory by `PACELINE_SHM_DIR` or `Options::directory`",
        };
        Error::Io { doing, path, said, advice }
    }
}

fn make(path: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(PRIVATE).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed("making", path)(error)),
        _ => Ok(()),
    }
}

/// A directory of ours that nobody else can look into.
fn private(path: &Path) -> Result<(), Error> {
    make(path)?;
    // Not followed: in a directory that all can write to, a link could lead anywhere.
    let found = fs::symlink_metadata(path).map_err(failed("looking at", path))?;
    let us = rustix::process::geteuid().as_raw();
    let why = if !found.is_dir() {
        "is no directory".to_owned()
    } else if found.uid() != us {
        format!("belongs to user {}, not to this process's {us}", found.uid())
    } else if found.mode() & 0o077 != 0 {
        format!("can be entered by others (mode {:o}, not {PRIVATE:o})", found.mode() & 0o777)
    } else {
        return Ok(());
    };
    Err(Error::Unsafe { path: path.to_owned(), why })
}

/// Not on a network.
fn local(path: &Path) -> Result<(), Error> {
    let found = rustix::fs::statfs(path).map_err(|error| failed("looking at", path)(error.into()))?;
    match network(found.f_type as u64 & 0xffff_ffff) {
        Some(kind) => Err(Error::Network { path: path.to_owned(), kind }),
        None => Ok(()),
    }
}

/// The filesystems that machines share, by the numbers of Linux's `statfs(2)`. What FUSE is of nobody can tell.
fn network(kind: u64) -> Option<&'static str> {
    Some(match kind {
        0x6969 => "NFS",
        0x517b => "SMB",
        0xff53_4d42 => "CIFS",
        0xfe53_4d42 => "SMB2",
        0x0102_1997 => "9P",
        0x6573_5546 => "FUSE",
        0x00c3_6400 => "Ceph",
        0x5346_414f => "AFS",
        0x6b41_4653 => "kAFS",
        0x7375_7245 => "Coda",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x0116_1970 => "GFS2",
        0x7461_636f => "OCFS2",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_filesystems_are_told() {
        assert_eq!(network(0x6969), Some("NFS"));
        assert_eq!(network(0x0102_1994), None, "tmpfs is memory");
        assert_eq!(network(0xef53), None, "ext4 is local");
    }

    #[test]
    fn any_set_has_a_file_of_its_own() {
        for name in ["api", "", "../up", "a b/ü%", "%2f"] {
            let file = Place("/x".into()).set(name);
            assert_eq!(file.parent(), Some(Path::new("/x/sets")), "{name}");
            let file = file.strip_prefix("/x/sets").unwrap().to_str().unwrap();
            assert_eq!(set_of(file).as_deref(), Some(name));
        }
        for file in ["set-%zz", "set-%f", "set-api.new-1-0", "other"] {
            assert_eq!(set_of(file), None, "{file}");
        }
    }

    #[test]
    fn a_process_out_of_files_is_told_so() {
        for errno in [Errno::MFILE, Errno::NFILE] {
            let message = failed("opening", Path::new("/place"))(errno.into()).to_string();
            assert!(message.contains("ulimit -n") && !message.contains("another directory"), "{message}");
        }
    }
}
