//! The connection to a node: one for all sets of a handle that are there, made anew where it breaks or falls silent.
//!
//! Requests and news share it (RESP3), so what was written before an answer is heard before it. Whoever finds it broken
//! drops it, and the next that needs one makes it: a call that gets no answer in time costs the connection too, since
//! behind a silent one nothing is known of the other side.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, Msg, PushInfo, PushKind, RedisError,
    RedisResult, ScriptInvocation, ServerErrorKind,
};

use crate::error::{Error, escaped};
use crate::shared::Shared;

pub(crate) struct Line {
    client: Client,
    pub(crate) address: String,
    timeout: Duration,
    open: tokio::sync::Mutex<Opened>,
    /// How often a connection could not be made.
    failures: AtomicU64,
    listeners: Arc<Listeners>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Opened {
    connection: Option<MultiplexedConnection>,
    /// Which of the handle's it is.
    number: u64,
    /// Why the last could not be made.
    error: Option<RedisError>,
}

/// What a handle counts over all of its lines.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Questions that were sent.
    pub(crate) trips: AtomicU64,
    connections: AtomicU64,
}

/// What a node is asked.
#[derive(Clone, Copy)]
pub(crate) enum Question<'a> {
    Command(&'a Cmd),
    Script(&'a ScriptInvocation<'a>),
}

/// Why a node gave no answer.
pub(crate) enum Failure {
    /// What it was asked for is at this address.
    Moved(String),
    Error(Error),
}

/// Who is told of what comes in a channel.
type Listeners = Mutex<HashMap<String, Weak<Shared>>>;

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Line {
    pub(crate) fn new(info: ConnectionInfo, timeout: Duration, counts: Arc<Counts>) -> Result<Self, Error> {
        let address = escaped(&info.addr().to_string());
        let client = Client::open(info).map_err(|error| Error::Url { why: error.to_string() })?;
        let (open, failures, listeners) = (tokio::sync::Mutex::default(), AtomicU64::new(0), Arc::default());
        Ok(Self { client, address, timeout, open, failures, listeners, counts })
    }

    /// How it is connected to.
    pub(crate) fn info(&self) -> &ConnectionInfo {
        self.client.get_connection_info()
    }

    /// Sees that there can be a connection.
    pub(crate) async fn open(&self) -> Result<(), Error> {
        self.connection().await.map(drop)
    }

    /// A connection, and which it is.
    async fn connection(&self) -> Result<(MultiplexedConnection, u64), Error> {
        let failures = self.failures.load(Ordering::Relaxed);
        let mut open = self.open.lock().await;
        if let Some(connection) = &open.connection {
            return Ok((connection.clone(), open.number));
        }
        // It could not be made while this one waited for it: so it need not wait for another try.
        if let Some(error) = open.error.as_ref().filter(|_| self.failures.load(Ordering::Relaxed) != failures) {
            return Err(self.failed(error.clone()));
        }
        match self.connect().await {
            Ok(connection) => {
                open.number = self.counts.connections.fetch_add(1, Ordering::Relaxed) + 1;
                open.connection = Some(connection.clone());
                Ok((connection, open.number))
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                open.error = Some(error.clone());
                Err(self.failed(error))
            }
        }
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let listeners = Arc::clone(&self.listeners);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout))
            .set_push_sender(move |push: PushInfo| {
                hear(&listeners, push);
                Ok::<(), ()>(())
            });
        let made = self.client.get_multiplexed_async_connection_with_config(&config);
        // Its own timeout is for the socket, not for a server that accepts and says nothing.
        let made = tokio::time::timeout(2 * self.timeout, made).await;
        made.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    fn failed(&self, error: RedisError) -> Error {
        Error::of(error, &self.address, self.timeout)
    }

    /// Forgets a connection that is of no more use, unless there is a newer one.
    async fn drop_broken(&self, number: u64) {
        let mut open = self.open.lock().await;
        if open.number == number {
            open.connection = None;
        }
    }

    async fn judge<T>(&self, result: RedisResult<T>, number: u64) -> Result<T, Failure> {
        let error = match result {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let moved = error.kind() == ErrorKind::Server(ServerErrorKind::Moved);
        if let Some((address, _)) = error.redirect_node().filter(|_| moved) {
            return Err(Failure::Moved(address.to_owned()));
        }
        let unusable = error.is_unrecoverable_error();
        let error = self.failed(error);
        if unusable || error.is_of_the_line() {
            self.drop_broken(number).await;
        }
        Err(Failure::Error(error))
    }

    pub(crate) async fn ask<T: FromRedisValue>(&self, question: impl Into<Question<'_>>) -> Result<T, Failure> {
        let (mut connection, number) = self.connection().await?;
        self.counts.trips.fetch_add(1, Ordering::Relaxed);
        let answer = match question.into() {
            Question::Command(command) => command.query_async(&mut connection).await,
            Question::Script(script) => script.invoke_async(&mut connection).await,
        };
        self.judge(answer, number).await
    }

    /// Has the news of a channel told to somebody, who knows by which connection it has listened so far. Which it is now.
    pub(crate) async fn listen(&self, channel: &str, shared: &Arc<Shared>, so_far: u64) -> Result<u64, Error> {
        let (mut connection, number) = self.connection().await?;
        if number != so_far {
            self.listeners.lock().insert(channel.to_owned(), Arc::downgrade(shared));
            self.counts.trips.fetch_add(1, Ordering::Relaxed);
            let answer = connection.subscribe(channel).await;
            self.judge(answer, number).await?;
        }
        Ok(number)
    }

    /// Listens no more, unless somebody else has begun to since.
    pub(crate) async fn leave(&self, channel: &str, shared: &Arc<Shared>) {
        let ours = |listener: &Weak<Shared>| std::ptr::eq(listener.as_ptr(), Arc::as_ptr(shared));
        let left = {
            let mut listeners = self.listeners.lock();
            let left = listeners.get(channel).is_some_and(ours);
            if left {
                listeners.remove(channel);
            }
            left
        };
        // A connection that is being made has nobody listening yet.
        let open = self.open.try_lock().ok().and_then(|open| open.connection.clone());
        if let Some(mut connection) = open.filter(|_| left) {
            // Nobody listens to what would still come.
            let _ = connection.unsubscribe(channel).await;
        }
    }
}

impl<'a> From<&'a Cmd> for Question<'a> {
    fn from(command: &'a Cmd) -> Self {
        Self::Command(command)
    }
}

impl<'a> From<&'a ScriptInvocation<'_>> for Question<'a> {
    fn from(script: &'a ScriptInvocation<'_>) -> Self {
        Self::Script(script)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Moved(address) => Self::Busy { address, said: "it has what another node had".to_owned() },
            Failure::Error(error) => error,
        }
    }
}

fn hear(listeners: &Listeners, push: PushInfo) {
    if push.kind == PushKind::Disconnection {
        let all: Vec<_> = listeners.lock().values().filter_map(Weak::upgrade).collect();
        all.into_iter().for_each(|shared| shared.look());
    } else if let Some(message) = Msg::from_push_info(push) {
        let listener = listeners.lock().get(message.get_channel_name()).and_then(Weak::upgrade);
        if let Some(shared) = listener {
            shared.hear(message.get_payload_bytes());
        }
    }
}
