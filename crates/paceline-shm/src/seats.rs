//! Seats: a byte of the members' file for each, locked by whoever has it.
//!
//! The locks are those of an open file (`F_OFD_SETLK`, `fcntl(2)`): the kernel drops them when the last process that has
//! it open or mapped is gone. One open file locks its own seat and tries those of all others, so a member has one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{self, c_int, c_short};
use parking_lot::Mutex;

use crate::error::Error;
use crate::file::NOFOLLOW;
use crate::place::failed;

/// How many can share.
pub(crate) const SEATS: u16 = 256;

/// The members' file, opened by one of them.
#[derive(Debug)]
pub(crate) struct Seats {
    file: File,
    /// Held while a seat is tried: what this open file has locked is free to all its threads.
    trying: Mutex<()>,
}

impl Seats {
    pub(crate) fn new(file: File) -> Self {
        Self { file, trying: Mutex::new(()) }
    }

    /// Takes a seat until this [leaves](Self::leave) it or ends; whether it was free.
    pub(crate) fn take(&self, seat: u16) -> io::Result<bool> {
        match lock(&self.file, seat, libc::F_WRLCK) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// If a seat that is not one's own is free, calls `then`, during which nobody can take it.
    pub(crate) fn if_free<R>(&self, seat: u16, then: impl FnOnce() -> R) -> Option<R> {
        let _trying = self.trying.lock();
        lock(&self.file, seat, libc::F_WRLCK).ok()?;
        let result = then();
        self.leave(seat);
        Some(result)
    }

    pub(crate) fn leave(&self, seat: u16) {
        // Cannot fail on a lock that is held; were it to, the seat stays taken until this ends, which harms nobody.
        let _ = lock(&self.file, seat, libc::F_UNLCK);
    }
}

/// How many seats are taken of a file that may be anything.
pub(crate) fn census(path: &Path) -> Result<usize, Error> {
    // What is no file nobody can have a seat in, and opening it may have effects.
    if !path.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return Ok(0);
    }
    let file = OpenOptions::new().read(true).write(true).custom_flags(NOFOLLOW).open(path);
    let seats = Seats::new(file.map_err(failed("opening", path))?);
    Ok((0..SEATS).filter(|seat| seats.if_free(*seat, || {}).is_none()).count())
}

fn lock(file: &File, seat: u16, kind: c_int) -> nix::Result<()> {
    let (l_type, l_whence) = (kind as c_short, libc::SEEK_SET as c_short);
    let lock = libc::flock { l_type, l_whence, l_start: seat.into(), l_len: 1, l_pid: 0 };
    fcntl(file, FcntlArg::F_OFD_SETLK(&lock)).map(drop)
}
