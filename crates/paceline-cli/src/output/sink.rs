//! Where results go: opened, locked, and tried before anything is sent.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Seek as _, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};

use super::line::Origin;
use super::resume;
use crate::input::Results;
use crate::job::Output;

/// What was there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resumed {
    pub(crate) results: u64,
    /// Whether a torn last line was cut off.
    pub(crate) torn: bool,
}

/// An open output.
#[derive(Debug)]
pub(crate) enum Sink {
    Stdout(io::Stdout),
    /// With a length that can be put back, and a lock that goes with the file.
    Regular {
        file: Arc<File>,
        end: u64,
    },
    /// A pipe or a device.
    Stream(File),
}

impl Sink {
    /// Opens it, and locks what is a file, to [go on](Self::go_on) where that ends.
    pub(crate) fn open(output: &Output) -> Result<Self> {
        let Some(path) = output.path() else { return Ok(Self::Stdout(io::stdout())) };
        let name = path.display().to_string();
        let cannot = || format!("cannot write the results to {name}");
        let (file, regular) = open(path).with_context(cannot)?;
        if !regular {
            // A device that takes nothing says so even to nothing.
            (&file).write(&[]).with_context(cannot)?;
            return Ok(Self::Stream(file));
        }
        lock(&file, path, &name)?;
        Ok(Self::Regular { file: Arc::new(file), end: 0 })
    }

    /// Reads what is there, and sees that more can follow it; `results` learns whose it is.
    pub(crate) fn go_on(&mut self, output: &Output, results: &mut Results) -> Result<Resumed> {
        let (Self::Regular { file, end }, Some(path)) = (self, output.path()) else { return Ok(Resumed::default()) };
        let name = path.display().to_string();
        let cannot = || format!("cannot write the results to {name}");
        let existing = BufReader::with_capacity(1 << 16, &**file);
        let found = match output {
            Output::Scratch(_) => {
                resume::read(existing, &name, Origin::Rehearsal, &mut Results::default())?;
                file.set_len(0).with_context(cannot)?;
                resume::Found::default()
            }
            _ => resume::read(existing, &name, Origin::Service, results)?,
        };
        resume::mend(file, &found).with_context(cannot)?;
        *end = try_out(file).with_context(cannot)?;
        Ok(Resumed { results: found.results, torn: found.torn > 0 })
    }

    /// Reads what is there, and changes nothing.
    pub(crate) fn peek(output: &Output, results: &mut Results) -> Result<()> {
        let Output::File(path) = output else { return Ok(()) };
        if path.is_file() {
            let name = path.display().to_string();
            let file = File::open(path).with_context(|| format!("cannot read the results in {name}"))?;
            resume::read(BufReader::with_capacity(1 << 16, &file), &name, Origin::Service, results)?;
        }
        Ok(())
    }

    /// Writes whole lines, or nothing: where the output can be put back, half a line never stays.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => {
                let mut stdout = stdout.lock();
                stdout.write_all(lines)?;
                stdout.flush()
            }
            Self::Stream(file) => file.write_all(lines),
            Self::Regular { file, end } => {
                let written = (&**file).write_all(lines);
                match written {
                    Ok(()) => *end += lines.len() as u64,
                    Err(_) => put_back(file, *end),
                }
                written
            }
        }
    }

    /// What has to be brought to the disk.
    pub(super) fn file(&self) -> Option<Arc<File>> {
        match self {
            Self::Regular { file, .. } => Some(Arc::clone(file)),
            Self::Stdout(_) | Self::Stream(_) => None,
        }
    }
}

/// Locks results against a second run, until the file is closed.
pub(super) fn lock(file: &File, path: &Path, name: &str) -> Result<()> {
    match fs4::FileExt::try_lock(file) {
        Ok(()) if is_at(file, path) => Ok(()),
        Ok(()) | Err(fs4::TryLockError::WouldBlock) => {
            bail!("another paceline is writing to {name}; wait for it, or name another file by -o")
        }
        Err(fs4::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {name} against a second run"))
        }
    }
}

/// Whether the file was not replaced between being opened and being locked.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(ours), Ok(there)) = (file.metadata(), path.metadata()) else { return false };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

fn open(path: &Path) -> io::Result<(File, bool)> {
    let special = path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
    if special {
        return Ok((OpenOptions::new().write(true).open(path)?, false));
    }
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    Ok((file, true))
}

/// Finds out whether there is room, by writing a block and taking it away again; gives the end.
fn try_out(mut file: &File) -> io::Result<u64> {
    let end = file.stream_position()?;
    let tried = file.write_all(&[b'\n'; 4096]);
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    tried.map(|()| end)
}

/// Whatever goes wrong here, the next run finds a torn last line and cuts it off.
fn put_back(mut file: &File, end: u64) {
    let _ = file.set_len(end);
    let _ = file.seek(SeekFrom::Start(end));
}
