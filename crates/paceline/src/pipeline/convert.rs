//! What can be used where a pipeline is asked for: limits alone make one of a single attempt, without a breaker.

use std::sync::Arc;

use super::breakers::Breakers;
use super::source::Source;
use super::{Inner, Pipeline};
use crate::pool::LimitPool;
use crate::set::LimitSet;

impl From<Source> for Pipeline {
    fn from(source: Source) -> Self {
        let (clock, breakers) = (source.clock(), Arc::new(Breakers::new(&source, None)));
        Self(Arc::new(Inner { source, clock, retries: None, breakers, linger: None }))
    }
}

impl From<LimitSet> for Pipeline {
    fn from(set: LimitSet) -> Self {
        Source::from(set).into()
    }
}

impl From<&LimitSet> for Pipeline {
    fn from(set: &LimitSet) -> Self {
        Source::from(set).into()
    }
}

impl From<LimitPool> for Pipeline {
    fn from(pool: LimitPool) -> Self {
        Source::from(pool).into()
    }
}

impl From<&LimitPool> for Pipeline {
    fn from(pool: &LimitPool) -> Self {
        Source::from(pool).into()
    }
}

impl From<&Pipeline> for Pipeline {
    fn from(pipeline: &Pipeline) -> Self {
        pipeline.clone()
    }
}
