//! Statements of the security checklist that are decided here, by their numbers
//! (`docs/security.md`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::{sync::Arc, time::Duration};

use session_core::{
    EpochCheck, ErrorKind, Expected, Format, Key, KeyHasher, Lifetime, LockRequest, MemoryStore,
    NativeFormat, OffsetClock, OpToken, PrincipalIndex, ReadOptions, SessionId, SessionManager,
    SessionStore, SteadyClock, Timestamp, Write,
};
use support::{SOON, manager, set_id, stored};

const MINUTE: Duration = Duration::from_secs(60);

fn key_of(id: &SessionId) -> Key {
    KeyHasher::plain().key(id)
}

fn op() -> OpToken {
    OpToken::generate().unwrap()
}

#[tokio::test]
async fn sec_08_ids_that_differ_in_case_are_different_sessions() {
    let store = MemoryStore::new();
    let [one, other] = ["AbC", "aBc"].map(|id| key_of(&SessionId::parse(id).unwrap()));
    store.create(&one, Write::new("x", SOON), op(), None).await.unwrap();
    assert!(store.load(&other, ReadOptions::latest()).await.unwrap().is_none());
    for twin in ["AbC ", "AbC\u{301}", "\u{ff21}bC"] {
        assert_eq!(SessionId::parse(twin).unwrap_err().kind(), ErrorKind::InvalidId);
    }
}

#[tokio::test]
async fn sec_13_rotations_keep_the_start_the_user_and_the_absolute_deadline() {
    let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
    let store = MemoryStore::builder().clock(Arc::clone(&clock)).build();
    let manager = SessionManager::builder(store).clock(Arc::clone(&clock)).build().unwrap();
    let session = manager.open(None);
    session.login("ada").await.unwrap();
    let first = session.facts().await.unwrap().unwrap();
    for _ in 0..2 {
        clock.advance(10 * MINUTE);
        session.cycle_id().await.unwrap();
    }
    let last = manager.open(Some(set_id(&session))).facts().await.unwrap().unwrap();
    assert_ne!(last.log_id, first.log_id);
    assert_eq!(last.created_at, first.created_at);
    assert_eq!(last.authenticated_at, first.authenticated_at);
    assert_eq!(last.absolute_deadline, first.absolute_deadline);
    let list = manager.sessions_of("ada").unwrap().list(9, None).await.unwrap();
    assert_eq!(list.len(), 1);
}

#[tokio::test]
async fn sec_16_an_absolute_deadline_ends_a_session_that_is_used_each_minute() {
    let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
    let store = MemoryStore::builder().clock(Arc::clone(&clock)).build();
    let builder = SessionManager::builder(store).clock(Arc::clone(&clock));
    let lifetime = Lifetime::new(5 * MINUTE, Some(20 * MINUTE));
    let manager = builder.lifetime(lifetime).renew_id_after(3 * MINUTE).build().unwrap();
    let mut id = stored(&manager).await;
    for minute in 1..=20 {
        clock.advance(MINUTE);
        let session = manager.open(Some(id.clone()));
        let is_live = session.facts().await.unwrap().is_some();
        assert_eq!(is_live, minute < 20, "after {minute} minutes");
        session.save().await.unwrap();
        if let session_core::CookieChange::Set { id: new, .. } = session.cookie_change() {
            id = new;
        }
    }
}

#[tokio::test]
async fn sec_21_a_revoked_session_is_refused_even_where_it_is_still_stored() {
    let store = MemoryStore::new();
    let builder = SessionManager::builder(store.clone());
    let manager = builder.epoch_check(EpochCheck::EachLoad).build().unwrap();
    let session = manager.open(None);
    session.login("ada").await.unwrap();
    store.bump_epoch(&KeyHasher::plain().principal("ada")).await.unwrap();
    let again = manager.open(Some(set_id(&session)));
    assert!(again.facts().await.unwrap().is_none());
    assert!(manager.sessions_of("ada").unwrap().list(9, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn sec_41_what_cannot_be_decoded_is_an_error_and_never_read_another_way() {
    let store = MemoryStore::new();
    let manager = SessionManager::new(store.clone()).unwrap();
    let id = stored(&manager).await;
    let key = key_of(&id);
    let right = store.load(&key, ReadOptions::latest()).await.unwrap().unwrap().payload;
    let forged = [
        br#"{"user":"admin"}"#.to_vec(),
        b"user|s:5:\"admin\";".to_vec(),
        b"\x81\xA4user\xA5admin".to_vec(),
        Vec::new(),
        right[..right.len() - 1].to_vec(),
    ];
    for payload in forged {
        let write = Write::new(payload.clone(), SOON);
        store.save(&key, write, Expected::Any, op()).await.unwrap();
        let session = manager.open(Some(id.clone()));
        let error = session.get::<String>("user").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(session.insert("user", "ada").await.unwrap_err().kind(), ErrorKind::Corrupt);
        session.save().await.unwrap();
        let record = store.load(&key, ReadOptions::latest()).await.unwrap().unwrap();
        assert_eq!(record.payload, payload, "it stays for inspection");
    }
}

#[test]
fn sec_43_the_codec_is_named_by_the_payload_and_guessed_by_nobody() {
    let format = NativeFormat::default();
    let document = format.new_document(Timestamp::from_millis(1));
    let payload = format.encode(&document).unwrap();
    for codec in [0, 4, 255] {
        let mut other = payload.to_vec();
        other[5] = codec;
        assert_eq!(format.decode(&other.into()).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn sec_48_a_payload_beyond_the_limit_is_refused_and_the_old_one_stands() {
    let store = MemoryStore::builder().max_payload(100).build();
    let key = key_of(&SessionId::generate().unwrap());
    let write = |size: usize| Write::new(vec![7; size], SOON);
    let error = store.create(&key, write(101), op(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let revision = store.create(&key, write(100), op(), None).await.unwrap();
    let expected = Expected::Revision(revision);
    let error = store.save(&key, write(101), expected, op()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let record = store.load(&key, ReadOptions::latest()).await.unwrap().unwrap();
    assert_eq!(record.payload.len(), 100);
}

#[tokio::test]
async fn sec_49_one_waiter_too_many_fails_at_once() {
    let store = MemoryStore::builder().max_waiters(3).build();
    let manager = SessionManager::new(store.clone()).unwrap();
    let id = stored(&manager).await;
    let held = manager.open(Some(id.clone())).lock(SOON).await.unwrap();
    let key = key_of(&id);
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let (store, key) = (store.clone(), key.clone());
        waiting.push(tokio::spawn(async move {
            store.lock(&key, LockRequest::new(op(), SOON, SOON)).await
        }));
        tokio::task::yield_now().await;
    }
    let error = store.lock(&key, LockRequest::new(op(), SOON, SOON)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyWaiters);
    waiting.iter().for_each(|waiter| waiter.abort());
    held.rollback().await.unwrap();
}

#[tokio::test]
async fn sec_24_an_unknown_id_and_a_log_out_without_a_session_write_nothing() {
    let manager = manager();
    let session = manager.open(Some(SessionId::generate().unwrap()));
    session.names().await.unwrap();
    session.delete().await.unwrap();
    session.save().await.unwrap();
    let store = manager.store();
    let page = store.enumeration().unwrap().keys(None, 9).await.unwrap();
    assert!(page.keys.is_empty());
}
