//! The way to the node that has a set, which in a cluster can be any, and another tomorrow.
//!
//! It begins with the node that was named. One that is asked for what it has not says who has it; one that gives no answer
//! may have been replaced, which any other knows.

use std::sync::Arc;

use parking_lot::Mutex;
use redis::FromRedisValue;

use crate::error::Error;
use crate::line::{Failure, Line, Question};
use crate::nodes::Nodes;
use crate::shared::Shared;

/// How many nodes are asked for one thing: the one it was at, one that knows where it is, and one more, as it can move
/// meanwhile.
const MOST: usize = 3;

#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) nodes: Arc<Nodes>,
    /// Where it was last.
    line: Mutex<Arc<Line>>,
    /// By which news come.
    ear: Mutex<Option<Arc<Line>>>,
}

impl Way {
    pub(crate) fn new(nodes: Arc<Nodes>) -> Self {
        let line = Mutex::new(Arc::clone(&nodes.named));
        Self { nodes, line, ear: Mutex::default() }
    }

    fn line(&self) -> Arc<Line> {
        Arc::clone(&self.line.lock())
    }

    /// Asks the node that has the set.
    pub(crate) async fn ask<'a, T: FromRedisValue>(&self, question: impl Into<Question<'a>>) -> Result<T, Error> {
        let question = question.into();
        let mut line = self.line();
        for _ in 0..MOST {
            match line.ask(question).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Moved(to)) => line = self.nodes.at(&to, &line).await?,
                Err(Failure::Error(error)) => return Err(self.failed(&line, error)),
            }
            *self.line.lock() = Arc::clone(&line);
        }
        Err(Error::Busy { address: line.address.clone(), said: "its nodes do not agree on who has what".to_owned() })
    }

    /// Asks once, whoever of all can serve.
    pub(crate) async fn once<'a, T: FromRedisValue>(
        nodes: &Arc<Nodes>,
        question: impl Into<Question<'a>>,
    ) -> Result<T, Error> {
        let (way, question) = (Self::new(Arc::clone(nodes)), question.into());
        for _ in 0..nodes.others() {
            match way.ask(question).await {
                Err(error) if error.is_away() => {}
                answer => return answer,
            }
        }
        way.ask(question).await
    }

    /// The next question goes to another, where this one cannot serve.
    fn failed(&self, line: &Line, error: Error) -> Error {
        if error.is_away() {
            *self.line.lock() = self.nodes.after(line);
        }
        error
    }

    /// As [`Line::listen`], to the node that was asked last.
    pub(crate) async fn listen(&self, channel: &str, shared: &Arc<Shared>, so_far: u64) -> Result<u64, Error> {
        let line = self.line();
        let before = self.ear.lock().replace(Arc::clone(&line));
        if let Some(before) = before.filter(|before| !Arc::ptr_eq(before, &line)) {
            before.leave(channel, shared).await;
        }
        line.listen(channel, shared, so_far).await.map_err(|error| self.failed(&line, error))
    }

    /// Whether news come from the node that was asked last. From the others of a cluster they come too, as long as those
    /// live.
    pub(crate) fn listens(&self) -> bool {
        self.ear.lock().as_ref().is_some_and(|ear| Arc::ptr_eq(ear, &self.line.lock()))
    }

    /// As [`Line::leave`].
    pub(crate) async fn leave(&self, channel: &str, shared: &Arc<Shared>) {
        let ear = self.ear.lock().take();
        if let Some(ear) = ear {
            ear.leave(channel, shared).await;
        }
    }
}
