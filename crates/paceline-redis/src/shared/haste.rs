//! When what is to be told has to go.
//!
//! A demand goes at once. What is given back goes at once where somebody waits who could have it, in whatever process; else,
//! like word that a grant was heard of, it waits a little for something to go with.

use std::time::{Duration, Instant};

use super::batch::Todo;
use super::state::State;

/// How long something waits for company.
const LINGER: Duration = Duration::from_millis(20);
/// How many things are company enough.
const CROWD: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Haste {
    /// Something is to go at once.
    at_once: bool,
    /// Something could be of use to who waits.
    gives: bool,
    /// Since when something waits for company.
    since: Option<Instant>,
}

impl State {
    pub(super) fn later(&mut self, todo: Todo) {
        self.todo.push(todo);
        let gives = matches!(self.todo.last(), Some(Todo::Back(_, None) | Todo::Undo(_) | Todo::Settle(_)));
        if gives && !self.is_waited_for() && self.todo.len() < CROWD {
            self.haste.gives = true;
            self.linger();
        } else {
            self.hurry();
        }
    }

    /// Has all go at once.
    pub(super) fn hurry(&mut self) {
        self.haste.at_once = true;
        self.work();
    }

    /// Has all go soon.
    pub(super) fn linger(&mut self) {
        if self.haste.since.is_none() {
            self.haste.since = Some(Instant::now());
            self.work();
        }
    }

    /// All of it is gone, or `more` is left.
    pub(super) fn went(&mut self, more: bool) {
        self.haste = Haste { at_once: more, ..Haste::default() };
    }

    /// Whether somebody waits who could have something that is kept here.
    pub(super) fn has_for_others(&self) -> bool {
        (self.haste.gives || !self.stock.is_empty()) && self.is_waited_for()
    }

    /// When what is to be told is to go; `now` or before: now.
    pub(super) fn goes(&self, now: Instant) -> Option<Instant> {
        let Haste { at_once, gives, since } = self.haste;
        let urgent = at_once || gives && self.is_waited_for();
        if urgent { Some(now) } else { since.map(|since| since + LINGER) }
    }
}
