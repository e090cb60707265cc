//! The backend: limit sets of one name, shared with other processes.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::sync::{Arc, Weak};

use paceline::backend::{BackendError, Home, LimitSpec, Remote};
use paceline::{Algorithm, Clock};
use paceline_replica::Replica;
use paceline_replica::limits::{Limits, MOST, difference};
use parking_lot::Mutex;

use crate::error::Error;
use crate::file::Era;
use crate::journal::Journal;
use crate::keeper::Keeper;
use crate::map::ForkMark;
use crate::members::Members;
use crate::options::Options;
use crate::place::{Place, failed, set_of};
use crate::seats::census;
use crate::shared::{Membership, Shared};

/// Limit sets shared with other processes: to be given to
/// [`LimitSetBuilder::backend`](paceline::LimitSetBuilder::backend). Cloning gives another handle to the same
/// membership; opening again makes another member, with an open file and a thread of its own.
#[derive(Clone, Debug)]
pub struct Shm(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    place: Place,
    era: Era,
    waiting: usize,
    membership: Arc<Membership>,
    /// Those in use here: the last handle to a set takes it out of the memory of this process.
    sets: Mutex<HashMap<Arc<str>, Weak<Shared>>>,
}

impl Shm {
    pub(crate) fn open(options: Options, name: &str) -> Result<Self, Error> {
        let Options { directory, waiting, patience, clock } = options;
        let era = Era::now()?;
        let (place, held) = loop {
            let place = Place::make(directory.as_deref(), name)?;
            if let Some(held) = place.hold(false)? {
                break (place, held);
            }
        };
        let members = Arc::new(Members::join(&place, era)?);
        drop(held);
        let fork = ForkMark::new().map_err(failed("watching for forks in", place.path()))?;
        let kept = clock.is_some();
        let clock = clock.unwrap_or_else(Clock::boot);
        let membership = Arc::new_cyclic(|this| {
            let keeper = Keeper::new(this.clone(), kept);
            Membership { members, fork, clock, patience, keeper }
        });
        Ok(Self(Arc::new(Inner { place, era, waiting, membership, sets: Mutex::default() })))
    }

    pub(crate) fn remove(options: &Options, name: &str) -> Result<(), Error> {
        let place = Place::named(options.directory.as_deref(), name)?;
        let held = match place.hold(true) {
            Err(Error::Io { said, .. }) if said.kind() == io::ErrorKind::NotFound => return Ok(()),
            held => held?,
        };
        let count = if held.is_some() { census(&place.members())? } else { return Ok(()) };
        if count > 0 {
            return Err(Error::InUse { path: place.path().to_owned(), count });
        }
        match fs::remove_dir_all(place.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("removing", place.path())(error)),
            _ => Ok(()),
        }
    }

    /// The names of the sets that are shared here, opened by whoever.
    ///
    /// # Errors
    ///
    /// What the system says where it refuses.
    pub fn sets(&self) -> Result<Vec<Arc<str>>, Error> {
        let path = self.0.place.sets();
        let found = fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let found = found.map_err(failed("listing", &path))?;
        let mut names: Vec<Arc<str>> =
            found.iter().filter_map(|entry| entry.file_name().to_str().and_then(set_of)).map(Arc::from).collect();
        names.sort();
        Ok(names)
    }

    /// The limits that a set which is shared here was made with.
    ///
    /// # Errors
    ///
    /// What keeps its file from being read.
    pub fn limits(&self, set: &str) -> Result<Vec<(Arc<str>, LimitSpec)>, Error> {
        Ok(Journal::open(&self.0.place.set(set), self.0.era, self.0.membership.members.bond())?.described().to_vec())
    }

    /// Looks whether time has decided something in any of the sets of this handle, and whether their files are still there:
    /// only for those who go by another clock than the system's.
    pub fn tick(&self) {
        self.0.membership.keeper.watch(&self.0.membership);
        self.0.membership.keeper.tick(&self.0.membership);
    }

    fn home(&self, set: &Arc<str>, limits: &[(Arc<str>, LimitSpec)]) -> Result<Arc<Shared>, Error> {
        let inner = &*self.0;
        if inner.membership.fork.is_gone() {
            return Err(Error::Forked);
        }
        let path = inner.place.set(set);
        let differs = |known: &Limits| {
            let what = difference(known, limits)?;
            Some(Error::Limits { set: set.to_string(), what, path: inner.place.path().to_owned() })
        };
        let mut sets = inner.sets.lock();
        if let Some(open) = sets.get(set).and_then(Weak::upgrade) {
            return differs(open.journal().described()).map_or(Ok(open), Err);
        }
        if limits.len() > MOST {
            return Err(Error::TooManyLimits { set: set.to_string(), count: limits.len(), most: MOST });
        }
        let now = inner.membership.clock.now();
        let first = Replica::of(limits, now).map_err(|why| Error::Limits {
            set: set.to_string(),
            what: why.to_string(),
            path: inner.place.path().to_owned(),
        })?;
        let bond = inner.membership.members.bond();
        let journal = Journal::open_or_make(&path, inner.era, bond, limits, inner.waiting, &first)?;
        if let Some(error) = differs(journal.described()) {
            return Err(error);
        }
        let home = Shared::new(Arc::clone(set), path, journal, Arc::clone(&inner.membership));
        // Damage is found now, and what the dead have left is cleared.
        home.tick()?;
        inner.membership.keeper.add(&home);
        inner.membership.keeper.wake().map_err(Error::NoThread)?;
        sets.retain(|_, home| home.strong_count() > 0);
        sets.insert(Arc::clone(set), Arc::downgrade(&home));
        Ok(home)
    }
}

impl Remote for Shm {
    fn algorithms(&self) -> &[Algorithm] {
        &Algorithm::ALL
    }

    fn open(&self, set: &Arc<str>, limits: &[(Arc<str>, LimitSpec)]) -> Result<Arc<dyn Home>, BackendError> {
        Ok(self.home(set, limits)?)
    }
}

impl From<Shm> for Arc<dyn Remote> {
    fn from(shm: Shm) -> Self {
        Arc::new(shm) as Self
    }
}
