//! Ports that no other test uses.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::Arc,
};

use crate::{Error, Result};

/// Below the range that systems take ports of outgoing connections from (32768 on Linux).
const FIRST: u16 = 10_000;
const LAST: u16 = 32_767;
const BLOCK: u16 = 16;
const ATTEMPTS: u32 = 5;

/// A block of ports of this process. The first one is listened on for as long as the block is
/// held, which keeps other processes' blocks away; the others are for servers.
#[derive(Debug)]
pub(crate) struct Ports {
    claim: TcpListener,
    first: u16,
}

impl Ports {
    /// How many ports a block has for servers.
    pub(crate) const COUNT: u16 = BLOCK - 1;

    pub(crate) fn claim() -> Result<Arc<Self>> {
        let blocks = (LAST - FIRST) / BLOCK;
        let start = fastrand::u16(..blocks);
        (0..blocks)
            .map(|block| FIRST + (start + block) % blocks * BLOCK)
            .find_map(Self::claim_at)
            .map(Arc::new)
            .ok_or_else(|| Error::new("no free ports"))
    }

    fn claim_at(first: u16) -> Option<Self> {
        let claim = bind(first)?;
        (1..BLOCK).all(|offset| bind(first + offset).is_some()).then_some(Self { claim, first })
    }

    /// A port of the block, from 0 below [`Ports::COUNT`].
    pub(crate) fn port(&self, index: u16) -> u16 {
        debug_assert!(index < Self::COUNT, "{:?} is a block of {BLOCK}", self.claim);
        self.first + 1 + index
    }
}

fn bind(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
}

/// Starts something on free ports; on others when somebody was faster.
pub(crate) async fn with_ports<T, F>(start: impl Fn(Arc<Ports>) -> F + Send + Sync) -> Result<T>
where
    F: Future<Output = Result<T>> + Send,
{
    for _ in 1..ATTEMPTS {
        match start(Ports::claim()?).await {
            Err(error) if error.is_port_taken() => {}
            done => return done,
        }
    }
    start(Ports::claim()?).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn blocks_do_not_overlap() {
        let blocks: Vec<_> = (0..50).map(|_| Ports::claim().unwrap()).collect();
        let ports: BTreeSet<u16> = blocks
            .iter()
            .flat_map(|block| (0..Ports::COUNT).map(move |index| block.port(index)))
            .collect();
        assert_eq!(ports.len(), 50 * usize::from(Ports::COUNT));
    }

    #[test]
    fn a_block_in_use_is_refused_until_it_is_dropped() {
        let block = Ports::claim().unwrap();
        let first = block.first;
        assert!(Ports::claim_at(first).is_none());
        drop(block);
        assert!(Ports::claim_at(first).is_some());
    }

    #[tokio::test]
    async fn a_taken_port_leads_to_another_attempt() {
        let attempts = std::sync::atomic::AtomicU32::new(0);
        let start = |ports: Arc<Ports>| {
            let attempt = attempts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move {
                if attempt < 2 {
                    return Err(Error::of_start("no start", "Address already in use"));
                }
                Ok(ports.port(0))
            }
        };
        assert!(with_ports(start).await.unwrap() > FIRST);
        assert_eq!(attempts.into_inner(), 3);
    }
}
