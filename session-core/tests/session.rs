//! The handle on the memory store. What holds on every store is in the conformance suite; here is
//! what needs a look inside, or a store that misbehaves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::{sync::Arc, time::Duration};

use session_core::{
    CookieChange, ErrorKind, Lifetime, MemoryStore, MergeRule, OffsetClock, Session, SessionId,
    SessionManager, SteadyClock,
};

const SOON: Duration = Duration::from_secs(60);

fn manager() -> SessionManager {
    SessionManager::new(MemoryStore::new()).unwrap()
}

fn set_id(session: &Session) -> SessionId {
    match session.cookie_change() {
        CookieChange::Set { id, .. } => id,
        other => panic!("expected a new id, found {other:?}"),
    }
}

async fn stored(manager: &SessionManager) -> SessionId {
    let session = manager.open(None);
    session.insert("user", "ada").await.unwrap();
    session.save().await.unwrap();
    set_id(&session)
}

#[tokio::test]
async fn a_session_without_entries_is_not_stored() {
    let manager = manager();
    let session = manager.open(None);
    assert_eq!(session.get::<String>("user").await.unwrap(), None);
    session.save().await.unwrap();
    assert_eq!(session.cookie_change(), CookieChange::None);
    assert!(session.facts().await.unwrap().is_none());
}

#[tokio::test]
async fn an_unknown_id_is_never_adopted() {
    let manager = manager();
    let sent = SessionId::generate().unwrap();
    let session = manager.open(Some(sent.clone()));
    session.insert("user", "eve").await.unwrap();
    session.save().await.unwrap();
    assert_ne!(set_id(&session), sent);
    assert!(manager.open(Some(sent)).is_empty().await.unwrap());
}

#[tokio::test]
async fn entries_of_parallel_requests_all_survive() {
    let manager = manager();
    let id = stored(&manager).await;
    let requests: Vec<_> = (0..50).map(|_| manager.open(Some(id.clone()))).collect();
    for (n, session) in requests.iter().enumerate() {
        session.insert(&format!("item{n}"), n).await.unwrap();
    }
    let saves = requests.iter().map(|session| {
        let session = session.clone();
        tokio::spawn(async move { session.save().await })
    });
    for save in saves.collect::<Vec<_>>() {
        save.await.unwrap().unwrap();
    }
    assert_eq!(manager.open(Some(id)).names().await.unwrap().len(), 51);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_parallel_updates_count_to_a_thousand() {
    let manager = manager();
    let id = stored(&manager).await;
    let updates = (0..1_000).map(|_| {
        let session = manager.open(Some(id.clone()));
        tokio::spawn(async move {
            session
                .update(|data| {
                    let count = data.get::<u64>("count")?.unwrap_or_default() + 1;
                    data.insert("count", count)
                })
                .await
        })
    });
    for update in updates.collect::<Vec<_>>() {
        update.await.unwrap().unwrap();
    }
    assert_eq!(manager.open(Some(id)).get("count").await.unwrap(), Some(1_000));
}

#[tokio::test]
async fn a_session_ended_meanwhile_is_not_brought_back() {
    let manager = manager();
    let id = stored(&manager).await;
    let in_flight = manager.open(Some(id.clone()));
    in_flight.insert("late", true).await.unwrap();
    manager.open(Some(id.clone())).delete().await.unwrap();
    let error = in_flight.save().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(manager.open(Some(id)).is_empty().await.unwrap());
}

#[tokio::test]
async fn a_rotated_id_leads_to_the_session_during_its_grace_and_cannot_rotate_it() {
    let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
    let store = MemoryStore::builder().clock(Arc::clone(&clock)).build();
    let manager = SessionManager::builder(store).clock(Arc::clone(&clock)).build().unwrap();
    let old = stored(&manager).await;
    let session = manager.open(Some(old.clone()));
    session.cycle_id().await.unwrap();
    let new = set_id(&session);

    let late = manager.open(Some(old.clone()));
    late.insert("late", 1).await.unwrap();
    late.save().await.unwrap();
    assert_eq!(late.cookie_change(), CookieChange::None);
    assert_eq!(late.cycle_id().await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(manager.open(Some(new.clone())).get("late").await.unwrap(), Some(1));

    clock.advance(Duration::from_secs(31));
    assert!(manager.open(Some(old)).is_empty().await.unwrap());
    assert!(!manager.open(Some(new)).is_empty().await.unwrap());
}

#[tokio::test]
async fn after_a_log_in_the_old_id_holds_nothing_and_overwrites_no_cookie() {
    let manager = manager();
    let old = stored(&manager).await;
    let session = manager.open(Some(old.clone()));
    session.login("ada").await.unwrap();
    let new = set_id(&session);
    let stale = manager.open(Some(old));
    assert!(stale.is_empty().await.unwrap());
    stale.insert("cart", 1).await.unwrap();
    assert_eq!(stale.save().await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(stale.cookie_change(), CookieChange::None);
    let facts = manager.open(Some(new)).facts().await.unwrap().unwrap();
    assert!(facts.authenticated_at.is_some());
}

#[tokio::test]
async fn a_save_in_flight_follows_a_rotation() {
    let manager = manager();
    let old = stored(&manager).await;
    let in_flight = manager.open(Some(old.clone()));
    in_flight.insert("late", 1).await.unwrap();
    let rotating = manager.open(Some(old));
    rotating.cycle_id().await.unwrap();
    in_flight.save().await.unwrap();
    let session = manager.open(Some(set_id(&rotating)));
    assert_eq!(session.get("late").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_commit_waits_for_the_holder_and_keeps_his_entries() {
    let manager = manager();
    let id = stored(&manager).await;
    let holder = manager.open(Some(id.clone()));
    let mut locked = holder.lock(SOON).await.unwrap();
    locked.insert("held", 1).unwrap();
    let other = manager.open(Some(id.clone()));
    other.insert("other", 2).await.unwrap();
    let saving = tokio::spawn(async move { other.save().await });
    tokio::task::yield_now().await;
    locked.commit().await.unwrap();
    saving.await.unwrap().unwrap();
    let session = manager.open(Some(id));
    assert_eq!(session.get("held").await.unwrap(), Some(1));
    assert_eq!(session.get("other").await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_dropped_lock_gives_its_changes_up_and_is_free() {
    let manager = manager();
    let id = stored(&manager).await;
    let session = manager.open(Some(id.clone()));
    let mut locked = session.lock(SOON).await.unwrap();
    locked.insert("held", 1).unwrap();
    drop(locked);
    let next = manager.open(Some(id)).lock(SOON).await.unwrap();
    assert!(!next.contains("held"));
    session.save().await.unwrap();
    next.rollback().await.unwrap();
    assert_eq!(session.get::<u8>("held").await.unwrap(), None);
}

#[tokio::test]
async fn what_the_handle_changes_while_it_is_locked_is_kept_on_top() {
    let manager = manager();
    let id = stored(&manager).await;
    let session = manager.open(Some(id.clone()));
    session.insert("before", 1).await.unwrap();
    let mut locked = session.lock(SOON).await.unwrap();
    assert_eq!(locked.get("before").unwrap(), Some(1));
    locked.insert("before", 2).unwrap();
    session.insert("beside", 3).await.unwrap();
    locked.commit().await.unwrap();
    session.save().await.unwrap();
    let now = manager.open(Some(id));
    assert_eq!(now.get("before").await.unwrap(), Some(2));
    assert_eq!(now.get("beside").await.unwrap(), Some(3));
}

#[tokio::test]
async fn a_locked_session_keeps_its_lock_over_a_rotation() {
    let manager = manager();
    let id = stored(&manager).await;
    let session = manager.open(Some(id.clone()));
    let mut locked = session.lock(SOON).await.unwrap();
    locked.insert("n", 1).unwrap();
    locked.cycle_id().await.unwrap();
    let new = set_id(&session);
    let other = manager.open(Some(new.clone()));
    let refused = other.lock(Duration::ZERO).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LockTimeout);
    locked.insert("n", 2).unwrap();
    locked.commit().await.unwrap();
    assert_eq!(manager.open(Some(new)).get("n").await.unwrap(), Some(2));
    assert_eq!(manager.open(Some(id)).get("n").await.unwrap(), Some(2));
}

#[tokio::test]
async fn counters_with_a_rule_add_up() {
    let manager = SessionManager::builder(MemoryStore::new())
        .merge_rule("hits", MergeRule::Counter)
        .build()
        .unwrap();
    let id = stored(&manager).await;
    let requests: Vec<_> = (0..10).map(|_| manager.open(Some(id.clone()))).collect();
    for session in &requests {
        let hits: i64 = session.get("hits").await.unwrap().unwrap_or_default();
        session.insert("hits", hits + 1).await.unwrap();
    }
    for session in &requests {
        session.save().await.unwrap();
    }
    assert_eq!(manager.open(Some(id)).get("hits").await.unwrap(), Some(10));
}

#[tokio::test]
async fn an_idle_lifetime_of_its_own_is_stored_with_the_session() {
    let manager = manager();
    let id = stored(&manager).await;
    let session = manager.open(Some(id.clone()));
    session.set_idle_lifetime(Duration::from_secs(7_200)).await.unwrap();
    session.save().await.unwrap();
    let later = manager.open(Some(id.clone()));
    later.insert("x", 1).await.unwrap();
    later.save().await.unwrap();
    let facts = manager.open(Some(id)).facts().await.unwrap().unwrap();
    assert!(facts.remaining.duration().unwrap() > Duration::from_secs(7_000));
}

#[test]
fn an_idle_lifetime_beyond_the_absolute_one_is_refused() {
    let lifetime = Lifetime::new(Duration::from_secs(2), Some(Duration::from_secs(1)));
    let error = SessionManager::builder(MemoryStore::new()).lifetime(lifetime).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_log_out_under_a_retired_id_ends_what_it_became() {
    let manager = manager();
    let old = stored(&manager).await;
    let session = manager.open(Some(old.clone()));
    session.login("ada").await.unwrap();
    let new = set_id(&session);
    let out = manager.open(Some(old));
    out.delete().await.unwrap();
    assert_eq!(out.cookie_change(), CookieChange::Clear);
    assert!(manager.open(Some(new)).facts().await.unwrap().is_none());
}

#[tokio::test]
async fn a_log_out_waits_for_no_holder_and_his_commit_is_refused() {
    let manager = manager();
    let id = stored(&manager).await;
    let mut locked = manager.open(Some(id.clone())).lock(SOON).await.unwrap();
    locked.insert("late", 1).unwrap();
    manager.open(Some(id.clone())).delete().await.unwrap();
    assert_eq!(locked.commit().await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(manager.open(Some(id)).facts().await.unwrap().is_none());
}

#[tokio::test]
async fn a_log_in_of_a_new_session_is_stored_without_entries() {
    let manager = manager();
    let session = manager.open(None);
    session.login("ada").await.unwrap();
    session.save().await.unwrap();
    let again = manager.open(Some(set_id(&session)));
    assert!(again.facts().await.unwrap().unwrap().authenticated_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_renewed_while_it_is_held_and_not_beyond_the_maximum() {
    let manager =
        SessionManager::builder(MemoryStore::builder().clock(PausedClock::start()).build())
            .lock_lease(Duration::from_secs(3))
            .max_hold(Duration::from_secs(60))
            .build()
            .unwrap();
    let id = stored(&manager).await;
    let mut locked = manager.open(Some(id.clone())).lock(SOON).await.unwrap();
    locked.insert("late", 1).unwrap();
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!(!locked.is_lost());
    let refused = manager.open(Some(id.clone())).lock(Duration::ZERO).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LockTimeout);
    locked.lost().await;
    let next = manager.open(Some(id)).lock(SOON).await.unwrap();
    assert_eq!(locked.commit().await.unwrap_err().kind(), ErrorKind::LockLost);
    next.rollback().await.unwrap();
}

/// The store's clock under tokio's paused time.
#[derive(Debug)]
struct PausedClock(tokio::time::Instant);

impl PausedClock {
    fn start() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl session_core::Clock for PausedClock {
    fn now(&self) -> session_core::Timestamp {
        session_core::Timestamp::from_millis(1_000_000).after(self.0.elapsed())
    }
}
