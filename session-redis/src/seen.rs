//! Values that were read a moment ago, for saves that leave nothing to be found out: the server
//! compares the whole value itself (`SET` with `IFEQ`), which costs it a quarter of what a script
//! costs, or a small script compares how it begins, which costs two thirds.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use session_core::{Expected, Key, KeyDigest, Lineage, Write};

use crate::record;

/// For how long a value is good for a save: the server's time, which was read with it, is carried on
/// by this machine's clock.
const FRESH: Duration = Duration::from_secs(1);
/// Larger values are not worth sending twice.
const LARGEST: usize = 8 * 1024;
/// How many values are kept: one in each place, that of the session that was read last.
const PLACES: usize = 1024;

/// Values that were read a moment ago, of a bounded number of sessions.
pub(crate) struct Seen {
    /// None where saves are not sent so.
    places: Box<[Place]>,
    /// Whether the server compares itself.
    compares: AtomicBool,
}

type Place = Mutex<Option<Sight>>;

struct Sight {
    session: KeyDigest,
    value: Bytes,
    /// The server's time then.
    time: u64,
    at: Instant,
}

/// A save that replaces `old`, and nothing else.
pub(crate) struct Swap {
    pub(crate) old: Bytes,
    /// When the new value is over, by the server's clock.
    pub(crate) end: u64,
}

impl Seen {
    /// `compares`: whether the server does, as it says.
    pub(crate) fn new(compares: bool) -> Self {
        let places = (0..PLACES).map(|_| Place::default()).collect();
        Self { places, compares: compares.into() }
    }

    /// Nothing is kept.
    pub(crate) fn nothing() -> Self {
        Self { places: Box::default(), compares: false.into() }
    }

    pub(crate) fn compares(&self) -> bool {
        self.compares.load(Ordering::Relaxed)
    }

    fn place(&self, session: &KeyDigest) -> Option<MutexGuard<'_, Option<Sight>>> {
        let [a, b, ..] = *session.as_bytes();
        let place = self.places.get(usize::from(u16::from_be_bytes([a, b])) % PLACES)?;
        Some(place.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes what was just read, when the server's clock showed `time`.
    pub(crate) fn note(&self, key: &Key, value: &Bytes, time: u64) {
        if value.len() > LARGEST {
            return;
        }
        if let Some(mut place) = self.place(key.digest()) {
            let (session, value) = (*key.digest(), value.clone());
            *place = Some(Sight { session, value, time, at: Instant::now() });
        }
    }

    /// The server refuses to compare, other than it seemed.
    pub(crate) fn give_up(&self) {
        self.compares.store(false, Ordering::Relaxed);
    }

    /// How to do a save by comparing alone, if it can be; the draft is then filled in. What was seen is
    /// forgotten: it is replaced now.
    pub(crate) fn swap(
        &self,
        key: &Key,
        write: &Write,
        expected: Expected<'_>,
        draft: &mut [u8],
    ) -> Option<Swap> {
        let sight = self.place(key.digest())?.take_if(|sight| sight.session == *key.digest())?;
        let Expected::Revision(revision) = expected else { return None };
        let elapsed = sight.at.elapsed();
        let is_small = draft.len() <= LARGEST;
        if write.lineage != Lineage::Continue || !is_small || elapsed > FRESH {
            return None;
        }
        let now = sight.time + u64::try_from(elapsed.as_millis()).unwrap_or_default();
        let end = record::deadline(write, now);
        let is_possible = end >= now + record::SHORTEST_PLAIN
            && record::fill_in(draft, &sight.value, revision, end);
        is_possible.then_some(Swap { old: sight.value, end })
    }
}

/// Shows no value.
impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seen({})", self.places.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use session_core::{KeyHasher, OpToken, ReadOptions, SessionId, SessionStore};
    use test_servers::redis::{Options, Server};

    use super::*;
    use crate::RedisStore;

    /// After a failover, say, or behind a name that leads to another server now.
    #[tokio::test]
    async fn a_server_that_does_not_know_the_option_is_given_the_script() {
        let server = Server::start(&Options::redis()).await.unwrap();
        let mut store = RedisStore::open(&server.url()).await.unwrap();
        let inner = Arc::get_mut(&mut store.0).unwrap();
        let before = std::mem::replace(&mut inner.seen, Seen::new(true)).compares();
        let key = KeyHasher::plain().key(&SessionId::generate().unwrap());
        let write = || Write::new("x", Duration::from_secs(3_600));
        let op = || OpToken::generate().unwrap();
        store.create(&key, write(), op(), None).await.unwrap();
        for _ in 0..2 {
            let read = store.load(&key, ReadOptions::latest()).await.unwrap().unwrap().revision;
            store.save(&key, write(), Expected::Revision(read), op()).await.unwrap();
        }
        assert_eq!(store.0.seen.compares(), before);
    }
}
