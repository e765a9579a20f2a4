//! What a node of a cluster knows of the others.

use std::ops::RangeInclusive;

/// A node as another one sees it: a line of `CLUSTER NODES`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeView {
    /// Its id in the cluster.
    pub id: String,
    /// Its TCP port.
    pub port: u16,
    /// As in `master`, `slave`, `fail?`, `fail`.
    pub flags: Vec<String>,
    /// The id of its primary, where it is a replica.
    pub primary: Option<String>,
    /// The slots that it owns.
    pub slots: Vec<RangeInclusive<u16>>,
}

impl NodeView {
    /// Whether it has this flag.
    #[must_use]
    pub fn is(&self, flag: &str) -> bool {
        self.flags.iter().any(|has| has == flag)
    }

    /// Whether it owns the slot.
    #[must_use]
    pub fn owns(&self, slot: u16) -> bool {
        self.is("master") && self.slots.iter().any(|range| range.contains(&slot))
    }

    /// From `id host:port@bus flags primary ping pong epoch link slot ..`.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let id = words.next()?.to_owned();
        let port = words.next()?.split('@').next()?.rsplit(':').next()?.parse().ok()?;
        let flags = words.next()?.split(',').map(str::to_owned).collect();
        let primary = words.next().filter(|id| *id != "-").map(str::to_owned);
        let slots = words.skip(4).filter_map(range).collect();
        Some(Self { id, port, flags, primary, slots })
    }
}

/// `7` or `0-5460`; not `[7->-id]`, a slot on the move.
fn range(word: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

pub(crate) fn parse(reply: &str) -> Vec<NodeView> {
    reply.lines().filter_map(NodeView::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primary_and_its_replica_are_understood() {
        let nodes = parse(
            "07c3 127.0.0.1:10001@10007,host master,fail? - 0 1 2 connected 0-5460 7000 [7->-67ed]\n\
             67ed 127.0.0.1:10002@10008 myself,slave 07c3 0 1 2 connected",
        );
        assert_eq!((nodes[0].port, &*nodes[0].id), (10001, "07c3"));
        assert_eq!(nodes[0].slots, [0..=5460, 7000..=7000]);
        assert!(nodes[0].is("fail?") && nodes[0].owns(7000) && !nodes[0].owns(5461));
        assert_eq!(nodes[1].primary.as_deref(), Some("07c3"));
        assert!(nodes[1].is("slave") && !nodes[1].owns(7));
    }
}
