//! Others get in between: what the handle does when somebody else's calls come between its own, at
//! the worst moment.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use session_core::{
    CookieChange, ErrorKind, LockedSession, Operation, Result, SessionId, SessionManager,
};
use support::{Between, SOON, Watched, set_id, stored};
use tokio::sync::Mutex;

/// Before each call of one kind, another server saves the session.
struct Busy {
    at: Operation,
    other: OnceLock<(SessionManager, SessionId)>,
}

#[async_trait]
impl Between for Busy {
    async fn before(&self, call: Operation) -> Result<()> {
        let Some((manager, id)) = self.other.get().filter(|_| call == self.at) else {
            return Ok(());
        };
        let session = manager.open(Some(id.clone()));
        session.insert("busy", fastrand::u64(..)).await?;
        match session.save().await {
            // It is the turn of somebody who holds the lock.
            Err(error) if error.kind() != ErrorKind::LockHeld => Err(error),
            _ => Ok(()),
        }
    }
}

/// A manager whose store is disturbed before calls of one kind, and the id of a session in it.
async fn disturbed(at: Operation) -> (SessionManager, SessionId) {
    let store = Watched::new(Busy { at, other: OnceLock::new() });
    let between = Arc::clone(&store.between);
    let other = SessionManager::builder(store.store.clone()).commit_timeout(Duration::ZERO);
    let other = other.build().unwrap();
    let id = stored(&other).await;
    assert!(between.other.set((other, id.clone())).is_ok());
    (SessionManager::new(store).unwrap(), id)
}

#[tokio::test]
async fn a_log_out_ends_a_session_that_others_save_all_the_time() {
    let (manager, id) = disturbed(Operation::Delete).await;
    manager.open(Some(id.clone())).delete().await.unwrap();
    assert!(manager.open(Some(id)).facts().await.unwrap().is_none());
}

#[tokio::test]
async fn a_rotation_gets_its_turn_although_others_save_all_the_time() {
    let (manager, id) = disturbed(Operation::Create).await;
    let session = manager.open(Some(id.clone()));
    session.cycle_id().await.unwrap();
    assert!(manager.open(Some(set_id(&session))).contains("user").await.unwrap());
}

#[tokio::test]
async fn a_save_gets_its_turn_although_others_save_all_the_time() {
    let (manager, id) = disturbed(Operation::Save).await;
    let session = manager.open(Some(id.clone()));
    session.insert("mine", 1).await.unwrap();
    session.save().await.unwrap();
    assert_eq!(manager.open(Some(id)).get("mine").await.unwrap(), Some(1));
}

/// Before the `nth` deletion, the holder of the lock rotates the id.
struct Rotating {
    nth: AtomicUsize,
    holder: Mutex<Option<LockedSession>>,
}

#[async_trait]
impl Between for Rotating {
    async fn before(&self, call: Operation) -> Result<()> {
        if call == Operation::Delete
            && self.nth.fetch_sub(1, Ordering::SeqCst) == 0
            && let Some(mut locked) = self.holder.lock().await.take()
        {
            locked.cycle_id().await?;
            locked.rollback().await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_log_out_ends_a_session_that_its_holder_rotates_just_then() {
    for nth in 0..2 {
        let between = Rotating { nth: AtomicUsize::new(nth), holder: Mutex::default() };
        let store = Watched::new(between);
        let between = Arc::clone(&store.between);
        let quiet = SessionManager::new(store.store.clone()).unwrap();
        let id = stored(&quiet).await;
        let holder = quiet.open(Some(id.clone()));
        *between.holder.lock().await = Some(holder.lock(SOON).await.unwrap());
        SessionManager::new(store).unwrap().open(Some(id)).delete().await.unwrap();
        if let CookieChange::Set { id, .. } = holder.cookie_change() {
            assert!(quiet.open(Some(id)).facts().await.unwrap().is_none());
        }
    }
}
