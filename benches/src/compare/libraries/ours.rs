//! Our session handle, over any of our stores.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use session::{Lifetime, Session, SessionManager, SessionStore, SweepBudget};
use session_core::{CookieChange, ErrorKind, SessionId, Sweeping};

use crate::{
    compare::library::{COUNT, Change, Kept, Library, Mode, Rotated, any_part, entries},
    measure::Result,
    setup::TTL,
};

/// How long a request waits for the lock.
const PATIENCE: Duration = Duration::from_secs(30);
const COMMIT: Duration = Duration::from_secs(30);

/// The handle over a store.
pub(crate) struct Ours {
    manager: SessionManager,
    /// Extends every time; the usual one does so after a tenth of the lifetime.
    eager: SessionManager,
    bytes: usize,
}

impl Ours {
    pub(crate) fn new(store: Arc<dyn SessionStore>, bytes: usize) -> Result<Self> {
        let manager = |touch_after| {
            let lifetime = Lifetime::new(TTL, None);
            let manager = SessionManager::builder(Arc::clone(&store)).lifetime(lifetime);
            let manager = manager.commit_timeout(COMMIT);
            match touch_after {
                Some(passed) => manager.touch_after(passed).build(),
                None => manager.build(),
            }
        };
        Ok(Self { manager: manager(None)?, eager: manager(Some(Duration::ZERO))?, bytes })
    }

    fn open(&self, id: &str) -> Result<Session> {
        Ok(self.manager.open(Some(SessionId::parse(id)?)))
    }

    async fn fill(&self, session: &Session) -> Result<String> {
        for (name, text) in entries(self.bytes) {
            session.insert(&name, text).await?;
        }
        session.insert(COUNT, 0).await?;
        session.save().await?;
        set_to(session).ok_or_else(|| "no cookie".into())
    }
}

/// What the response would set the cookie to.
fn set_to(session: &Session) -> Option<String> {
    match session.cookie_change() {
        CookieChange::Set { id, .. } => Some(id.expose().to_owned()),
        _ => None,
    }
}

#[async_trait]
impl Library for Ours {
    fn modes(&self) -> &'static [Mode] {
        &[Mode::Merge, Mode::Update, Mode::Exclusive, Mode::ReadOnly]
    }

    async fn create(&self) -> Result<String> {
        self.fill(&self.manager.open(None)).await
    }

    async fn read(&self, id: &str) -> Result<bool> {
        let session = self.open(id)?;
        let found = session.get::<String>(&any_part()).await?.is_some();
        session.save().await?;
        Ok(found)
    }

    async fn change(&self, id: &str, change: &Change, mode: Mode) -> Result<Option<String>> {
        let session = self.open(id)?;
        match mode {
            Mode::ReadOnly => {
                session.read_only().get::<u64>(COUNT).await?;
                change.work().await;
            }
            Mode::Update => {
                change.work().await;
                session
                    .update(|data| {
                        let count = data.get::<u64>(COUNT)?.unwrap_or_default();
                        data.insert(COUNT, count + 1)?;
                        data.insert(&change.entry, 1)
                    })
                    .await?;
            }
            Mode::Exclusive => {
                let mut locked = session.lock(PATIENCE).await?;
                let count = locked.get::<u64>(COUNT)?.unwrap_or_default();
                change.work().await;
                locked.insert(COUNT, count + 1)?;
                locked.insert(&change.entry, 1)?;
                locked.commit().await?;
            }
            Mode::Plain | Mode::Merge => {
                let count = session.get::<u64>(COUNT).await?.unwrap_or_default();
                change.work().await;
                session.insert(COUNT, count + 1).await?;
                session.insert(&change.entry, 1).await?;
                session.save().await?;
            }
        }
        Ok(set_to(&session))
    }

    async fn touch(&self, id: &str) -> Result<()> {
        let session = self.eager.open(Some(SessionId::parse(id)?));
        session.get::<String>(&any_part()).await?;
        Ok(session.save().await?)
    }

    async fn destroy(&self, id: &str) -> Result<()> {
        Ok(self.open(id)?.delete().await?)
    }

    async fn rotate(&self, id: &str) -> Result<Rotated> {
        let session = self.open(id)?;
        match session.cycle_id().await {
            Err(error) if error.kind() == ErrorKind::Conflict => return Ok(Rotated::Refused),
            cycled => cycled?,
        }
        session.save().await?;
        Ok(set_to(&session).map_or(Rotated::ByAnother, Rotated::To))
    }

    async fn kept(&self, id: &str) -> Result<Option<Kept>> {
        let session = self.open(id)?;
        let count = session.get::<u64>(COUNT).await?;
        let names = session.names().await?;
        Ok(Kept::of(count, names))
    }

    async fn create_for(&self, life: Duration) -> Result<Option<String>> {
        let session = self.manager.open(None);
        session.set_idle_lifetime(life).await?;
        self.fill(&session).await.map(Some)
    }

    async fn sweep(&self) -> Result<Option<u64>> {
        if self.manager.store().capabilities().sweeping == Sweeping::ByServer {
            return Ok(None);
        }
        let (mut cursor, mut deleted) = (None, 0);
        loop {
            let report =
                self.manager.store().sweep(cursor.as_ref(), SweepBudget::default()).await?;
            deleted += u64::try_from(report.deleted)?;
            cursor = report.next;
            if cursor.is_none() {
                return Ok(Some(deleted));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use session_core::{Key, MemoryStore, Operation, forward};
    use tokio::sync::Barrier;

    use super::*;

    /// A store whose first two reads end together.
    #[derive(Debug)]
    struct Together {
        inner: MemoryStore,
        reads: AtomicUsize,
        both: Barrier,
    }

    impl Together {
        async fn with_the_other<T: Send>(
            &self,
            _operation: Operation,
            _key: Option<&Key>,
            call: impl Future<Output = session_core::Result<T>> + Send,
        ) -> session_core::Result<T> {
            let outcome = call.await;
            if self.reads.fetch_add(1, Relaxed) < 2 {
                self.both.wait().await;
            }
            outcome
        }
    }

    #[async_trait]
    impl SessionStore for Together {
        forward!(self => self.inner, around with_the_other; load);
        forward!(self => self.inner; create save touch delete lock renew release sweep ping
            capabilities principal_index enumeration);
    }

    #[tokio::test]
    async fn who_was_overtaken_does_not_bring_back_the_id_that_was_presented() {
        let (inner, reads, both) = (MemoryStore::new(), AtomicUsize::new(0), Barrier::new(2));
        let library = Ours::new(Arc::new(Together { inner, reads, both }), 64).unwrap();
        let id = library.create().await.unwrap();
        let (one, other) = tokio::join!(library.rotate(&id), library.rotate(&id));
        let both = [one.unwrap(), other.unwrap()];
        assert!(both.contains(&Rotated::ByAnother), "{both:?}");
        let fresh = both.into_iter().find_map(|rotated| match rotated {
            Rotated::To(fresh) => Some(fresh),
            _ => None,
        });
        assert!(matches!(library.rotate(&fresh.unwrap()).await.unwrap(), Rotated::To(_)));
        assert_eq!(library.rotate(&id).await.unwrap(), Rotated::Refused);
    }
}
