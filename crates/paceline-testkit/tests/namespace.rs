//! Two networks of one machine reach a server of its own, and nothing is left of them.
#![cfg(target_os = "linux")]

use std::process::Command;

use paceline_testkit::namespace::Namespace;
use paceline_testkit::redis::Server;

#[test]
fn a_server_is_reached_from_two_networks() {
    let made = Namespace::new().and_then(|one| Ok((one, Namespace::new()?)));
    let (one, two) = match made {
        Ok(both) => both,
        Err(error) => return eprintln!("tried without: {error}"),
    };
    let server = Server::options().bind(one.host()).start();
    let ask = format!("exec 3<>/dev/tcp/{}/{}; echo PING >&3; head -n 1 <&3", one.host(), server.port());
    let mut peers = Vec::new();
    for namespace in [&one, &two] {
        let output = namespace.command("bash").args(["-c", &ask]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "+PONG");
        let own = namespace.command("ip").args(["-brief", "address"]).output().unwrap();
        let own = String::from_utf8(own.stdout).unwrap();
        assert!(own.contains(&namespace.address().to_string()), "{own}");
        peers.push(namespace.address());
    }
    assert_ne!(peers[0], peers[1]);
    drop((one, two));
    let left = Command::new("ip").args(["netns", "list"]).output().unwrap();
    let mine = format!("paceline-{}-", std::process::id());
    assert!(!String::from_utf8(left.stdout).unwrap().contains(&mine));
}
