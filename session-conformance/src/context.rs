//! What a case works with.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use session_core::{
    Capabilities, Clock, Key, KeyHasher, PrincipalDigest, Result, SessionId, SystemClock,
    Timestamp, Ttl,
};
use tokio::sync::OnceCell;

use crate::{
    Backend, Namespace,
    client::Client,
    outcome::{Failure, Outcome, PATIENCE, ensure},
};

/// The context of one case, which its tasks share.
pub(crate) type Cx = Arc<Context>;

/// A fresh namespace of the store under test, seen from two servers.
#[derive(Debug)]
pub(crate) struct Context {
    /// The handle of the first server.
    pub(crate) a: Client,
    b: OnceCell<Client>,
    backend: Arc<dyn Backend>,
    namespace: Namespace,
    others: Mutex<Vec<Namespace>>,
    moved: Mutex<Duration>,
    note: Mutex<Option<String>>,
}

impl Context {
    pub(crate) fn new(backend: Arc<dyn Backend>, namespace: Namespace, a: Client) -> Self {
        Self {
            a,
            b: OnceCell::new(),
            backend,
            namespace,
            others: Mutex::default(),
            moved: Mutex::default(),
            note: Mutex::default(),
        }
    }

    /// The handle of the second server.
    pub(crate) async fn b(&self) -> Result<Client> {
        self.b.get_or_try_init(|| self.open()).await.cloned()
    }

    /// The handle of one more server.
    pub(crate) async fn open(&self) -> Result<Client> {
        self.backend.open(&self.namespace).await.map(Client::new)
    }

    /// A handle to another namespace.
    pub(crate) async fn open_elsewhere(&self) -> Result<Client> {
        let namespace = Namespace::fresh()?;
        self.others.lock().unwrap_or_else(PoisonError::into_inner).push(namespace.clone());
        self.backend.open(&namespace).await.map(Client::new)
    }

    /// What the store declares.
    pub(crate) fn has(&self) -> &Capabilities {
        self.a.capabilities()
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// All namespaces that the case has used.
    pub(crate) fn namespaces(&self) -> Vec<Namespace> {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(&self.namespace).chain(others.iter()).cloned().collect()
    }

    /// Remarks in the report how the case was shown.
    pub(crate) fn note(&self, note: impl Into<String>) {
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = Some(note.into());
    }

    pub(crate) fn take_note(&self) -> Option<String> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// How many writes reached the backend, if the fixture counts them.
    pub(crate) async fn writes(&self) -> Result<Option<u64>> {
        match self.backend.write_counter() {
            Some(counter) => counter.writes(&self.namespace).await.map(Some),
            None => Ok(None),
        }
    }

    /// The present time as the store should see it.
    pub(crate) fn now(&self) -> Timestamp {
        SystemClock::default()
            .now()
            .after(*self.moved.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A lifetime or lease that the case lets pass: long where the clock can be moved, short
    /// where it takes real time.
    pub(crate) fn brief(&self) -> Duration {
        match self.backend.clock() {
            Some(_) => Duration::from_secs(60),
            None => Duration::from_millis(300),
        }
    }

    /// Lets `time` pass by the store's clock: moves it, or waits.
    pub(crate) async fn pass(&self, time: Duration) -> Outcome {
        let Some(clock) = self.backend.clock() else {
            tokio::time::sleep(time).await;
            return Ok(());
        };
        clock.advance(&self.namespace, time).await?;
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) += time;
        Ok(())
    }

    /// Lets a lease lapse that was granted for `lease`, beyond the time that the store may take
    /// to notice.
    pub(crate) async fn lapse(&self, lease: Duration) -> Outcome {
        self.pass(lease + self.has().takeover_time + Duration::from_millis(2)).await
    }

    /// Lets a record expire that was written to live for `ttl`, and waits until it is gone.
    pub(crate) async fn expire(&self, key: &Key, ttl: Duration) -> Outcome {
        if self.backend.clock().is_some() {
            self.pass(ttl + self.has().expiry_precision).await?;
            ensure!(self.a.get(key).await?.is_none(), "a record outlives its deadline");
            return Ok(());
        }
        self.gone(key, ttl).await
    }

    /// Checks that a server sees a payload, or none: at once, or within the staleness that the
    /// store declares.
    pub(crate) async fn sees(&self, server: &Client, key: &Key, payload: Option<&str>) -> Outcome {
        let payload = payload.map(str::as_bytes);
        let bound = self.has().staleness;
        let started = Instant::now();
        loop {
            let seen = server.get(key).await?.map(|record| record.payload);
            if seen.as_deref() == payload {
                return Ok(());
            }
            ensure!(
                !bound.is_zero() && started.elapsed() < bound + PATIENCE,
                "a server sees {seen:?} where {payload:?} was committed"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits in real time until a record is absent that was written to live for `ttl`.
    pub(crate) async fn gone(&self, key: &Key, ttl: Duration) -> Outcome {
        let has = self.has();
        let bound = ttl + has.expiry_precision + has.clock_skew + PATIENCE;
        let started = Instant::now();
        while self.a.get(key).await?.is_some() {
            ensure!(started.elapsed() < bound, "a record is still there {bound:?} after its write");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

/// A key that nobody has used.
pub(crate) fn new_key() -> Result<Key> {
    Ok(KeyHasher::plain().key(&SessionId::generate()?))
}

/// `count` keys that nobody has used.
pub(crate) fn new_keys(count: usize) -> Result<Vec<Key>> {
    (0..count).map(|_| new_key()).collect()
}

/// The key of an id.
pub(crate) fn key_of(id: &str) -> Result<Key> {
    Ok(KeyHasher::plain().key(&SessionId::parse(id)?))
}

/// A principal that no other case uses.
pub(crate) fn new_principal() -> Result<PrincipalDigest> {
    Ok(KeyHasher::plain().principal(SessionId::generate()?.expose()))
}

/// The duration of a lifetime that must not be endless.
#[track_caller]
pub(crate) fn finite(ttl: Ttl) -> Result<Duration, Failure> {
    ttl.duration().ok_or_else(|| Failure::new("a record has no expiry that should have one"))
}
