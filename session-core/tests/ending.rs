//! The end of a session, whatever the handle knows of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::{sync::Arc, time::Duration};

use session_core::{ErrorKind, MemoryStore, OffsetClock, SessionId, SessionManager, SteadyClock};
use support::{set_id, stored};

/// A manager, and a clock of its that the test moves.
fn clocked() -> (SessionManager, Arc<OffsetClock>) {
    let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
    let store = MemoryStore::builder().clock(Arc::clone(&clock)).build();
    let manager = SessionManager::builder(store).clock(Arc::clone(&clock)).build().unwrap();
    (manager, clock)
}

async fn is_live(manager: &SessionManager, id: SessionId) -> bool {
    manager.open(Some(id)).facts().await.unwrap().is_some()
}

#[tokio::test]
async fn a_log_out_under_a_retired_id_reaches_the_session_also_when_the_handle_was_read_before() {
    let (manager, clock) = clocked();
    let old = stored(&manager).await;
    let session = manager.open(Some(old.clone()));
    session.login("ada").await.unwrap();
    clock.advance(Duration::from_secs(60));
    let out = manager.open(Some(old));
    assert_eq!(out.get::<String>("user").await.unwrap(), None);
    out.delete().await.unwrap();
    assert!(!is_live(&manager, set_id(&session)).await);
}

#[tokio::test]
async fn a_log_out_reaches_a_session_that_was_rotated_away_from_the_handle() {
    let (manager, _clock) = clocked();
    let old = stored(&manager).await;
    let out = manager.open(Some(old.clone()));
    out.insert("late", 1).await.unwrap();
    let session = manager.open(Some(old));
    session.login("ada").await.unwrap();
    assert_eq!(out.save().await.unwrap_err().kind(), ErrorKind::Conflict);
    out.delete().await.unwrap();
    assert!(!is_live(&manager, set_id(&session)).await);
}

#[tokio::test]
async fn a_log_out_ends_the_session_that_was_begun_since_the_first_one() {
    let (manager, _clock) = clocked();
    let session = manager.open(Some(stored(&manager).await));
    session.delete().await.unwrap();
    session.insert("again", 1).await.unwrap();
    session.save().await.unwrap();
    let id = set_id(&session);
    session.delete().await.unwrap();
    assert!(!is_live(&manager, id).await);
}
