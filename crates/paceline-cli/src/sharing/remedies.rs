//! What stores advise their callers, as users of the command can follow it: they have flags and variables, not options.

/// What is said, and what to say instead.
const REMEDIES: [(&str, &str); 5] = [
    (" or `Options::directory`", ""),
    (", or give it room by `Options::waiting`", ""),
    (", or allow more by `Options::response_timeout`", ""),
    ("keys of the prefix", "keys that begin with `paceline:`"),
    ("use another prefix", "use another name"),
];

/// The same, advising what a user can do.
pub(crate) fn for_users(said: &str) -> String {
    REMEDIES.iter().fold(said.to_owned(), |text, (said, instead)| text.replace(said, instead))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use paceline_redis::Error as RedisError;
    use paceline_shm::Error as ShmError;

    use super::*;

    /// Those of their errors that advise what only a program can do.
    fn advice() -> [String; 6] {
        let (path, set, address) = ("/dev/shm/x".into(), || "one".to_owned(), || "127.0.0.1:6379".to_owned());
        [
            ShmError::Unsafe { path, why: "belongs to somebody else".into() }.to_string(),
            ShmError::Network { path: "/mnt".into(), kind: "NFS" }.to_string(),
            ShmError::TooManyWait { set: set(), most: 9 }.to_string(),
            RedisError::Silent { address: address(), timeout: Duration::from_secs(1) }.to_string(),
            RedisError::Forbidden { address: address(), said: "NOPERM".into() }.to_string(),
            RedisError::Version { set: set(), found: "9".into(), known: 1 }.to_string(),
        ]
    }

    #[test]
    fn nobody_is_advised_what_only_a_program_can_do() {
        for said in advice().map(|said| for_users(&said)) {
            assert!(!said.contains("Options::") && !said.contains("prefix"), "{said}");
            assert!(!said.contains(", or;") && !said.ends_with([' ', ',', ';']), "{said}");
        }
    }

    #[test]
    fn each_remedy_is_one_of_theirs() {
        let advice = advice().concat();
        for (said, _) in REMEDIES {
            assert!(advice.contains(said), "nobody says {said:?} any more");
        }
    }
}
