//! The server: accepting, serving and stopping.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::provider::Provider;
use crate::{MockConfig, Seen, Stats, routes};

/// A running simulated provider. Dropping it stops it at once, connections and all; [`Mock::shutdown`] lets the calls
/// in flight finish.
///
/// It serves HTTP/1.1 and HTTP/2 without TLS, in tasks on the runtime that started it.
#[must_use = "a mock stops when it is dropped"]
pub struct Mock {
    addr: SocketAddr,
    provider: Arc<Provider>,
    stop: watch::Sender<bool>,
    /// The one task that owns all connections; a set, since dropping a set aborts.
    server: JoinSet<()>,
}

/// Connections that may wait to be accepted: a thousand clients connect at once in some tests.
const BACKLOG: u32 = 4096;

/// HTTP/2's default of 200 would be a concurrency limit that nobody asked for.
const STREAMS: u32 = 1 << 20;

impl Mock {
    /// Starts serving on `addr`; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if the [configuration makes no sense](MockConfig::check); else what the
    /// operating system says about the address.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left running if it is dropped.
    pub async fn start(config: MockConfig, addr: SocketAddr) -> io::Result<Mock> {
        config.check().map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // As tokio's own bind does, so that a restart on the same port need not wait.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        let listener = socket.listen(BACKLOG)?;
        let addr = listener.local_addr()?;
        let provider = Arc::new(Provider::new(config));
        let (stop, stopped) = watch::channel(false);
        let mut server = JoinSet::new();
        server.spawn(serve(listener, routes::router(Arc::clone(&provider)), stopped));
        Ok(Mock { addr, provider, stop, server })
    }

    /// The address it listens on, with the real port.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base address for clients, such as `http://127.0.0.1:8080`, without a path; `0.0.0.0` becomes loopback.
    #[must_use]
    pub fn url(&self) -> String {
        let mut addr = self.addr;
        if addr.ip().is_unspecified() {
            addr.set_ip(match addr {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{addr}")
    }

    /// The totals so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.provider.stats()
    }

    /// Every call so far, in order of arrival. Copies the journal: O(calls).
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.provider.requests()
    }

    /// Calls in flight now.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.provider.in_flight()
    }

    /// Forgets the journal and the totals; charges and calls in flight stay.
    pub fn reset(&self) {
        self.provider.reset();
    }

    /// Takes no further connection or call, and returns when the calls in flight have been answered.
    ///
    /// # Cancel safety
    ///
    /// Dropping it stops the server at once.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        self.server.join_next().await;
    }
}

impl fmt::Debug for Mock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mock").field("addr", &self.addr).finish_non_exhaustive()
    }
}

async fn serve(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { connections.spawn(connection(stream, router.clone(), stopped.clone())); }
                // Out of descriptors, most likely: some are given back when connections end.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
            _ = stopped.changed() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, router: Router, mut stopped: watch::Receiver<bool>) {
    // An answer must not wait for the client's acknowledgement of the one before; where it cannot be set, it may.
    let _ = stream.set_nodelay(true);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(STREAMS);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    // How a connection ends is the client's business, and shows in its journal if anywhere.
    tokio::select! {
        _ = serving.as_mut() => {}
        _ = stopped.changed() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}
