//! What the nodes of a cluster tell of where the others are.

use redis::{ConnectionAddr, ConnectionInfo, Value};

/// How to connect to another node of a cluster: as to this one.
pub(super) fn beside(info: &ConnectionInfo, host: &str, port: u16) -> ConnectionInfo {
    let host = |own: &str| if host.is_empty() { own.to_owned() } else { host.to_owned() };
    let address = match info.addr() {
        ConnectionAddr::TcpTls { host: own, insecure, tls_params, .. } => {
            let (insecure, tls_params) = (*insecure, tls_params.clone());
            ConnectionAddr::TcpTls { host: host(own), port, insecure, tls_params }
        }
        ConnectionAddr::Tcp(own, _) => ConnectionAddr::Tcp(host(own), port),
        _ => ConnectionAddr::Tcp(host("localhost"), port),
    };
    info.clone().set_addr(address)
}

/// A host, which may be left out, and a port.
pub(super) fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    Some((host.trim_start_matches('[').trim_end_matches(']'), port.parse().ok()?))
}

/// Of each range of slots who has it, the primary first, by host and port. `CLUSTER SLOTS` has them after the first and
/// the last slot, with no host where it is the answering node's, and with `?` where it is not known.
pub(super) fn shards(told: &Value) -> Vec<Vec<(&str, u16)>> {
    list(told).iter().map(|range| list(range).iter().skip(2).filter_map(node).collect()).collect()
}

fn node(told: &Value) -> Option<(&str, u16)> {
    let (host, port) = match list(told) {
        [Value::Nil, Value::Int(port), ..] => ("", port),
        [Value::BulkString(host), Value::Int(port), ..] if host != b"?" => (std::str::from_utf8(host).ok()?, port),
        _ => return None,
    };
    Some((host, u16::try_from(*port).ok()?))
}

fn list(value: &Value) -> &[Value] {
    if let Value::Array(values) = value { values } else { &[] }
}

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo as _;

    use super::*;

    #[test]
    fn addresses_are_read_as_nodes_tell_them() {
        assert_eq!(split("10.0.0.1:7000"), Some(("10.0.0.1", 7000)));
        assert_eq!(split(":7000"), Some(("", 7000)), "the same host");
        assert_eq!(split("[fe80::1]:7000"), Some(("fe80::1", 7000)));
        assert_eq!(split("fe80::1:7000"), Some(("fe80::1", 7000)));
        for wrong in ["", "host", "host:", "host:70000"] {
            assert_eq!(split(wrong), None);
        }
    }

    #[test]
    fn other_nodes_are_connected_to_like_the_one_that_was_named() {
        let first = "redis://user:secret@first:7000".into_connection_info().unwrap();
        let info = beside(&first, "second", 7001);
        assert_eq!(info.addr().to_string(), "second:7001");
        assert_eq!(info.redis_settings().username(), Some("user"));
        assert_eq!(info.redis_settings().password(), Some("secret"));
        assert_eq!(beside(&first, "", 7001).addr().to_string(), "first:7001");
    }

    #[test]
    fn slots_tell_who_has_them_with_what_is_not_known_left_out() {
        let node = |host, port| Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec())]);
        let host = |name: &str| Value::BulkString(name.as_bytes().to_vec());
        let range = |nodes: Vec<Value>| {
            let slots = [Value::Int(0), Value::Int(5)];
            Value::Array(slots.into_iter().chain(nodes).collect())
        };
        let told = Value::Array(vec![
            range(vec![node(host("a"), 1), node(Value::Nil, 2), node(host("?"), 3)]),
            range(vec![]),
            Value::Int(7),
            range(vec![node(host("b"), 70_000), node(host("b"), 4)]),
        ]);
        assert_eq!(shards(&told), [vec![("a", 1), ("", 2)], vec![], vec![], vec![("b", 4)]]);
        assert!(shards(&Value::Nil).is_empty());
    }
}
