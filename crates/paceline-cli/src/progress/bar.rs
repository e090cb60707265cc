//! A bar that is redrawn in place.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Show;
use super::view::View;
use crate::drive::Shared;
use crate::screen::Screen;

pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(screen: &Screen) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style("{spinner} {wide_msg}"));
        screen.put_above(bar.clone());
        Self(bar)
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a template of our own").progress_chars("=> ")
}

impl Show for Bar {
    fn pace(&self) -> (Duration, Duration) {
        (Duration::ZERO, Duration::from_millis(100))
    }

    fn show(&mut self, view: &View, shared: &Shared) {
        if self.0.length() != view.total {
            if let Some(total) = view.total {
                self.0.set_length(total);
                self.0.set_style(style("[{bar:24}] {wide_msg}"));
            }
        }
        self.0.set_position(view.done);
        self.0.set_message(format!("{} | {}", view.of_total(), view.line(shared)));
        self.0.tick();
    }

    /// The summary says it better.
    fn end(&mut self, _: &View, _: &Shared) {
        self.0.finish_and_clear();
    }
}
