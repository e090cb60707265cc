//! Showing how far it is.

mod bar;
mod block;
mod eta;
mod json;
mod plain;
mod sample;
mod view;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::args::Progress;
use crate::drive::Shared;
pub(crate) use bar::Canvas;
pub(crate) use block::gauge;
use sample::Sampler;
pub(crate) use sample::utilisation;
pub(crate) use view::Fill;

/// Progress that is being shown.
pub(crate) struct Shown {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Something that shows a view of the run.
trait Show: Send {
    /// How long after the start the first view is due, and then between views.
    fn pace(&self) -> (Duration, Duration);
    fn show(&mut self, view: &view::View, shared: &Shared);
    fn end(&mut self, view: &view::View, shared: &Shared);
}

/// Shows progress until it is ended. [`Progress::Auto`] has been decided before.
pub(crate) fn start(kind: Progress, shared: &Arc<Shared>) -> Option<Shown> {
    let mut form: Box<dyn Show> = match kind {
        Progress::None => return None,
        Progress::Bar => Box::new(bar::Bar::new()),
        Progress::Json => Box::new(json::Json),
        Progress::Auto | Progress::Plain => Box::new(plain::Plain),
    };
    let (end, mut ended) = oneshot::channel();
    let shared = Arc::clone(shared);
    let task = tokio::spawn(async move {
        let mut sampler = Sampler::default();
        let (first, every) = form.pace();
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + first, every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                _ = &mut ended => break,
                _ = ticks.tick() => form.show(&sampler.sample(&shared), &shared),
            }
        }
        form.end(&sampler.sample(&shared), &shared);
    });
    Some(Shown { end, task })
}

impl Shown {
    /// Shows the end.
    pub(crate) async fn end(self) {
        let _ = self.end.send(());
        let _ = self.task.await;
    }
}
