//! A slow, breaking link: a TCP proxy in front of an address.
//!
//! It runs on a thread and a clock of its own, so that its delays are real ones, also where a test's clock is paused. What
//! it is told is in force when the call returns.

mod link;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::port;

/// How long what is sent one way is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// In the mean.
    pub mean: Duration,
    /// At most so much less or more than that, evenly; nothing overtakes.
    pub jitter: Duration,
}

/// What the proxy does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Passing,
    /// Nothing arrives and nothing breaks.
    Stalled,
    /// Nobody listens.
    Refusing,
}

/// What it is told.
#[derive(Clone, Copy, Debug)]
enum Order {
    Delay(Delay),
    Cut,
    Lead(SocketAddr),
    Become(Link),
}

/// A proxy that passes on what it gets, late. It ends with this handle.
#[derive(Debug)]
pub struct Delaying {
    address: SocketAddr,
    orders: Option<UnboundedSender<(Order, mpsc::Sender<()>)>>,
    thread: Option<JoinHandle<()>>,
}

impl Delaying {
    /// A proxy on a port of its own of 127.0.0.1 that connects to `target`, at first without delay.
    ///
    /// # Panics
    ///
    /// Where no port, thread or runtime is to be had.
    #[must_use]
    pub fn before(target: SocketAddr) -> Self {
        let listener = listen();
        let address = listener.local_addr().expect("its address");
        let (orders, told) = unbounded_channel();
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let serve = move || runtime.block_on(link::serve(listener, address, target, told));
        let thread = thread::Builder::new().name("delaying proxy".into()).spawn(serve).expect("a thread");
        Self { address, orders: Some(orders), thread: Some(thread) }
    }

    /// Where to connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Delays what is sent from now on, on connections old and new; a round trip takes twice that.
    pub fn delay(&self, mean: Duration, jitter: Duration) {
        self.tell(Order::Delay(Delay { mean, jitter }));
    }

    /// Breaks all connections. New ones are taken.
    pub fn cut(&self) {
        self.tell(Order::Cut);
    }

    /// Breaks all connections and connects new ones to another target, as where an address moves to another machine.
    pub fn lead(&self, target: SocketAddr) {
        self.tell(Order::Lead(target));
    }

    /// Passes nothing on until it [heals](Self::heal): connections stay and new ones are taken, as where packets are lost.
    pub fn stall(&self) {
        self.tell(Order::Become(Link::Stalled));
    }

    /// Breaks all connections and refuses new ones until it [heals](Self::heal).
    pub fn refuse(&self) {
        self.tell(Order::Become(Link::Refusing));
    }

    /// Takes connections and passes on what they send, what was stalled included. The delay stays.
    pub fn heal(&self) {
        self.tell(Order::Become(Link::Passing));
    }

    fn tell(&self, order: Order) {
        let (done, is_done) = mpsc::channel();
        let orders = self.orders.as_ref().expect("there until it is dropped");
        orders.send((order, done)).expect("the proxy runs");
        is_done.recv().expect("the proxy runs");
    }
}

impl Drop for Delaying {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen() -> TcpListener {
    let taken = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, port::pick()));
    let bound: io::Result<TcpListener> = (0..20).map(taken).find(Result::is_ok).expect("a free port in twenty tries");
    let listener = bound.expect("it is bound");
    listener.set_nonblocking(true).expect("a socket of this system");
    listener
}
