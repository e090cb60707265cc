//! Several real nodes that make up a Redis Cluster.

use std::ops::{Index, IndexMut};
use std::thread;
use std::time::{Duration, Instant};

use super::{Options, Server};

const SLOTS: usize = 16_384;

/// A running cluster: primaries that share the slots evenly, and after them as many replicas of each as were asked for.
/// Its nodes are [`Server`]s, by their numbers.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    /// How long a node is silent before the others take it for dead, a second or two after which its replica has its
    /// place.
    pub const NODE_TIMEOUT: Duration = Duration::from_millis(500);

    /// Starts three primaries: about a second.
    ///
    /// # Panics
    ///
    /// As [`Options::start`], and where they do not come together.
    #[must_use]
    pub fn start() -> Self {
        Self::of(Options::default(), 3, 0)
    }

    /// Starts primaries and so many replicas for each: those of node `n` are `primaries + n * replicas` and those after it.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    #[must_use]
    pub fn of(options: Options, primaries: usize, replicas: usize) -> Self {
        let timeout = Self::NODE_TIMEOUT.as_millis().to_string();
        let options = options.args(["--cluster-enabled", "yes", "--cluster-node-timeout", &timeout]);
        // A part that is lost is not to take the rest with it, and a replica is to follow at once and to take over however
        // long it has heard nothing.
        let options = options.args(["--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0"]);
        let options = options.args(["--repl-diskless-sync", "no", "--repl-ping-replica-period", "1"]);
        let count = primaries * (1 + replicas);
        let nodes: Vec<Server> = (0..count).map(|_| options.clone().start()).collect();
        let cluster = Self { nodes };
        for (number, node) in cluster.nodes.iter().enumerate() {
            node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            if number < primaries {
                let slots = number * SLOTS / primaries..(number + 1) * SLOTS / primaries;
                let slots: Vec<String> = slots.map(|slot| slot.to_string()).collect();
                let command: Vec<&str> =
                    ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(|s| &**s)).collect();
                node.ask(&command);
            }
        }
        for node in &cluster.nodes[1..] {
            let (ip, port) = (node.address().ip().to_string(), node.port().to_string());
            cluster.nodes[0].ask(&["CLUSTER", "MEET", &ip, &port]);
        }
        let all = |node: &Server| field(&node.ask(&["CLUSTER", "INFO"]), "cluster_known_nodes") == count.to_string();
        until("nodes that know each other", || cluster.nodes.iter().all(all));
        for number in primaries..count {
            let primary = cluster.id((number - primaries) / replicas);
            until("a primary that is known", || cluster.nodes[number].ask(&["CLUSTER", "NODES"]).contains(&primary));
            cluster.nodes[number].ask(&["CLUSTER", "REPLICATE", &primary]);
        }
        cluster.until_ok();
        until("replicas that follow", || {
            cluster.nodes[primaries..].iter().all(|node| field(&node.ask(&["INFO"]), "master_link_status") == "up")
        });
        cluster
    }

    /// The number of the node that has a key, as far as the first that was not killed knows.
    ///
    /// # Panics
    ///
    /// Where that does not answer, or nobody has it.
    #[must_use]
    pub fn owner(&self, key: &str) -> usize {
        let living = self.nodes.iter().position(Server::is_alive);
        self.owner_by(living.expect("one lives"), key)
    }

    /// The number of the node that has a key, as far as another knows.
    ///
    /// # Panics
    ///
    /// Where that does not answer, or nobody has it.
    #[must_use]
    pub fn owner_by(&self, another: usize, key: &str) -> usize {
        let living = &self.nodes[another];
        let slot: usize = living.ask(&["CLUSTER", "KEYSLOT", key]).parse().expect("a number");
        let nodes = living.ask(&["CLUSTER", "NODES"]);
        let has = |words: &[&str]| {
            words.iter().skip(8).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                (first.parse().unwrap_or(SLOTS)..=last.parse().unwrap_or(0)).contains(&slot)
            })
        };
        let lines = nodes.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut address =
            lines.filter(|words| has(words)).map(|words| words[1].split('@').next().expect("the first part"));
        let address = address.next_back().unwrap_or_else(|| panic!("nobody has {slot} of {nodes}"));
        let node = self.nodes.iter().position(|node| node.address().to_string() == address);
        node.unwrap_or_else(|| panic!("{address} is none of ours"))
    }

    /// A name that has its keys, all with the hash tag `{prefix:NAME}`, at a node: `NAME-0` or one with another number.
    ///
    /// # Panics
    ///
    /// As [`owner`](Self::owner), and where that node has none of many.
    #[must_use]
    pub fn name_at(&self, node: usize, prefix: &str, name: &str) -> String {
        let names = (0..1_000).map(|number| format!("{name}-{number}"));
        let mut there = names.filter(|name| self.owner(&format!("{{{prefix}:{name}}}")) == node);
        there.next().expect("it has some slots")
    }

    /// Moves a key's slot to another node with all keys in it. In between, as long as `meanwhile` takes, it is on its way:
    /// its keys are where they were, and new ones are at the other.
    ///
    /// # Panics
    ///
    /// Where a node refuses.
    pub fn move_slot(&self, key: &str, to: usize, meanwhile: impl FnOnce()) {
        let (from, to) = (&self.nodes[self.owner(key)], &self.nodes[to]);
        let slot = from.ask(&["CLUSTER", "KEYSLOT", key]);
        let (giver, taker) = (from.ask(&["CLUSTER", "MYID"]), to.ask(&["CLUSTER", "MYID"]));
        to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &giver]);
        from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &taker]);
        meanwhile();
        let (ip, port) = (to.address().ip().to_string(), to.port().to_string());
        loop {
            let keys = from.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
            if keys.is_empty() {
                break;
            }
            for key in keys.lines() {
                from.ask(&["MIGRATE", &ip, &port, key, "0", "5000"]);
            }
        }
        for node in [to, from] {
            node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &taker]);
        }
    }

    /// Waits until all nodes that live say that all is well.
    ///
    /// # Panics
    ///
    /// Where that takes more than twenty seconds.
    pub fn until_ok(&self) {
        until("a cluster that is whole", || {
            let mut living = self.nodes.iter().filter(|node| node.is_alive());
            living.all(|node| {
                let info = node.ask(&["CLUSTER", "INFO"]);
                field(&info, "cluster_state") == "ok" && field(&info, "cluster_slots_ok") == SLOTS.to_string()
            })
        });
    }

    fn id(&self, node: usize) -> String {
        self.nodes[node].ask(&["CLUSTER", "MYID"])
    }
}

impl Index<usize> for Cluster {
    type Output = Server;

    fn index(&self, node: usize) -> &Server {
        &self.nodes[node]
    }
}

impl IndexMut<usize> for Cluster {
    fn index_mut(&mut self, node: usize) -> &mut Server {
        &mut self.nodes[node]
    }
}

fn field<'a>(info: &'a str, name: &str) -> &'a str {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map_or("", str::trim)
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    const PATIENCE: Duration = Duration::from_secs(20);
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "{what} did not come");
        thread::sleep(Duration::from_millis(10));
    }
}
