//! Turning a panic of a node into a word about it.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;

use crate::failure::{Cause, Result};

/// Runs `f`, of which a panic is a failure.
pub(crate) async fn guarded<T, F: Future<Output = Result<T>>>(f: impl FnOnce() -> F) -> Result<T, Cause> {
    // Called within, so that what the method does before its future is made counts too.
    match AssertUnwindSafe(async { f().await }).catch_unwind().await {
        Ok(result) => result.map_err(Cause::Error),
        Err(panic) => Err(Cause::Panicked(message(&*panic))),
    }
}

/// The same for what does not wait.
pub(crate) fn guarded_now<T>(f: impl FnOnce() -> T) -> Result<T, Cause> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| Cause::Panicked(message(&*panic)))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("something that is no text").to_owned()
}
