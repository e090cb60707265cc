//! The connection: one for all sets of a handle, made anew where it breaks or falls silent.
//!
//! Requests and news share it (RESP3), so what was written before an answer is heard before it. Whoever finds it broken
//! drops it, and the next that needs one makes it: a call that gets no answer in time costs the connection too, since
//! behind a silent one nothing is known of the other side.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo as _, Msg, ProtocolVersion, PushInfo,
    PushKind, RedisResult, ScriptInvocation,
};

use crate::error::Error;
use crate::scripts::Scripts;
use crate::shared::Shared;

pub(crate) struct Line {
    client: Client,
    pub(crate) address: String,
    timeout: Duration,
    pub(crate) scripts: Scripts,
    open: tokio::sync::Mutex<Opened>,
    listeners: Arc<Listeners>,
    trips: AtomicU64,
}

#[derive(Default)]
struct Opened {
    connection: Option<MultiplexedConnection>,
    /// How many there have been.
    count: u64,
}

/// Who is told of what comes in a channel.
type Listeners = Mutex<HashMap<String, Weak<Shared>>>;

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Line {
    pub(crate) fn new(url: &str, timeout: Duration) -> Result<Self, Error> {
        let wrong = |error: redis::RedisError| Error::Url { why: error.to_string() };
        let info = url.into_connection_info().map_err(wrong)?;
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let address = info.addr().to_string();
        let client = Client::open(info.set_redis_settings(settings).set_tcp_settings(tcp)).map_err(wrong)?;
        let (open, listeners) = (tokio::sync::Mutex::default(), Arc::default());
        Ok(Self { client, address, timeout, scripts: Scripts::new(), open, listeners, trips: AtomicU64::new(0) })
    }

    /// A connection, and which it is.
    async fn connection(&self) -> Result<(MultiplexedConnection, u64), Error> {
        let mut open = self.open.lock().await;
        if let Some(connection) = &open.connection {
            return Ok((connection.clone(), open.count));
        }
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
        let silent = |_| Error::Silent { address: self.address.clone(), timeout: self.timeout };
        let connection = made.map_err(silent)?.map_err(|error| self.failed(error))?;
        open.count += 1;
        open.connection = Some(connection.clone());
        Ok((connection, open.count))
    }

    fn failed(&self, error: redis::RedisError) -> Error {
        Error::of(error, &self.address, self.timeout)
    }

    /// Forgets a connection that is of no more use, unless there is a newer one.
    async fn drop_broken(&self, count: u64) {
        let mut open = self.open.lock().await;
        if open.count == count {
            open.connection = None;
        }
    }

    /// How many questions were sent.
    pub(crate) fn trips(&self) -> u64 {
        self.trips.load(Ordering::Relaxed)
    }

    async fn judge<T>(&self, result: RedisResult<T>, count: u64) -> Result<T, Error> {
        match result {
            Ok(answer) => Ok(answer),
            Err(error) => {
                let unusable = error.is_unrecoverable_error();
                let error = self.failed(error);
                if unusable || error.is_of_the_line() {
                    self.drop_broken(count).await;
                }
                Err(error)
            }
        }
    }

    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        let (mut connection, count) = self.connection().await?;
        self.trips.fetch_add(1, Ordering::Relaxed);
        let answer = command.query_async(&mut connection).await;
        self.judge(answer, count).await
    }

    pub(crate) async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Error> {
        let (mut connection, count) = self.connection().await?;
        self.trips.fetch_add(1, Ordering::Relaxed);
        let answer = script.invoke_async(&mut connection).await;
        self.judge(answer, count).await
    }

    /// Has the news of a channel told to somebody, who knows by which connection it has listened so far. Which it is now.
    pub(crate) async fn listen(&self, channel: &str, shared: &Arc<Shared>, so_far: u64) -> Result<u64, Error> {
        let (mut connection, count) = self.connection().await?;
        if count != so_far {
            self.listeners.lock().insert(channel.to_owned(), Arc::downgrade(shared));
            self.trips.fetch_add(1, Ordering::Relaxed);
            let answer = connection.subscribe(channel).await;
            self.judge(answer, count).await?;
        }
        Ok(count)
    }

    /// Listens no more, unless somebody else has begun to since.
    pub(crate) async fn leave(&self, channel: &str, shared: &Arc<Shared>) {
        let Ok((mut connection, _)) = self.connection().await else { return };
        let ours = |listener: &Weak<Shared>| std::ptr::eq(listener.as_ptr(), Arc::as_ptr(shared));
        let left = {
            let mut listeners = self.listeners.lock();
            let left = listeners.get(channel).is_some_and(ours);
            if left {
                listeners.remove(channel);
            }
            left
        };
        if left {
            // Nobody listens to what would still come.
            let _ = connection.unsubscribe(channel).await;
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
