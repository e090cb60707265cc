//! What has become of the waits of this process.

use std::time::Instant;

use paceline::backend::Answer;
use paceline_replica::Verdict;

use super::batch::{Tag, Todo};
use super::own::Permit;
use super::state::State;

impl State {
    /// Takes note of what became of waits.
    pub(super) fn note(&mut self) {
        let Some(seen) = &mut self.seen else { return };
        let me = self.me;
        let mut decided = std::mem::take(seen.replica.decided());
        decided.retain(|key| key.member == me);
        if decided.is_empty() || self.is_about_to_hold() {
            return;
        }
        for key in decided {
            // In the order in which they were decided: so they are woken.
            self.note_one(key.permit);
        }
    }

    /// What counts is how it stands now.
    fn note_one(&mut self, permit: u128) {
        let Some(seen) = &self.seen else { return };
        if let Some(verdict) = seen.replica.unclaimed(permit).cloned() {
            if !self.claims.contains(&permit) {
                self.claims.push(permit);
                self.decide(permit, verdict);
                self.linger();
            }
        } else if !seen.replica.is_waiting(permit) {
            // Others went first while this process stood still.
            match self.permits.get_mut(&permit) {
                // It takes its old place again.
                Some(Permit::Waiting { asked, .. }) => {
                    *asked = false;
                    self.later(Todo::Ask(permit));
                }
                // The grant was taken back before we claimed it. It is used all the same: who claims it holds it again.
                Some(Permit::Held { .. }) => {
                    self.claims.push(permit);
                    self.linger();
                }
                _ => {}
            }
        }
    }

    /// After an image, looks what became of those who were waiting before it.
    pub(super) fn catch_up(&mut self) {
        let Some(seen) = self.seen.as_ref().filter(|_| !self.is_about_to_hold()) else { return };
        let in_flight: Vec<u128> = self
            .sent
            .iter()
            .flat_map(|sent| &sent.tags)
            .filter_map(|tag| match tag {
                Tag::Ask(permit) => Some(*permit),
                _ => None,
            })
            .collect();
        let mut all: Vec<u128> = seen.replica.unclaimed_of(self.me).collect();
        all.extend(
            self.permits
                .iter()
                .filter_map(|(permit, what)| matches!(what, Permit::Waiting { asked: true, .. }).then_some(*permit)),
        );
        all.retain(|permit| !in_flight.contains(permit));
        all.sort_unstable();
        all.dedup();
        all.into_iter().for_each(|permit| self.note_one(permit));
    }

    pub(super) fn decide(&mut self, permit: u128, verdict: Verdict) {
        if !matches!(self.permits.get(&permit), Some(Permit::Waiting { .. })) {
            return self.decline(permit, verdict);
        }
        let decided = match verdict {
            Verdict::Granted(grant) => Permit::held(grant, false),
            Verdict::Refused(refusal) => Permit::Over(Answer::Never(refusal)),
            Verdict::TooLate => Permit::Over(Answer::TooLate),
        };
        self.end_wait(permit, decided);
        // While the store is away for this client, an answer can come through: it waits in the share as well.
        self.cancel_alone(permit, Instant::now());
    }

    /// Nobody here waits for it.
    fn decline(&mut self, permit: u128, verdict: Verdict) {
        // An image tells again what is known and on its way to be claimed.
        let known = matches!(self.permits.get(&permit), Some(Permit::Held { .. }));
        if let (Verdict::Granted(grant), false) = (verdict, known) {
            // Whoever wanted it is gone, or has been told that it failed.
            if let Some(Permit::Failed { asked, .. }) = self.permits.get_mut(&permit) {
                *asked = false;
            }
            self.later(Todo::Undo(grant));
        }
    }
}
