//! The nodes of the store: the one that was named, and the others where that is one of a cluster.
//!
//! A set is in one node, since its keys have one hash tag. Which one is not reckoned here: any node that is asked for it
//! says where it is ([`Way`](crate::way::Way)). All that is kept is whom one can ask.

mod told;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::{ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion, Value};

use crate::error::{Error, plain};
use crate::line::{Counts, Line};
use crate::scripts::Scripts;
use crate::tls::Tls;
use told::{beside, shards, split};

pub(crate) struct Nodes {
    pub(crate) named: Arc<Line>,
    /// Of a cluster, by their addresses; the one that was named is none of them, unless by another address.
    others: Mutex<BTreeMap<String, Arc<Line>>>,
    timeout: Duration,
    pub(crate) counts: Arc<Counts>,
    pub(crate) scripts: Scripts,
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = self.others.lock().len();
        f.debug_struct("Nodes").field("named", &self.named).field("others", &others).finish_non_exhaustive()
    }
}

impl Nodes {
    pub(crate) fn new(url: &str, tls: &Tls, timeout: Duration) -> Result<Self, Error> {
        let info = url.into_connection_info().map_err(|error| Error::Url { why: error.to_string() })?;
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let info = tls.of(info.set_redis_settings(settings).set_tcp_settings(tcp))?;
        let counts = Arc::<Counts>::default();
        let named = Arc::new(Line::new(info, timeout, Arc::clone(&counts))?);
        Ok(Self { named, others: Mutex::default(), timeout, counts, scripts: Scripts::new() })
    }

    /// The node at an address that another has told; that one's own host where it told none.
    pub(crate) async fn at(&self, address: &str, told_by: &Line) -> Result<Arc<Line>, Error> {
        let Some((host, port)) = split(address) else {
            let (address, said) =
                (told_by.address.clone(), format!("it sends on to `{}`, which is no address", plain(address)));
            return Err(Error::Refused { address, said });
        };
        let info = beside(told_by.info(), host, port);
        let address = info.addr().to_string();
        if let Some(line) = self.known(&address) {
            return Ok(line);
        }
        // Others may be new to us as well.
        self.learn(told_by).await?;
        let line = self.line(info)?;
        self.others.lock().insert(address, Arc::clone(&line));
        Ok(line)
    }

    /// Whom to ask when this one gives no answer: the next, all in turn.
    pub(crate) fn after(&self, line: &Line) -> Arc<Line> {
        let others = self.others.lock();
        let next = if std::ptr::eq(line, &*self.named) {
            others.values().next()
        } else {
            others.range::<str, _>((Bound::Excluded(&*line.address), Bound::Unbounded)).map(|(_, next)| next).next()
        };
        Arc::clone(next.unwrap_or(&self.named))
    }

    /// How many there are besides the one that was named.
    pub(crate) fn others(&self) -> usize {
        self.others.lock().len()
    }

    /// Those that have sets, as a node tells of them now.
    pub(crate) async fn primaries(&self) -> Result<Vec<Arc<Line>>, Error> {
        let (mut line, mut left) = (Arc::clone(&self.named), self.others());
        if left == 0 {
            return Ok(vec![line]);
        }
        loop {
            match self.learn(&line).await {
                Err(error) if error.is_away() && left > 0 => line = self.after(&line),
                told => return told,
            }
            left -= 1;
        }
    }

    /// Has a node tell of all, of which the primaries are returned.
    pub(crate) async fn learn(&self, from: &Line) -> Result<Vec<Arc<Line>>, Error> {
        let told: Value = from.ask(&*redis::cmd("CLUSTER").arg("SLOTS")).await?;
        let mut nodes = BTreeMap::new();
        let mut primaries = BTreeMap::new();
        for slots in shards(&told) {
            for (place, (host, port)) in slots.into_iter().enumerate() {
                let line = self.line(beside(from.info(), host, port))?;
                if place == 0 {
                    primaries.insert(line.address.clone(), Arc::clone(&line));
                }
                if !Arc::ptr_eq(&line, &self.named) {
                    nodes.insert(line.address.clone(), line);
                }
            }
        }
        // One that was reset knows of nobody.
        if !primaries.is_empty() {
            *self.others.lock() = nodes;
        }
        Ok(primaries.into_values().collect())
    }

    fn known(&self, address: &str) -> Option<Arc<Line>> {
        if address == self.named.address {
            return Some(Arc::clone(&self.named));
        }
        self.others.lock().get(address).cloned()
    }

    /// The line to a node: the one there is, or a new one.
    fn line(&self, info: ConnectionInfo) -> Result<Arc<Line>, Error> {
        match self.known(&info.addr().to_string()) {
            Some(line) => Ok(line),
            None => Ok(Arc::new(Line::new(info, self.timeout, Arc::clone(&self.counts))?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_nodes_are_asked_in_turn() {
        let nodes = Nodes::new("redis://named:7000", &Tls::default(), Duration::from_secs(1)).unwrap();
        assert_eq!(nodes.after(&nodes.named).address, "named:7000", "there is one");
        for host in ["a", "z"] {
            let line = nodes.line(beside(nodes.named.info(), host, 7000)).unwrap();
            nodes.others.lock().insert(line.address.clone(), line);
        }
        let mut line = Arc::clone(&nodes.named);
        let mut asked = |_| {
            line = nodes.after(&line);
            line.address.clone()
        };
        assert_eq!([0, 1, 2].map(&mut asked), ["a:7000", "z:7000", "named:7000"]);
    }
}
