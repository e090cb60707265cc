//! The first look at a joint demand.

use std::sync::Arc;
use std::task::Waker;

use paceline_core::{Arrival, Decision, Demand, Grant, Order, Party, Priority, Time, Waiter};

use super::locked::{Member, with_all};
use super::wait::{JointWait, Place};
use super::{Granted, Joint, local};
use crate::error::Error;
use crate::local::{After, Local, arrive};
use crate::set::not_now;
use crate::wait::{Waiting, Wake};

pub(super) enum Asked {
    Granted(Vec<Granted>),
    Blocked(Error),
    /// In every queue; told is the first set that was not ready.
    Waiting(Arc<JointWait>, Arc<Local>, Waiting),
}

impl Joint {
    /// Asks all sets at one instant; where they are not all ready and somebody is to be woken, lets the demand wait.
    pub(super) fn ask(&self, demands: &mut [Demand], waker: Option<&Waker>) -> Result<Asked, Error> {
        let locals: Vec<&Arc<Local>> = self.sets.iter().map(local).collect();
        let mut arrival = arrive(Time::ZERO);
        let mut after = After::default();
        let asked = with_all(&locals, &mut after, |members| {
            let mut blocked = None;
            for ((member, demand), set) in members.iter_mut().zip(&*demands).zip(&locals) {
                arrival.at = member.now;
                let order = Order::new(arrival, Priority::Normal);
                let Member { guard, now, events } = member;
                match guard.set.check(*now, demand, order, Some(self.group), events) {
                    Decision::Granted => {}
                    Decision::Never(refusal) => return Err(set.refused(refusal)),
                    Decision::Wait(wait) => {
                        blocked.get_or_insert_with(|| {
                            (Arc::clone(set), not_now(&set.name, wait), set.waiting(guard, *now, demand, wait))
                        });
                    }
                }
            }
            let Some((holder, error, waiting)) = blocked else {
                let grants = members.iter_mut().zip(demands).map(|(member, demand)| {
                    member.guard.set.charge(member.now, demand);
                    let arrival = Arrival { at: member.now, ..arrival };
                    Granted { grant: Grant { at: member.now, charged: demand.clone() }, since: member.now, arrival }
                });
                return Ok(Asked::Granted(grants.collect()));
            };
            let Some(waker) = waker else { return Ok(Asked::Blocked(error)) };
            let wait = Arc::new(JointWait::new(waker.clone()));
            let mut places = Vec::with_capacity(members.len());
            for ((member, demand), set) in members.iter_mut().zip(demands).zip(&locals) {
                arrival.at = member.now;
                let Member { guard, now, events } = member;
                set.listen(guard);
                let waiter = Waiter {
                    demand: demand.clone(),
                    order: Order::new(arrival, Priority::Normal),
                    deadline: None,
                    party: Some(Box::new(Party::AllOf { group: self.group, held_by: Some(holder.id) })),
                    waker: Some(Wake::Joint(Arc::clone(&wait))),
                };
                let ticket = guard.set.enqueue(*now, waiter, events);
                places.push(Place { local: Arc::clone(set), ticket, arrival });
            }
            wait.place(places);
            Ok(Asked::Waiting(wait, holder, waiting))
        });
        after.act();
        if let Ok(Asked::Waiting(_, holder, waiting)) = &asked {
            holder.plan.hooks.call(waiting);
        }
        asked
    }
}
