//! The fixture does to a Redis what its names say.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use paceline_testkit::redis::{Cluster, Server};

#[test]
fn a_server_keeps_until_it_is_emptied() {
    let server = Server::start();
    assert_eq!(server.ask(&["SET", "a", "1"]), "OK");
    assert_eq!(server.ask(&["GET", "a"]), "1");
    assert_eq!(server.url(), format!("redis://127.0.0.1:{}", server.port()));
    server.flush();
    assert_eq!(server.ask(&["EXISTS", "a"]), "0");
    assert!(server.stat("total_commands_processed") > 3);
}

#[test]
fn a_killed_server_refuses_and_comes_back_empty_on_its_port() {
    let mut server = Server::start();
    server.ask(&["SET", "a", "1"]);
    let address = server.address();
    let mut open = TcpStream::connect(address).unwrap();
    server.kill();
    assert_eq!(open.read(&mut [0]).unwrap_or(0), 0, "the connection broke");
    assert!(TcpStream::connect(address).is_err());
    server.restart();
    assert_eq!(server.address(), address);
    assert_eq!(server.ask(&["EXISTS", "a"]), "0");
}

#[test]
fn a_persistent_server_comes_back_with_all_it_was_told() {
    let mut server = Server::options().persistent().start();
    server.ask(&["SET", "a", "1"]);
    server.restart();
    assert_eq!(server.ask(&["GET", "a"]), "1");
}

#[test]
fn a_stopped_server_answers_when_it_is_resumed() {
    let server = Server::start();
    server.stop();
    let (answered, answers) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| answered.send(server.ask(&["PING"])));
        assert!(answers.recv_timeout(Duration::from_millis(100)).is_err(), "it is stopped");
        server.resume();
        assert_eq!(answers.recv().unwrap(), "PONG");
    });
}

#[test]
fn options_are_the_servers_own() {
    let server = Server::options().password("secret").args(["--maxmemory", "3mb"]).start();
    assert_eq!(server.stat("maxmemory"), 3 << 20);
    assert!(server.url().starts_with("redis://:secret@127.0.0.1:"));
}

#[test]
fn a_server_dies_with_the_process_that_started_it() {
    let mut starter = Command::new(std::env::current_exe().unwrap());
    starter.args(["--exact", "starter", "--ignored", "--nocapture"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut starter = starter.env("REDIS_STARTER", "1").spawn().unwrap();
    let mut lines = BufReader::new(starter.stdout.take().unwrap()).lines().map(Result::unwrap);
    let port: u16 = lines.find_map(|line| line.strip_prefix("port ")?.parse().ok()).unwrap();
    let lives = || TcpStream::connect(("127.0.0.1", port)).is_ok();
    assert!(lives());
    starter.kill().unwrap();
    starter.wait().unwrap();
    for _ in 0..500 {
        if !lives() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("it lives on");
}

/// Not a test: the process that starts a server and is killed.
#[test]
#[ignore = "started by another test"]
fn starter() {
    if std::env::var_os("REDIS_STARTER").is_some() {
        let server = Server::start();
        println!("\nport {}", server.port());
        let _ = std::io::stdin().read(&mut [0]);
    }
}

#[test]
fn the_nodes_of_a_cluster_share_its_keys_and_a_slot_moves_with_all_that_is_in_it() {
    let cluster = Cluster::start();
    let name = cluster.name_at(2, "test", "name");
    let key = format!("{{test:{name}}}:key");
    assert_eq!(cluster.owner(&key), 2);
    cluster[2].ask(&["SET", &key, "1"]);
    cluster.move_slot(&key, 0, || assert_eq!(cluster[2].ask(&["GET", &key]), "1", "it is still there"));
    assert_eq!(cluster.owner(&key), 0);
    assert_eq!(cluster[0].ask(&["GET", &key]), "1");
}

#[test]
fn the_replica_of_a_killed_node_takes_its_place() {
    let mut cluster = Cluster::of(Server::options(), 3, 1);
    let key = "key";
    let owner = cluster.owner(key);
    cluster[owner].ask(&["SET", key, "1"]);
    assert_eq!(cluster[owner].ask(&["WAIT", "1", "5000"]), "1");
    cluster[owner].kill();
    let began = Instant::now();
    while cluster.owner(key) == owner {
        assert!(began.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(10));
    }
    println!("after {:?}", began.elapsed());
    assert_eq!(cluster.owner(key), owner + 3);
    cluster.until_ok();
    assert_eq!(cluster[owner + 3].ask(&["GET", key]), "1");
}
