//! Handles that go on from what another one knew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::time::Duration;

use session_core::{
    ErrorKind, IdForm, MemoryStore, PrincipalDigest, Session, SessionId, SessionManager,
    SessionSnapshot,
};
use support::{set_id, stored};

fn manager() -> SessionManager {
    SessionManager::new(MemoryStore::new()).unwrap()
}

async fn seen(manager: &SessionManager, id: &SessionId) -> SessionSnapshot {
    manager.open(Some(id.clone())).snapshot().await.unwrap().unwrap()
}

/// As a snapshot travels in a framework's session.
fn travelled(manager: &SessionManager, snapshot: &SessionSnapshot) -> SessionSnapshot {
    manager.snapshot_from_bytes(snapshot.to_bytes().unwrap()).unwrap()
}

async fn value(session: &Session, name: &str) -> Option<String> {
    session.get(name).await.unwrap()
}

#[tokio::test]
async fn a_resumed_handle_merges_onto_what_was_saved_meanwhile() {
    let manager = manager();
    let id = stored(&manager).await;
    let snapshot = travelled(&manager, &seen(&manager, &id).await);
    let other = manager.open(Some(id.clone()));
    other.insert("other", "1").await.unwrap();
    other.save().await.unwrap();
    let resumed = manager.resume(snapshot);
    assert_eq!(value(&resumed, "other").await, None, "it is as it was");
    resumed.insert("mine", "1").await.unwrap();
    resumed.save().await.unwrap();
    let after = manager.open(Some(id));
    for name in ["other", "mine"] {
        assert_eq!(value(&after, name).await.as_deref(), Some("1"), "{name}");
    }
}

#[tokio::test]
async fn a_resumed_handle_does_not_bring_a_session_back() {
    let manager = manager();
    let id = stored(&manager).await;
    let snapshot = seen(&manager, &id).await;
    manager.open(Some(id.clone())).delete().await.unwrap();
    let resumed = manager.resume(snapshot);
    resumed.save().await.unwrap();
    resumed.insert("a", 1).await.unwrap();
    assert_eq!(resumed.save().await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(manager.open(Some(id)).snapshot().await.unwrap().is_none());
}

#[tokio::test]
async fn all_that_is_known_travels() {
    let manager = manager();
    let id = stored(&manager).await;
    let session = manager.open(Some(id));
    session.login("ada").await.unwrap();
    let id = set_id(&session);
    let before = manager.open(Some(id.clone())).facts().await.unwrap().unwrap();
    let resumed = manager.resume(travelled(&manager, &seen(&manager, &id).await));
    resumed.insert("a", 1).await.unwrap();
    resumed.save().await.unwrap();
    let after = manager.open(Some(id.clone())).facts().await.unwrap().unwrap();
    assert_eq!(after.absolute_deadline, before.absolute_deadline);
    assert_eq!(after.authenticated_at, before.authenticated_at);
    let principal: PrincipalDigest = manager.key_hasher().principal("ada");
    let key = manager.key_hasher().key(&id);
    let record = manager.store().load(&key, Default::default()).await.unwrap().unwrap();
    assert_eq!(record.meta.principal, Some(principal));
}

#[tokio::test]
async fn bytes_that_are_no_snapshot_are_refused() {
    let manager = manager();
    let id = stored(&manager).await;
    let bytes = seen(&manager, &id).await.to_bytes().unwrap();
    for length in 0..bytes.len() {
        let cut = manager.snapshot_from_bytes(bytes[..length].to_vec());
        assert_eq!(cut.unwrap_err().kind(), ErrorKind::Corrupt, "{length} bytes");
    }
}

#[tokio::test]
async fn what_is_taken_goes_on_once_it_is_reissued() {
    let manager = manager();
    let id = stored(&manager).await;
    let snapshot = seen(&manager, &id).await;
    let other = manager.open(Some(id.clone()));
    other.insert("other", "1").await.unwrap();
    other.save().await.unwrap();
    let taken = manager.open(Some(id.clone())).take().await.unwrap().unwrap();
    assert!(manager.open(Some(id.clone())).take().await.unwrap().is_none(), "there was one");

    let session = manager.resume(snapshot);
    session.insert("mine", "1").await.unwrap();
    session.reissue(taken).await.unwrap();
    session.save().await.unwrap();
    assert_ne!(set_id(&session), id);
    let after = manager.open(Some(set_id(&session)));
    for name in ["other", "mine"] {
        assert_eq!(value(&after, name).await.as_deref(), Some("1"), "{name}");
    }
    assert!(manager.open(Some(id)).snapshot().await.unwrap().is_none());
}

#[tokio::test]
async fn a_life_holds_for_the_save_and_an_earlier_end_is_a_change() {
    let manager = manager();
    let id = stored(&manager).await;
    let hour = Duration::from_secs(3_600);
    let left = async || seen(&manager, &id).await.remaining().duration().unwrap();
    let session = manager.open(Some(id.clone()));
    for (life, shown) in [(hour * 2, hour * 2), (hour, hour), (hour * 3, hour * 3)] {
        session.keep_for(life).await.unwrap();
        session.save().await.unwrap();
        let left = left().await;
        assert!(left <= shown && left + hour / 2 > shown, "{left:?} instead of {shown:?}");
    }
    let other = manager.open(Some(id.clone()));
    other.insert("a", 1).await.unwrap();
    other.save().await.unwrap();
    assert!(left().await <= hour / 2, "nothing of it is stored");
}

#[tokio::test]
async fn a_session_that_is_to_be_kept_is_stored_without_entries() {
    let manager = manager();
    let session = manager.open(None);
    session.keep_for(Duration::from_secs(60)).await.unwrap();
    session.save().await.unwrap();
    assert!(manager.open(Some(set_id(&session))).snapshot().await.unwrap().is_some());
}

#[tokio::test]
async fn short_ids_are_given_to_new_sessions_and_by_rotations() {
    let manager = SessionManager::builder(MemoryStore::new()).id_form(IdForm::Short);
    let manager = manager.build().unwrap();
    let id = stored(&manager).await;
    let session = manager.open(Some(id.clone()));
    session.cycle_id().await.unwrap();
    assert_eq!((id.expose().len(), set_id(&session).expose().len()), (22, 22));
    assert_ne!(id, set_id(&session));
}
