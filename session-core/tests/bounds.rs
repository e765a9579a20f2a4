//! Durations at the ends of their range: none makes anything panic, wait for ever or spin.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::time::Duration;

use session_core::{
    ErrorKind, Key, KeyHasher, Lifetime, LockQueue, LockRequest, MemoryStore, OpToken, ReadOptions,
    SessionId, SessionManager, SessionStore, SweepBudget, Ttl, Write,
};
use support::{SOON, eventually, set_id, stored};
use tokio::time::timeout;

/// Nothing, next to nothing, about as much as there is, and all of it.
const EXTREMES: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_millis(1),
    Duration::from_millis(u64::MAX),
    Duration::from_secs(u64::MAX / 9),
    Duration::MAX,
];

fn op() -> OpToken {
    OpToken::generate().unwrap()
}

fn key() -> Key {
    KeyHasher::plain().key(&SessionId::generate().unwrap())
}

#[tokio::test]
async fn a_lock_may_be_waited_for_and_held_for_any_time() {
    for wait in EXTREMES {
        for lease in EXTREMES {
            let store = MemoryStore::new();
            let key = key();
            store.create(&key, Write::new("x", Ttl::NEVER), op(), None).await.unwrap();
            let locked = store.lock(&key, LockRequest::new(op(), lease, wait)).await.unwrap();
            let lease = locked.lease.unwrap();
            store.renew(&key, &lease, wait).await.unwrap();
            store.release(&key, &lease).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_waiter_of_any_patience_gets_the_lock_when_it_is_free() {
    let store = MemoryStore::new();
    let key = key();
    let held = LockRequest::new(op(), Duration::MAX, Duration::ZERO);
    let held = store.lock(&key, held).await.unwrap().lease.unwrap();
    let patient = LockRequest::new(op(), Duration::MAX, Duration::MAX);
    let waiting = tokio::spawn({
        let (store, key) = (store.clone(), key.clone());
        async move { store.lock(&key, patient).await }
    });
    tokio::task::yield_now().await;
    store.release(&key, &held).await.unwrap();
    timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn records_may_live_for_any_time() {
    for ttl in EXTREMES.map(Ttl::from).into_iter().chain([Ttl::NEVER]) {
        let store = MemoryStore::new();
        let key = key();
        store.create(&key, Write::new("x", ttl), op(), None).await.unwrap();
        let found = store.load(&key, ReadOptions::latest()).await.unwrap();
        assert!(found.is_some() || ttl <= Ttl::from(Duration::from_millis(1)));
        if let Some(record) = found {
            assert!(!record.remaining.is_zero());
            let touched = store.touch(&key, ttl, record.revision.incarnation(), op()).await;
            assert!(touched.is_ok() || ttl <= Ttl::from(Duration::from_millis(1)));
        }
    }
}

#[tokio::test]
async fn a_manager_takes_any_setting_or_says_that_it_does_not() {
    for one in EXTREMES {
        for other in EXTREMES {
            let built = SessionManager::builder(MemoryStore::new())
                .lifetime(Lifetime::new(one, Some(other)))
                .touch_after(other)
                .grace(one)
                .lock_lease(other)
                .max_hold(one)
                .commit_timeout(other)
                .read_staleness(one)
                .build();
            let manager = match built {
                Ok(manager) => manager,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Config);
                    continue;
                }
            };
            use_all_of(&manager, one).await;
        }
    }
}

/// Whatever the outcome: lifetimes may be too short for any of it.
async fn use_all_of(manager: &SessionManager, wait: Duration) {
    let session = manager.open(None);
    session.insert("user", "ada").await.unwrap();
    session.save().await.unwrap();
    let id = set_id(&session);
    let session = manager.open(Some(id.clone()));
    drop(session.get::<String>("user").await);
    drop(session.save().await);
    drop(session.update(|data| data.insert("n", 1)).await);
    drop(session.cycle_id().await);
    drop(session.set_idle_lifetime(wait).await);
    drop(session.facts().await);
    drop(session.save().await);
    if let Ok(locked) = session.lock(wait).await {
        tokio::task::yield_now().await;
        let _lost = locked.is_lost();
        drop(locked.commit().await);
    }
    drop(session.delete().await);
}

#[tokio::test]
async fn a_lease_without_an_end_is_not_lost() {
    let manager = SessionManager::builder(MemoryStore::new())
        .lock_lease(Duration::MAX)
        .max_hold(Duration::MAX)
        .build()
        .unwrap();
    let locked = manager.open(Some(stored(&manager).await)).lock(Duration::MAX).await.unwrap();
    assert!(timeout(Duration::from_millis(20), locked.lost()).await.is_err());
    assert!(!locked.is_lost());
}

#[tokio::test]
async fn a_sweep_without_time_gets_to_the_end_nevertheless() {
    let store = MemoryStore::new();
    for _ in 0..20 {
        store.create(&key(), Write::new("x", Duration::from_millis(1)), op(), None).await.unwrap();
    }
    let budget = SweepBudget::new(1_000, Duration::ZERO);
    let deleted = async || {
        let (mut deleted, mut cursor) = (0, None);
        loop {
            let report = store.sweep(cursor.as_ref(), budget).await.unwrap();
            deleted += report.deleted;
            cursor = report.next;
            if cursor.is_none() {
                return deleted;
            }
        }
    };
    let mut swept = 0;
    eventually(async || {
        swept += timeout(SOON, deleted()).await.unwrap();
        swept == 20
    })
    .await;
}

#[tokio::test]
async fn a_record_that_expired_under_a_lock_is_swept_once() {
    let store = MemoryStore::new();
    let key = key();
    store.create(&key, Write::new("x", Duration::from_millis(1)), op(), None).await.unwrap();
    let request = LockRequest::new(op(), SOON, SOON);
    let _lease = store.lock(&key, request).await.unwrap();
    eventually(async || store.load(&key, ReadOptions::latest()).await.unwrap().is_none()).await;
    let deleted = [
        store.sweep(None, SweepBudget::default()).await.unwrap().deleted,
        store.sweep(None, SweepBudget::default()).await.unwrap().deleted,
    ];
    assert_eq!(deleted, [1, 0]);
}

#[tokio::test]
async fn a_waiter_is_told_of_a_lease_that_was_cut_short() {
    let store = MemoryStore::new();
    let key = key();
    let held = LockRequest::new(op(), Duration::MAX, Duration::ZERO);
    let held = store.lock(&key, held).await.unwrap().lease.unwrap();
    let waiting = tokio::spawn({
        let (store, key) = (store.clone(), key.clone());
        async move { store.lock(&key, LockRequest::new(op(), SOON, Duration::MAX)).await }
    });
    tokio::task::yield_now().await;
    store.renew(&key, &held, Duration::from_millis(1)).await.unwrap();
    timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_queue_takes_any_deadline() {
    let queue = LockQueue::new(2);
    let key = *key().digest();
    for wait in EXTREMES {
        let turn = queue.enter(&key, session_core::instant_after(wait)).await.unwrap();
        turn.wait(Duration::ZERO).await;
    }
}
