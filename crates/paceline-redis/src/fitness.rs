//! Whether a store can do what is needed, found out before anything depends on it.

use crate::error::{Error, plain};
use crate::nodes::Nodes;

const LEAST: (u32, u32) = (6, 2);

pub(crate) async fn check(nodes: &Nodes) -> Result<(), Error> {
    let line = &nodes.named;
    line.open().await?;
    let told: Result<String, Error> = line.ask(&redis::cmd("INFO")).await.map_err(Error::from);
    let told = match told {
        // Some are run for others by somebody who lets nobody ask. What they cannot do is found as it is needed.
        Err(Error::Forbidden { .. } | Error::Refused { .. }) => return Ok(()),
        told => told?,
    };
    let field = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let Some(version) = field("redis_version") else {
        let said = "it has no version".to_owned();
        return Err(Error::NoRedis { address: line.address.clone(), said });
    };
    if is_older(version) {
        return Err(Error::Old { address: line.address.clone(), version: plain(version) });
    }
    if let Some(policy) = evicts(field("maxmemory"), field("maxmemory_policy")) {
        let address = &line.address;
        tracing::warn!(%address, policy, "Redis may take away what is shared when memory is short; set `noeviction`");
    }
    if field("loading") == Some("1") {
        return Err(Error::Busy { address: line.address.clone(), said: "it is loading what it keeps".to_owned() });
    }
    // A replica in a cluster says who has what, like any other node.
    if field("cluster_enabled") == Some("1") {
        nodes.learn(line).await?;
        return Ok(());
    }
    if field("role") == Some("slave") {
        return Err(Error::Replica { address: line.address.clone() });
    }
    Ok(())
}

/// By what policy keys of ours can be taken away, if they can: all of them expire, so none of the others spares them.
fn evicts<'a>(most: Option<&str>, policy: Option<&'a str>) -> Option<&'a str> {
    let is_bounded = most.is_some_and(|bytes| bytes != "0");
    policy.filter(|policy| is_bounded && *policy != "noeviction")
}

fn is_older(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>());
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < LEAST,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{evicts, is_older};

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(is_older("6.0.16") && is_older("5.0.7") && is_older("2.8"));
        assert!(!is_older("6.2.0") && !is_older("7.0.15") && !is_older("10.0") && !is_older("255.255.255"));
        assert!(!is_older("unknown"));
    }

    #[test]
    fn any_policy_evicts_but_one_where_memory_is_bounded() {
        assert_eq!(evicts(Some("1048576"), Some("volatile-lru")), Some("volatile-lru"));
        assert_eq!(evicts(Some("1048576"), Some("allkeys-lfu")), Some("allkeys-lfu"));
        assert_eq!(evicts(Some("1048576"), Some("noeviction")), None);
        assert_eq!(evicts(Some("0"), Some("allkeys-lru")), None);
        assert_eq!(evicts(None, None), None);
    }
}
