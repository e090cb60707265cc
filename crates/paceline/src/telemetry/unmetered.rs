//! What stands in for [`meter`](super::meter) without the feature `metrics`: nothing.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::Verdict;

pub(crate) fn waited(_: &Arc<str>, _: Duration) {}

pub(crate) fn called(_: &Arc<str>, _: Verdict, _: Duration) {}

pub(crate) fn retried(_: &Arc<str>) {}
