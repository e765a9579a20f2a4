//! The lock of a session: who waits, who is told, and what is left behind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use session_core::{
    ErrorKind, LockAbsent, LockedSession, MemoryStore, MergeRule, Operation, Result, SessionManager,
};
use support::{Between, SOON, Watched, lost, manager, set_id, stored};
use tokio::time::timeout;

const NOW: Duration = Duration::ZERO;

/// Long enough for what is about to be proven, and shorter than any lease and any commit timeout.
const PROMPTLY: Duration = Duration::from_secs(5);

#[tokio::test]
async fn more_saves_wait_for_a_holder_than_the_store_lets_wait_for_its_lock() {
    let manager = manager();
    let id = stored(&manager).await;
    let locked = manager.open(Some(id.clone())).lock(SOON).await.unwrap();
    let saves: Vec<_> = (0..100)
        .map(|n| {
            let session = manager.open(Some(id.clone()));
            tokio::spawn(async move {
                session.insert(&format!("item{n}"), n).await.unwrap();
                session.save().await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(20)).await;
    locked.commit().await.unwrap();
    for save in saves {
        save.await.unwrap().unwrap();
    }
    assert_eq!(manager.open(Some(id)).names().await.unwrap().len(), 101);
}

#[tokio::test]
async fn the_tasks_of_one_request_lock_one_after_the_other() {
    let manager = manager();
    let session = manager.open(Some(stored(&manager).await));
    let first = session.lock(SOON).await.unwrap();
    let other = session.clone();
    let second = tokio::spawn(async move { other.lock(SOON).await?.commit().await });
    tokio::task::yield_now().await;
    timeout(PROMPTLY, first.commit()).await.unwrap().unwrap();
    timeout(PROMPTLY, second).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_save_waits_for_the_lock_that_another_task_of_the_request_holds() {
    let manager = manager();
    let id = stored(&manager).await;
    let session = manager.open(Some(id.clone()));
    let mut locked = session.lock(SOON).await.unwrap();
    session.insert("beside", 1).await.unwrap();
    locked.insert("held", 2).unwrap();
    let other = session.clone();
    let save = tokio::spawn(async move { other.save().await });
    tokio::task::yield_now().await;
    timeout(PROMPTLY, locked.commit()).await.unwrap().unwrap();
    timeout(PROMPTLY, save).await.unwrap().unwrap().unwrap();
    let now = manager.open(Some(id));
    assert_eq!(now.get("beside").await.unwrap(), Some(1));
    assert_eq!(now.get("held").await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_handle_that_waits_for_itself_gives_up_in_time() {
    let manager = SessionManager::builder(MemoryStore::new())
        .commit_timeout(Duration::from_millis(20))
        .build()
        .unwrap();
    let id = stored(&manager).await;
    let session = manager.open(Some(id.clone()));
    let locked = session.lock(SOON).await.unwrap();
    session.insert("beside", 1).await.unwrap();
    assert_eq!(session.save().await.unwrap_err().kind(), ErrorKind::LockTimeout);
    let update = session.update(|data| data.insert("beside", 2)).await;
    assert_eq!(update.unwrap_err().kind(), ErrorKind::LockTimeout);
    assert_eq!(session.lock(NOW).await.unwrap_err().kind(), ErrorKind::LockTimeout);
    assert_eq!(session.cycle_id().await.unwrap_err().kind(), ErrorKind::LockTimeout);
    locked.commit().await.unwrap();
    session.save().await.unwrap();
    assert_eq!(manager.open(Some(id)).get("beside").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_session_that_is_locked_before_its_first_save_loses_nothing() {
    let manager = manager();
    let session = manager.open(None);
    let mut locked = session.lock(SOON).await.unwrap();
    locked.insert("held", 1).unwrap();
    session.insert("beside", 2).await.unwrap();
    let other = session.clone();
    let save = tokio::spawn(async move { other.save().await });
    tokio::task::yield_now().await;
    locked.commit().await.unwrap();
    save.await.unwrap().unwrap();
    let now = manager.open(Some(set_id(&session)));
    assert_eq!(now.get("held").await.unwrap(), Some(1));
    assert_eq!(now.get("beside").await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_commit_that_a_merge_rule_refuses_has_saved_nothing() {
    let manager = SessionManager::builder(MemoryStore::new())
        .merge_rule("user", MergeRule::Fail)
        .build()
        .unwrap();
    let id = stored(&manager).await;
    let session = manager.open(Some(id.clone()));
    let mut locked = session.lock(SOON).await.unwrap();
    locked.insert("user", "bob").unwrap();
    session.insert("user", "eve").await.unwrap();
    assert_eq!(locked.commit().await.unwrap_err().kind(), ErrorKind::Conflict);
    let next = manager.open(Some(id)).lock(SOON).await.unwrap();
    assert_eq!(next.get("user").unwrap(), Some("ada".to_owned()));
}

#[tokio::test]
async fn what_the_handle_takes_back_while_it_is_locked_is_gone() {
    let manager = manager();
    let id = stored(&manager).await;
    let session = manager.open(Some(id.clone()));
    session.insert("before", 1).await.unwrap();
    let mut locked = session.lock(SOON).await.unwrap();
    locked.insert("held", 1).unwrap();
    session.remove::<u8>("before").await.unwrap();
    locked.commit().await.unwrap();
    session.save().await.unwrap();
    assert!(!manager.open(Some(id)).contains("before").await.unwrap());
}

#[tokio::test]
async fn what_a_locked_session_takes_back_of_the_handles_changes_is_gone() {
    let manager = manager();
    let id = stored(&manager).await;
    let session = manager.open(Some(id.clone()));
    session.insert("before", 1).await.unwrap();
    let mut locked = session.lock(SOON).await.unwrap();
    locked.remove::<u8>("before").unwrap();
    locked.commit().await.unwrap();
    session.save().await.unwrap();
    assert!(!manager.open(Some(id)).contains("before").await.unwrap());
}

#[tokio::test]
async fn what_the_handle_changes_beside_an_unchanged_locked_session_is_kept() {
    let manager = manager();
    let id = stored(&manager).await;
    let session = manager.open(Some(id.clone()));
    let locked = session.lock(SOON).await.unwrap();
    session.insert("beside", 1).await.unwrap();
    locked.commit().await.unwrap();
    session.save().await.unwrap();
    assert_eq!(manager.open(Some(id)).get("beside").await.unwrap(), Some(1));
}

#[tokio::test]
async fn counts_made_before_beside_and_under_a_lock_add_up() {
    let manager = SessionManager::builder(MemoryStore::new())
        .merge_rule("n", MergeRule::Counter)
        .build()
        .unwrap();
    let id = stored(&manager).await;
    let session = manager.open(Some(id.clone()));
    session.insert("n", 1).await.unwrap();
    let mut locked = session.lock(SOON).await.unwrap();
    session.insert("n", 1 + 10).await.unwrap();
    locked.insert("n", 1 + 100).unwrap();
    locked.commit().await.unwrap();
    session.save().await.unwrap();
    assert_eq!(manager.open(Some(id)).get("n").await.unwrap(), Some(111));
}

/// The replies to the first calls of one kind are lost.
struct Deaf {
    call: Operation,
    replies_lost: AtomicUsize,
    releases: AtomicUsize,
}

impl Deaf {
    fn to(call: Operation, times: usize) -> Watched<Self> {
        let replies_lost = AtomicUsize::new(times);
        Watched::new(Self { call, replies_lost, releases: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Between for Deaf {
    async fn before(&self, call: Operation) -> Result<()> {
        self.releases.fetch_add(usize::from(call == Operation::Release), Ordering::SeqCst);
        Ok(())
    }

    async fn after(&self, call: Operation) -> Result<()> {
        let one_less = |left: usize| left.checked_sub(1);
        let is_lost = call == self.call
            && self.replies_lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok();
        if is_lost { Err(lost(call)) } else { Ok(()) }
    }
}

#[tokio::test]
async fn a_lock_whose_grant_was_not_heard_is_asked_for_again() {
    let manager = SessionManager::new(Deaf::to(Operation::Lock, 1)).unwrap();
    let id = stored(&manager).await;
    manager.open(Some(id)).lock(SOON).await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn a_lock_whose_grant_is_never_heard_is_given_back() {
    let store = Deaf::to(Operation::Lock, 100);
    let between = Arc::clone(&store.between);
    let quiet = SessionManager::new(store.store.clone()).unwrap();
    let manager = SessionManager::new(store).unwrap();
    let id = stored(&quiet).await;
    let error = manager.open(Some(id.clone())).lock(SOON).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let next = timeout(PROMPTLY, quiet.open(Some(id)).lock(SOON)).await.unwrap().unwrap();
    next.rollback().await.unwrap();
    assert_eq!(between.releases.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_log_out_whose_reply_was_lost_is_sent_again() {
    let manager = SessionManager::new(Deaf::to(Operation::Delete, 1)).unwrap();
    let id = stored(&manager).await;
    manager.open(Some(id.clone())).delete().await.unwrap();
    assert!(manager.open(Some(id)).facts().await.unwrap().is_none());
}

#[test]
fn a_lock_that_is_dropped_outside_of_the_runtime_is_free() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let manager = manager();
    let id = runtime.block_on(stored(&manager));
    let lock = || async { manager.open(Some(id.clone())).lock(SOON).await.unwrap() };
    drop(runtime.block_on(lock()));
    let again = runtime.block_on(async { timeout(PROMPTLY, lock()).await.unwrap() });
    // Nobody is left who could give it back; it must not hurt, though.
    drop(runtime);
    drop::<LockedSession>(again);
}

/// Renewals end in a panic.
struct Panicking;

#[async_trait]
impl Between for Panicking {
    async fn before(&self, call: Operation) -> Result<()> {
        assert!(call != Operation::Renew, "as the test wants it");
        Ok(())
    }
}

#[tokio::test]
async fn a_holder_is_told_when_nobody_renews_its_lock_any_more() {
    let store = Watched::new(Panicking);
    let lease = Duration::from_millis(30);
    let manager = SessionManager::builder(store).lock_lease(lease).build().unwrap();
    let locked = manager.open(Some(stored(&manager).await)).lock(SOON).await.unwrap();
    timeout(PROMPTLY, locked.lost()).await.unwrap();
    assert!(locked.is_lost());
}

/// After the first two, no lock can be had.
struct TwoLocksOnly(AtomicUsize);

#[async_trait]
impl Between for TwoLocksOnly {
    async fn before(&self, call: Operation) -> Result<()> {
        if call == Operation::Lock && self.0.fetch_add(1, Ordering::SeqCst) > 1 {
            return Err(session_core::Error::new(ErrorKind::Unavailable, "watched", call));
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_rotation_is_not_begun_when_the_lock_cannot_be_taken_along() {
    let store = Watched::new(TwoLocksOnly(AtomicUsize::new(0)));
    let store = store.declaring(|declared| declared.lock_absent = LockAbsent::NotHeld);
    let manager = SessionManager::new(store).unwrap();
    let id = stored(&manager).await;
    let session = manager.open(Some(id.clone()));
    let mut locked = session.lock(SOON).await.unwrap();
    locked.insert("held", 1).unwrap();
    assert_eq!(locked.cycle_id().await.unwrap_err().kind(), ErrorKind::Unavailable);
    locked.commit().await.unwrap();
    assert_eq!(manager.open(Some(id)).get("held").await.unwrap(), Some(1));
}
