//! Ports that stay ours while nobody listens on them.

use rand::Rng as _;

/// A port to try. Below those that systems hand out to outgoing connections, so that a server that is away for a while
/// finds its own free when it comes back; the port 10,000 above, where a node of a Redis Cluster hears of the others, too.
pub(crate) fn pick() -> u16 {
    rand::rng().random_range(10_000..22_000)
}
