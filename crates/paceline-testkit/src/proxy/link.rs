//! The proxy's own thread: who is connected, and what is on its way.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;

use rand::Rng as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, channel};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::{Delay, Link, Order};

/// Chunks on their way at most, each way of a connection: whoever sends more waits, as before a full socket.
const ON_THE_WAY: usize = 4_096;

#[derive(Clone, Copy)]
struct State {
    delay: Delay,
    link: Link,
}

pub(super) async fn serve(
    listener: std::net::TcpListener,
    address: SocketAddr,
    mut target: SocketAddr,
    mut told: UnboundedReceiver<(Order, mpsc::Sender<()>)>,
) {
    let mut listener = Some(TcpListener::from_std(listener).expect("a socket of this runtime"));
    let (state, seen) = watch::channel(State { delay: Delay::default(), link: Link::Passing });
    let mut connections = JoinSet::new();
    loop {
        let order = tokio::select! {
            accepted = accept(listener.as_ref()) => {
                if let Ok(client) = accepted {
                    connections.spawn(connect(client, target, seen.clone()));
                }
                None
            }
            Some(_) = connections.join_next() => None,
            order = told.recv() => match order {
                Some(order) => Some(order),
                None => return,
            },
        };
        let Some((order, done)) = order else { continue };
        match order {
            Order::Delay(delay) => state.send_modify(|state| state.delay = delay),
            Order::Cut => connections.shutdown().await,
            Order::Lead(to) => {
                target = to;
                connections.shutdown().await;
            }
            Order::Become(link) => {
                if link == Link::Refusing {
                    listener = None;
                    connections.shutdown().await;
                } else if listener.is_none() {
                    listener = Some(TcpListener::bind(address).await.expect("its own port is free"));
                }
                state.send_modify(|state| state.link = link);
            }
        }
        let _ = done.send(());
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => pending().await,
    }
}

/// A connection to its end, which is that of either side.
async fn connect(client: TcpStream, target: SocketAddr, mut state: watch::Receiver<State>) {
    // What is stalled does not reach the target, the beginning of a connection included.
    let _ = state.wait_for(|state| state.link != Link::Stalled).await;
    let Ok(server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(pass(from_client, to_server, state.clone()), pass(from_server, to_client, state));
}

/// One way: what is read is written when it is due, in its order, and so is its end.
async fn pass(from: OwnedReadHalf, to: OwnedWriteHalf, state: watch::Receiver<State>) {
    let (sent, arriving) = channel(ON_THE_WAY);
    tokio::join!(depart(from, sent, state.clone()), arrive(to, arriving, state));
}

async fn depart(mut from: OwnedReadHalf, sent: Sender<(Instant, Vec<u8>)>, state: watch::Receiver<State>) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut bytes).await.unwrap_or(0);
        let delay = state.borrow().delay;
        let least = delay.mean.saturating_sub(delay.jitter);
        let due = Instant::now() + rand::rng().random_range(least..=delay.mean + delay.jitter);
        // An empty one is the end.
        if sent.send((due, bytes[..read].to_vec())).await.is_err() || read == 0 {
            return;
        }
    }
}

async fn arrive(mut to: OwnedWriteHalf, mut arriving: Receiver<(Instant, Vec<u8>)>, mut state: watch::Receiver<State>) {
    while let Some((due, bytes)) = arriving.recv().await {
        sleep_until(due).await;
        let _ = state.wait_for(|state| state.link != Link::Stalled).await;
        if bytes.is_empty() || to.write_all(&bytes).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
