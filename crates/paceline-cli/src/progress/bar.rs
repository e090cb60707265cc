//! A display that is redrawn in place.

mod rows;

use std::time::Duration;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::view::View;
use super::{Show, block};
use crate::drive::Shared;
use crate::screen;
use rows::Rows;

/// Lines at the foot of a terminal. Where there is none, nothing is drawn.
pub(crate) struct Canvas {
    bar: ProgressBar,
    term: Term,
}

impl Canvas {
    /// On stdout or stderr; `buffered` is the same.
    pub(crate) fn new(term: Term, buffered: Term) -> Self {
        let target = if term.is_term() {
            ProgressDrawTarget::term_like(Box::new(Rows::new(buffered)))
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(ProgressStyle::with_template("{msg}").expect("a template of our own"));
        Self { bar, term }
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> (usize, usize) {
        let (rows, columns) = self.term.size();
        (columns.into(), rows.into())
    }

    /// Draws these in the place of those before.
    pub(crate) fn draw(&self, lines: &[String]) {
        self.bar.set_message(lines.join("\n"));
        self.bar.tick();
    }

    /// Leaves the last lines where they are.
    pub(crate) fn leave(&self) {
        self.bar.abandon();
    }
}

pub(super) struct Bar(Canvas);

impl Bar {
    pub(super) fn new() -> Self {
        let canvas = Canvas::new(Term::stderr(), Term::buffered_stderr());
        screen::put_above(canvas.bar.clone());
        Self(canvas)
    }
}

impl Show for Bar {
    fn pace(&self) -> (Duration, Duration) {
        (Duration::ZERO, Duration::from_millis(100))
    }

    fn show(&mut self, view: &View, _: &Shared) {
        let (columns, rows) = self.0.size();
        self.0.draw(&block::lines(view, columns, rows));
    }

    /// The summary says it better.
    fn end(&mut self, _: &View, _: &Shared) {
        self.0.bar.finish_and_clear();
    }
}
