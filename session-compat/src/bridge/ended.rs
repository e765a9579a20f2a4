//! Which sessions were ended a moment ago: a rotation of the id comes as two calls, and only what
//! its first call ended may be begun anew by its second.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use session_core::{Key, SessionSnapshot};
use tokio::{task, time::Instant};

/// The most that is remembered, and for how long.
const LIMIT: usize = 1_024;
const AGE: Duration = Duration::from_secs(300);

/// The latest deletions.
#[derive(Debug, Default)]
pub(crate) struct Ended(Mutex<VecDeque<Deletion>>);

#[derive(Debug)]
struct Deletion {
    key: Key,
    /// The task that asked for it. Frameworks run the middleware and the handler of a request in
    /// one task.
    task: Option<task::Id>,
    at: Instant,
    /// The session as it ended; nothing when it had been ended by somebody else.
    taken: Option<SessionSnapshot>,
}

impl Ended {
    /// Remembers a deletion by the present task.
    pub(crate) fn note(&self, key: Key, taken: Option<SessionSnapshot>) {
        let (now, mut all) = (Instant::now(), self.all());
        while all.len() >= LIMIT || all.front().is_some_and(|old| now - old.at > AGE) {
            all.pop_front();
        }
        all.push_back(Deletion { key, task: task::try_id(), at: now, taken });
    }

    /// The session that was under `key` as the present task ended it: once, and not if it was
    /// another request that ended it.
    pub(crate) fn claim(&self, key: &Key) -> Option<SessionSnapshot> {
        let (task, mut all) = (task::try_id(), self.all());
        let of_key = |deletion: &Deletion| deletion.key.digest() == key.digest();
        let own = all.iter().rposition(|each| of_key(each) && each.task == task);
        // A handler in a task of its own: then any deletion of the session may be its.
        let any = || all.iter().rposition(|each| of_key(each) && each.taken.is_some());
        let at = own.or_else(any)?;
        all.get_mut(at)?.taken.take()
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<Deletion>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use session_core::{CookieChange, MemoryStore, SessionManager};

    use super::*;

    async fn taken() -> SessionSnapshot {
        let manager = SessionManager::new(MemoryStore::new()).unwrap();
        let session = manager.open(None);
        session.insert("a", 1).await.unwrap();
        session.save().await.unwrap();
        let CookieChange::Set { id, .. } = session.cookie_change() else { unreachable!() };
        manager.open(Some(id)).take().await.unwrap().unwrap()
    }

    /// Does it in a task of its own.
    async fn elsewhere<R: Send + 'static>(
        ended: &Arc<Ended>,
        act: impl FnOnce(&Ended) -> R + Send + 'static,
    ) -> R {
        let ended = Arc::clone(ended);
        tokio::spawn(async move { act(&ended) }).await.unwrap()
    }

    #[tokio::test]
    async fn a_deletion_is_claimed_once() {
        let (ended, taken) = (Ended::default(), taken().await);
        let key = taken.key().clone();
        assert!(ended.claim(&key).is_none());
        ended.note(key.clone(), Some(taken));
        assert!(ended.claim(&key).is_some());
        assert!(ended.claim(&key).is_none());
    }

    #[tokio::test]
    async fn who_found_nothing_to_delete_claims_nothing() {
        let (ended, taken) = (Arc::new(Ended::default()), taken().await);
        let (key, late) = (taken.key().clone(), taken.key().clone());
        ended.note(key.clone(), Some(taken));
        let claimed = elsewhere(&ended, move |ended| {
            ended.note(late.clone(), None);
            ended.claim(&late).is_some()
        });
        assert!(!claimed.await, "another task ended it");
        assert!(ended.claim(&key).is_some(), "this one");
    }

    #[tokio::test]
    async fn a_task_that_deleted_nothing_claims_for_another() {
        let (ended, taken) = (Arc::new(Ended::default()), taken().await);
        let key = taken.key().clone();
        ended.note(key.clone(), Some(taken));
        assert!(elsewhere(&ended, move |ended| ended.claim(&key).is_some()).await);
    }

    #[tokio::test]
    async fn the_oldest_make_room() {
        let (ended, taken) = (Ended::default(), taken().await);
        let key = taken.key().clone();
        ended.note(key.clone(), Some(taken.clone()));
        let hasher = session_core::KeyHasher::plain();
        for _ in 0..LIMIT {
            ended.note(hasher.key(&session_core::SessionId::generate().unwrap()), None);
        }
        assert!(ended.claim(&key).is_none());
    }
}
