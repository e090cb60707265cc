//! Calls in flight, clients that leave, and stopping. Real sockets, and so real time; nothing waits for longer than
//! it takes.

use std::time::{Duration, Instant};

use paceline_mock::{Latency, Mock, MockConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::client::{CHAT, post, start};

const CALL: &[u8] =
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: mock\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\n{}";

const HOUR: Duration = Duration::from_secs(3600);

fn taking(latency: Duration) -> MockConfig {
    MockConfig { latency: Latency::Fixed(latency), concurrency: Some(1), ..MockConfig::default() }
}

/// A call sent, and in flight.
async fn in_flight(mock: &Mock) -> TcpStream {
    let mut stream = TcpStream::connect(mock.addr()).await.expect("a connection");
    stream.write_all(CALL).await.expect("sent");
    until(|| mock.in_flight() == 1).await;
    stream
}

async fn until(mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.expect("it happens soon");
}

async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // An aborted connection may end in an error; what came before it is what matters.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_client_that_hangs_up_frees_its_slot() {
    let mock = start(taking(HOUR)).await;
    let first = in_flight(&mock).await;
    let refused = post(&mock, CHAT, "{}").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("1"));
    drop(first);
    until(|| mock.in_flight() == 0).await;
    let _second = in_flight(&mock).await;
    let statuses: Vec<u16> = mock.requests().iter().map(|seen| seen.status).collect();
    assert_eq!(statuses, [200, 429, 200]);
    assert_eq!(mock.stats().peak_in_flight, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_answer_has_left() {
    let mock = start(taking(Duration::ZERO)).await;
    let mut stream = TcpStream::connect(mock.addr()).await.expect("a connection");
    let mut buffer = [0; 4096];
    for _ in 0..2000 {
        stream.write_all(CALL).await.expect("sent");
        let read = stream.read(&mut buffer).await.expect("an answer");
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&buffer[..read]));
    }
    assert_eq!((mock.stats().ok, mock.stats().rejected), (2000, 0));
}

#[tokio::test]
async fn an_answer_takes_its_latency() {
    let mock = start(taking(Duration::from_millis(60))).await;
    let before = Instant::now();
    post(&mock, CHAT, "{}").await;
    assert!(before.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn jitter_comes_before_the_arrival() {
    let mock = start(MockConfig { jitter: Duration::from_millis(80), seed: 3, ..MockConfig::default() }).await;
    let before = Instant::now();
    for _ in 0..4 {
        post(&mock, CHAT, "{}").await;
    }
    let (first, took) = (mock.requests()[0].arrival, before.elapsed());
    assert!(first > Duration::from_millis(5), "{first:?}");
    assert!(took > first && took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn shutdown_lets_calls_finish() {
    let mock = start(taking(Duration::from_millis(100))).await;
    let addr = mock.addr();
    let call = in_flight(&mock).await;
    let idle = TcpStream::connect(addr).await.expect("a connection");
    timeout(Duration::from_secs(10), mock.shutdown()).await.expect("an end");
    assert!(rest(call).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(rest(idle).await, "");
    assert!(TcpStream::connect(addr).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn dropping_stops_at_once() {
    let mock = start(taking(HOUR)).await;
    let addr = mock.addr();
    let call = in_flight(&mock).await;
    drop(mock);
    let heard = timeout(Duration::from_secs(10), rest(call)).await.expect("the connection ends");
    assert_eq!(heard, "");
    assert!(TcpStream::connect(addr).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let mock = start(MockConfig::default()).await;
    let why = Mock::start(MockConfig::default(), mock.addr()).await.expect_err("the port is taken");
    assert_eq!(why.kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(mock.url(), format!("http://127.0.0.1:{}", mock.addr().port()));
}
