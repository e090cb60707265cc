//! One rate over Redis as it is shared today: a script on one key, run by its hash, one round trip a permit.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{Client, Script};

/// A second, with as great a burst. More would be less than what a script's numbers hold of an instant.
const PLENTY: u32 = 1_000_000;

/// A limit with plenty, and a connection that its clones share, on which requests do not wait for each other's answers.
#[derive(Clone)]
pub(crate) struct Gcra {
    script: Arc<Script>,
    connection: MultiplexedConnection,
}

impl Gcra {
    pub(crate) async fn connect(url: &str) -> Self {
        let script = Arc::new(Script::new(include_str!("gcra.lua")));
        let client = Client::open(url).expect("a URL");
        let connection = client.get_multiplexed_async_connection().await.expect("the server answers");
        Self { script, connection }
    }

    /// Takes one. There is nothing to give back.
    pub(crate) async fn take(&mut self) {
        let mut asked = self.script.key("bench:gcra");
        let asked = asked.arg(PLENTY).arg(PLENTY).arg(1).arg(1);
        let answer: [i64; 5] = asked.invoke_async(&mut self.connection).await.expect("it runs");
        assert_eq!(answer[0], 0, "there is room");
    }
}
