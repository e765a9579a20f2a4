//! What a server has counted.

use std::collections::BTreeMap;

/// What a server has counted since its start, or between two looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    calls: BTreeMap<String, u64>,
    reads: u64,
    /// What a look itself adds, found by looking twice.
    own: Option<Box<Self>>,
}

impl Traffic {
    pub(crate) fn of(info: &BTreeMap<String, String>) -> Self {
        let calls = info.iter().filter_map(|(name, value)| {
            let calls = value.strip_prefix("calls=")?.split(',').next()?.parse().ok()?;
            Some((name.strip_prefix("cmdstat_")?.to_owned(), calls))
        });
        let reads = info.get("total_reads_processed").and_then(|reads| reads.parse().ok());
        Self { calls: calls.collect(), reads: reads.unwrap_or_default(), own: None }
    }

    /// With what a look itself adds: the difference between this one and the one before.
    pub(crate) fn after_look(mut self, before: &Self) -> Self {
        self.own = Some(Box::new(self.since(before)));
        self
    }

    /// How often a command was called; of a subcommand, `"config|set"`.
    #[must_use]
    pub fn calls(&self, command: &str) -> u64 {
        self.calls.get(command).copied().unwrap_or_default()
    }

    /// Every command that was called, and how often. What scripts call is among them.
    #[must_use]
    pub fn all_calls(&self) -> &BTreeMap<String, u64> {
        &self.calls
    }

    /// How often the server read from a connection: one for all requests that came together.
    /// Connections between servers count as well.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// What came after the earlier look, without the looks themselves.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        // Each look is two commands: the first adds to the second, and both add to a later look.
        let own = |from: &dyn Fn(&Self) -> u64| {
            earlier.own.as_deref().map_or(0, |own| from(own).saturating_mul(2))
        };
        let calls = self.calls.iter().map(|(name, calls)| {
            let counted = calls.saturating_sub(earlier.calls(name));
            (name.clone(), counted.saturating_sub(own(&|look| look.calls(name))))
        });
        let reads = self.reads.saturating_sub(earlier.reads);
        Self {
            calls: calls.filter(|(_, calls)| *calls > 0).collect(),
            reads: reads.saturating_sub(own(&|look| look.reads)),
            own: None,
        }
    }
}

/// The lines `name:value` of `INFO`.
pub(crate) fn parse_info(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.trim_end().split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Up to where its replication stream reaches.
pub(crate) fn replication_offset(info: &BTreeMap<String, String>) -> u64 {
    info.get("master_repl_offset").and_then(|offset| offset.parse().ok()).unwrap_or_default()
}

/// What its replicas have acknowledged, from `slave0:ip=..,port=..,state=online,offset=14,lag=0`.
pub(crate) fn replica_offsets(info: &BTreeMap<String, String>) -> impl Iterator<Item = u64> {
    info.iter().filter(|(name, _)| name.starts_with("slave")).filter_map(|(_, value)| {
        let online = value.contains("state=online");
        let offset = value.split(',').find_map(|field| field.strip_prefix("offset="));
        offset.filter(|_| online)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_replicas_are_found_in_what_info_tells() {
        let info = parse_info(
            "# Stats\r\ntotal_reads_processed:7\r\ncmdstat_config|set:calls=2,usec=9\r\n\
             slave0:ip=::1,port=1,state=online,offset=14,lag=0\r\nslave_read_only:1\r\n\
             slave1:ip=::1,port=2,state=wait_bgsave,offset=99,lag=0\r\nmaster_repl_offset:15",
        );
        let traffic = Traffic::of(&info);
        assert_eq!((traffic.reads(), traffic.calls("config|set")), (7, 2));
        assert_eq!(replica_offsets(&info).collect::<Vec<_>>(), [14]);
        assert_eq!(replication_offset(&info), 15);
    }
}
