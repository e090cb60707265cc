//! Lines, where there is no terminal to redraw.

use std::time::Duration;

use super::Show;
use super::view::View;
use crate::drive::Shared;
use crate::time;

pub(super) struct Plain;

impl Show for Plain {
    /// The first line comes early, so that one sees soon that something happens.
    fn pace(&self) -> (Duration, Duration) {
        (Duration::from_secs(1), Duration::from_secs(5))
    }

    fn show(&mut self, view: &View, shared: &Shared) {
        shared.screen.show(&format!("{:>8}  {} | {}", time::rounded(view.elapsed), view.of_total(), view.line(shared)));
    }

    /// The summary says it better.
    fn end(&mut self, _: &View, _: &Shared) {}
}
