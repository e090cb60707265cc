//! What is known here of a set.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use paceline::backend::{BackendError, Change, PermitId, Report, Standing};
use paceline_core::{Index, Quota, Time, Verdict};
use paceline_replica::{Member, Op, Replica};

use super::alone::Rule;
use super::away::Away;
use super::batch::{Sent, Todo};
use super::grace::Grace;
use super::haste::Haste;
use super::own::Permit;
use super::stock::Stock;
use super::trouble::Trouble;
use crate::entry::Mark;
use crate::options::Options;
use crate::store_time::StoreTime;

#[derive(Debug)]
pub(crate) struct State {
    pub(super) name: Arc<str>,
    pub(super) lease: Duration,
    pub(super) response: Duration,
    /// Who we are to the store.
    pub(super) me: Member,
    /// Whether the store may know us by that.
    pub(super) known: bool,
    /// None until the store was first heard of.
    pub(super) seen: Option<Seen>,
    /// Whether the store counts us as a member, as far as we know.
    pub(super) joined: bool,
    /// By which connection news come.
    pub(super) listening: u64,
    pub(super) permits: HashMap<u128, Permit>,
    /// How carefully quotas are to be counted, as far as this process has a say.
    pub(super) words: BTreeMap<Index, Quota>,
    pub(super) todo: Vec<Todo>,
    /// The number of the last batch.
    pub(super) batch: u64,
    /// Permits of which the store is to hear that we know what became of them.
    pub(super) claims: Vec<u128>,
    /// What was sent and is not known to have arrived.
    pub(super) sent: Option<Sent>,
    /// When the last demand that the store has been asked for came here, and when there.
    pub(super) latest: Option<(Instant, Time)>,
    pub(super) haste: Haste,
    pub(super) stock: Stock,
    /// What becomes of each limit where the store is away.
    pub(super) rules: Vec<Rule>,
    /// Since the store is away.
    pub(super) away: Option<Away>,
    /// The store was once of use: we were a member. What follows may be heard of before an answer to it is.
    pub(super) worked: bool,
    /// Since it is back, as long as others may not know.
    pub(super) grace: Option<Grace>,
    pub(super) trouble: Option<Trouble>,
    /// Something may be new at the store.
    pub(super) behind: bool,
    /// It is on us to make the next image.
    pub(super) image_due: bool,
    /// What the store told makes no sense.
    pub(super) damage: Option<&'static str>,
    /// When the lease was last asked for by a question that was answered.
    pub(super) renewed: Instant,
    /// Since nobody here needs it any more.
    pub(super) closing: Option<Instant>,
    /// What is on its way to the store is the last of it.
    pub(super) leaving: bool,
    /// Nobody keeps it any more, and why.
    pub(super) stopped: Option<BackendError>,
    pub(super) asked: u64,
    woken: Vec<Waker>,
    busy: bool,
}

/// A replica, and where in which journal it stands.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) replica: Replica,
    pub(super) incarnation: Vec<u8>,
    /// The number of the last entry applied, and its mark, if there was any.
    pub(super) number: u64,
    pub(super) mark: Option<Mark>,
    pub(super) image_at: u64,
    pub(super) members: u64,
    /// When somebody was last heard to have joined, and how many there were then.
    pub(super) joined: Option<(Instant, u64)>,
    pub(super) time: StoreTime,
}

/// How far a journal was followed, as the store is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Reached {
    /// Empty where nothing was heard of the set.
    pub(super) incarnation: Vec<u8>,
    pub(super) number: u64,
    /// Empty where it has no entry yet.
    pub(super) mark: Vec<u8>,
}

impl State {
    pub(super) fn new(name: Arc<str>, rules: Vec<Rule>, options: &Options) -> Self {
        Self {
            name,
            lease: options.lease,
            response: options.response(),
            me: somebody(),
            known: false,
            seen: None,
            joined: false,
            listening: 0,
            permits: HashMap::new(),
            words: BTreeMap::new(),
            todo: Vec::new(),
            batch: 0,
            claims: Vec::new(),
            sent: None,
            latest: None,
            haste: Haste::default(),
            stock: Stock::new(options),
            rules,
            away: None,
            worked: false,
            grace: None,
            trouble: None,
            behind: false,
            image_due: false,
            damage: None,
            renewed: Instant::now(),
            closing: None,
            leaving: false,
            stopped: None,
            asked: 0,
            woken: Vec::new(),
            busy: false,
        }
    }

    pub(super) fn reached(&self) -> Reached {
        self.seen.as_ref().map_or_else(Reached::default, |seen| Reached {
            incarnation: seen.incarnation.clone(),
            number: seen.number,
            mark: seen.mark.map_or_else(Vec::new, |mark| mark.to_vec()),
        })
    }

    /// Who is to be woken, and whether there is something to do.
    pub(super) fn afterwards(&mut self) -> (Vec<Waker>, bool) {
        (std::mem::take(&mut self.woken), std::mem::take(&mut self.busy))
    }

    pub(super) fn wake(&mut self, waker: Option<Waker>) {
        self.woken.extend(waker);
    }

    pub(super) fn work(&mut self) {
        self.busy = true;
    }

    pub(super) fn fetch(&mut self) {
        self.behind = true;
        self.busy = true;
    }

    /// Nobody here needs the set any more.
    pub(crate) fn close(&mut self, now: Instant) {
        self.closing = Some(now);
        self.busy = true;
    }

    pub(crate) fn change(&mut self, change: Change, now: Instant) -> Result<(), BackendError> {
        self.is_kept()?;
        if let Some(trouble) = self.trouble.as_ref().filter(|trouble| !trouble.passes) {
            return Err(trouble.error.clone());
        }
        let op = match change {
            Change::Quota(limit, quota) => Op::Quota(limit, quota),
            Change::Capacity(limit, capacity) => Op::Capacity(limit, capacity),
            // By the time that the store hears of it, the service counts otherwise.
            Change::Sync(..) if self.away.is_some() => return Ok(()),
            Change::Sync(limit, state, permit) => {
                let grant = permit.and_then(|permit| self.permits.get(&permit.0)?.grant().cloned());
                Op::Sync(limit, state, grant)
            }
            Change::Pause(pause) => Op::Pause(pause),
            Change::Resume => Op::Resume,
            Change::Reset => Op::Reset,
            Change::Close => Op::Close,
            Change::Pace(limit, quota) => {
                self.words.insert(limit, quota);
                self.later(Todo::Pace(limit));
                return Ok(());
            }
            Change::Unlearn => Op::Unlearn,
            _ => return Ok(()),
        };
        self.change_alone(&op, now);
        self.later(Todo::Change(op, now));
        Ok(())
    }

    /// An attempt ended; of a permit that was lost it is not known when it began.
    pub(crate) fn report(&mut self, permit: PermitId, report: Report) {
        if self.away.is_some() {
            // Nobody learns from it now, and afterwards it would tell of what is over.
            if let Verdict::RateLimited { retry_after: Some(pause) } = report.verdict {
                self.change_alone(&Op::Pause(pause), Instant::now());
            }
            return;
        }
        let began = self.permits.get(&permit.0).and_then(Permit::grant).map(|grant| grant.at);
        self.later(Todo::Change(Op::Report(began, report), Instant::now()));
    }

    pub(crate) fn standing(&mut self, now: Instant) -> Result<Standing, BackendError> {
        self.is_kept()?;
        let Some(seen) = &mut self.seen else {
            let message = "nothing has been heard of it yet; ask again later".to_owned();
            let error = BackendError { message, retryable: true };
            return Err(self.trouble.as_ref().map_or(error, |trouble| trouble.error.clone()));
        };
        // What it was when the store was last heard of is not how it stands.
        if let Some(trouble) = self.trouble.as_ref().filter(|trouble| trouble.lasts(now, self.response)) {
            return Err(trouble.error.clone());
        }
        let now = seen.now(now);
        let members = usize::try_from(seen.members).unwrap_or(usize::MAX);
        Ok(Standing { members, ..seen.replica.standing(now) })
    }
}

/// A member that nobody else is: of so many, no two ever draw the same within a lease, and the store would say so.
pub(super) fn somebody() -> Member {
    loop {
        if let Some(member) = Member::of(rand::random()) {
            return member;
        }
    }
}

impl Seen {
    /// The store's time, which has not gone back.
    pub(super) fn now(&self, now: Instant) -> Time {
        self.time.at(now).max(self.replica.now())
    }
}
