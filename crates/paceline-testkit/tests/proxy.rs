//! The link delays, breaks and heals, in real time.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use paceline_testkit::proxy::Delaying;

/// Somebody who says back what is said, as long as the test runs.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut from, mut to) = (stream.as_ref().unwrap(), stream.as_ref().unwrap());
            let _ = std::io::copy(&mut from, &mut to);
        }
    });
    address
}

fn connect(proxy: &Delaying) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn heard(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn what_is_sent_is_late_each_way_and_in_order_in_real_time() {
    let proxy = Delaying::before(echo());
    let mut stream = connect(&proxy);
    let mean = Duration::from_millis(30);
    proxy.delay(mean, Duration::from_millis(10));
    let start = Instant::now();
    for byte in 0..10 {
        stream.write_all(&[byte]).unwrap();
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(heard(&mut stream, 10), (0..10).collect::<Vec<_>>());
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(40), "{took:?}: at least 20 ms each way");
    assert!(took < Duration::from_millis(600), "{took:?}: those on their way do not wait for each other");
}

#[test]
fn a_cut_breaks_connections_and_takes_new_ones() {
    let proxy = Delaying::before(echo());
    let mut stream = connect(&proxy);
    stream.write_all(b"a").unwrap();
    heard(&mut stream, 1);
    proxy.cut();
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    let mut stream = connect(&proxy);
    stream.write_all(b"b").unwrap();
    assert_eq!(heard(&mut stream, 1), b"b");
}

#[test]
fn a_link_that_leads_elsewhere_breaks_and_connects_there() {
    let (silent, proxy) = (TcpListener::bind("127.0.0.1:0").unwrap(), Delaying::before(echo()));
    let mut stream = connect(&proxy);
    stream.write_all(b"a").unwrap();
    heard(&mut stream, 1);
    proxy.lead(silent.local_addr().unwrap());
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    let mut stream = connect(&proxy);
    stream.write_all(b"b").unwrap();
    assert_eq!(heard(&mut silent.accept().unwrap().0, 1), b"b");
}

#[test]
fn who_is_refused_is_taken_again_once_healed() {
    let proxy = Delaying::before(echo());
    let mut stream = connect(&proxy);
    proxy.refuse();
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(TcpStream::connect(proxy.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    proxy.heal();
    let mut stream = connect(&proxy);
    stream.write_all(b"b").unwrap();
    assert_eq!(heard(&mut stream, 1), b"b");
}

#[test]
fn what_was_stalled_arrives_once_healed() {
    let proxy = Delaying::before(echo());
    let mut stream = connect(&proxy);
    proxy.stall();
    stream.write_all(b"late").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(stream.read(&mut [0]).is_err(), "nothing arrives and nothing breaks");
    proxy.heal();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(heard(&mut stream, 4), b"late");
}
