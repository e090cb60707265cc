//! Which member to ask first.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};

use paceline_core::Demand;
use rand::Rng;
use smallvec::SmallVec;

use super::local;
use crate::set::LimitSet;

/// How a pool chooses among its members. All of them are asked before a demand waits; this is the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Choice {
    /// Each in turn. The default.
    #[default]
    RoundRobin,
    /// Any.
    Random,
    /// The one with the fewest permits out.
    LeastActive,
    /// The one that has granted the fewest.
    LeastTotal,
    /// Of two at random, the one with fewer permits out: nearly as even as [`LeastActive`](Self::LeastActive), at the
    /// price of looking at two (Mitzenmacher, "The power of two choices in randomized load balancing", 2001).
    TwoChoices,
    /// The one whose fullest limit, of those the demand names, has the largest share free.
    MostHeadroom,
}

type Indices = SmallVec<[usize; 8]>;

impl Choice {
    pub(super) fn order(self, members: &[LimitSet], demands: &[Demand], turn: &AtomicUsize) -> Indices {
        let n = members.len();
        let first = match self {
            Self::Random | Self::TwoChoices => rand::rng().random_range(0..n),
            _ => turn.fetch_add(1, Ordering::Relaxed) % n,
        };
        // Ties are broken by turn, so that equals share evenly.
        let mut order: Indices = (first..n).chain(0..first).collect();
        match self {
            Self::RoundRobin | Self::Random => {}
            Self::LeastActive => order.sort_by_cached_key(|at| active(&members[*at])),
            Self::LeastTotal => order.sort_by_cached_key(|at| local(&members[*at]).lock().set.granted()),
            Self::TwoChoices if n > 1 => {
                let second = rand::rng().random_range(1..n);
                if active(&members[order[second]]) < active(&members[order[0]]) {
                    order.swap(0, second);
                }
            }
            Self::TwoChoices => {}
            Self::MostHeadroom => order.sort_by_cached_key(|at| Reverse(headroom(&members[*at], &demands[*at]))),
        }
        order
    }
}

fn active(set: &LimitSet) -> u64 {
    let local = local(set);
    local.active(&local.lock())
}

/// The free share of the fullest limit demanded, in millionths.
fn headroom(set: &LimitSet, demand: &Demand) -> u64 {
    let local = local(set);
    let mut guard = local.lock();
    let view = guard.set.view(local.now());
    let free = demand.parts().iter().map(|part| {
        let limit = &view.limits[usize::from(part.limit)];
        let share = u128::from(limit.available) * 1_000_000 / u128::from(limit.capacity.max(1));
        u64::try_from(share).unwrap_or(u64::MAX)
    });
    free.min().unwrap_or(u64::MAX)
}
