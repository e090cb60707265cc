//! The behaviour that every backend owes, as checks that panic.
//!
//! They speak to a backend through [`LimitSet`], as its users do, and to the seam itself where a user cannot (an answer
//! that was lost). So the sets of one process are held to the same. Each check needs a fresh place and a tokio runtime;
//! under a paused clock it takes no time.

mod basics;
mod changes;
mod learning;
mod order;
mod seam;
mod windows;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use paceline::backend::Remote;
use paceline::{Algorithm, Error, LimitSet, LimitSetBuilder, Permit, Quota};

/// Where sets can live, with nothing in it.
pub trait Place {
    /// Makes a set here.
    ///
    /// # Errors
    ///
    /// As [`LimitSetBuilder::build`].
    fn make(&self, described: LimitSetBuilder) -> Result<LimitSet, Error>;

    /// Somebody else's handle to a set that was made here of that description.
    ///
    /// # Errors
    ///
    /// As [`LimitSetBuilder::build`].
    fn other(&self, set: &LimitSet, described: LimitSetBuilder) -> Result<LimitSet, Error>;

    /// The backend, if there is one.
    fn remote(&self) -> Option<Arc<dyn Remote>>;

    /// How long what has room may take to be had at once: a round trip, where that is asked for ahead.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// How much later than it was granted somebody here may take note of it, in real time.
    fn lateness(&self) -> Duration {
        Duration::ZERO
    }

    /// How rates can be counted here.
    fn algorithms(&self) -> Vec<Algorithm> {
        self.remote().map_or_else(|| Algorithm::ALL.to_vec(), |remote| remote.algorithms().to_vec())
    }
}

/// Sets in this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct InProcess;

impl Place for InProcess {
    fn make(&self, described: LimitSetBuilder) -> Result<LimitSet, Error> {
        described.build()
    }

    fn other(&self, set: &LimitSet, _: LimitSetBuilder) -> Result<LimitSet, Error> {
        Ok(set.clone())
    }

    fn remote(&self) -> Option<Arc<dyn Remote>> {
        None
    }
}

/// Sets behind a backend; others have another handle to the same state.
#[derive(Clone, Debug)]
pub struct Behind<B>(pub B);

impl<B: Remote + Clone> Place for Behind<B> {
    fn make(&self, described: LimitSetBuilder) -> Result<LimitSet, Error> {
        let backend: Arc<dyn Remote> = Arc::new(self.0.clone());
        described.backend(backend).build()
    }

    fn other(&self, _: &LimitSet, described: LimitSetBuilder) -> Result<LimitSet, Error> {
        self.make(described)
    }

    fn remote(&self) -> Option<Arc<dyn Remote>> {
        Some(Arc::new(self.0.clone()))
    }
}

/// Runs every check, in a fresh place each.
pub async fn all<P: Place, F: Future<Output = P>>(fresh: impl Fn() -> F) {
    macro_rules! each {
        ($($module:ident: $($check:ident)*;)*) => {
            $($(
                println!(concat!(stringify!($module), "::", stringify!($check)));
                $module::$check(&fresh().await).await;
            )*)*
        };
    }
    each! {
        basics: grants_all_or_nothing gives_back_what_is_dropped an_empty_set_never_waits settles late_refunds_give_nothing
            overruns_are_a_debt refuses_what_can_never_be others_share_it says_how_it_stands;
        order: waits_in_order who_waits_is_told urgent_demands_go_first small_ones_pass_only_on_what_is_left_over keeps_deadlines
            a_dropped_wait_leaves_nothing a_grant_that_nobody_took_is_undone;
        changes: capacities_grow_and_shrink quotas_change a_gate_holds_everybody_back a_refusal_pauses_everybody
            the_service_has_the_last_word resets closing_ends_all_waits wrong_changes_change_nothing;
        learning: one_burst_cuts_once it_grows_only_where_it_is_used verdicts_are_counted_once
            a_refusal_cuts_and_pauses what_is_stated_is_the_most what_is_learnt_can_be_forgotten one_guard_holds_for_all
            batches_learn_together others_have_to_learn_alike;
        windows: no_window_holds_more_than_promised a_window_is_exact_to_the_instant charges_are_held_until_completion;
        seam: asking_again_charges_once giving_back_twice_gives_once names_what_differs what_it_cannot_count_is_refused;
    }
}

/// 2 calls a second, 100 tokens a second and 2 at once.
fn described() -> LimitSetBuilder {
    let set = LimitSet::builder("conformance").calls(Quota::per_second(2)).rate("tokens", Quota::per_second(100));
    set.concurrency(2)
}

fn made(place: &impl Place, described: LimitSetBuilder) -> LimitSet {
    place.make(described).expect("the description is sound")
}

/// A permit that has to come within five seconds.
async fn soon<'a>(acquire: impl Future<Output = Result<Permit<'a>, Error>>) -> Permit<'a> {
    let within = tokio::time::timeout(Duration::from_secs(5), acquire).await;
    within.expect("it comes within 5 s").expect("it is granted")
}

/// A permit that is to be had at once, or as soon as the place can.
async fn at_once<'a>(place: &impl Place, set: &'a LimitSet, demand: &[(&str, u64)]) -> Permit<'a> {
    let began = tokio::time::Instant::now();
    loop {
        match set.try_acquire(demand) {
            Err(Error::NotNow { .. }) if began.elapsed() < place.patience() => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            granted => return granted.expect("there is room"),
        }
    }
}

/// Lets everybody do what they can do now.
async fn settle_down(place: &impl Place) {
    tokio::time::sleep(Duration::from_millis(20) + place.lateness()).await;
}

/// That there is no room. Where what has room takes a round trip, a try has it asked for, and one after that tells.
async fn is_not_now(place: &impl Place, set: &LimitSet, demand: &[(&str, u64)]) -> bool {
    let is_refused = || match set.try_acquire(demand) {
        Err(Error::NotNow { .. }) => true,
        other => panic!("{other:?} instead of a refusal for now"),
    };
    if place.patience() > Duration::ZERO && is_refused() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    is_refused()
}

/// A demand that waits in a task of its own.
fn waiting<T: fmt::Debug + Send + 'static>(
    wait: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(wait)
}
