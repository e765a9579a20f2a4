//! A session's life: how long it is, and what is told of it.

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
    ErrorKind, Expected, Lifetime, MemoryStore, OffsetClock, OpToken, Operation, Result, SessionId,
    SessionManager, SessionStore, SteadyClock,
};
use support::{Between, Log, SOON, Watched, set_id, stored};

const MINUTE: Duration = Duration::from_secs(60);

struct World {
    manager: SessionManager,
    store: MemoryStore,
    clock: Arc<OffsetClock>,
}

fn world(lifetime: Lifetime) -> World {
    let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
    let store = MemoryStore::builder().clock(Arc::clone(&clock)).build();
    let builder = SessionManager::builder(store.clone()).clock(Arc::clone(&clock));
    World { manager: builder.lifetime(lifetime).build().unwrap(), store, clock }
}

impl World {
    /// A request that reads the session, if it is still there.
    async fn is_seen(&self, id: &SessionId) -> bool {
        let session = self.manager.open(Some(id.clone()));
        let is_seen = session.contains("user").await.unwrap();
        session.save().await.unwrap();
        is_seen
    }
}

#[tokio::test]
async fn a_session_with_a_short_life_of_its_own_lives_on_while_it_is_used() {
    let world = world(Lifetime::new(60 * MINUTE, None));
    let session = world.manager.open(None);
    session.insert("user", "ada").await.unwrap();
    session.set_idle_lifetime(2 * MINUTE).await.unwrap();
    session.save().await.unwrap();
    let id = set_id(&session);
    for _ in 0..10 {
        world.clock.advance(MINUTE);
        assert!(world.is_seen(&id).await);
    }
    world.clock.advance(2 * MINUTE);
    assert!(!world.is_seen(&id).await);
}

#[tokio::test]
async fn use_extends_a_session_up_to_its_absolute_end_and_no_further() {
    let world = world(Lifetime::new(2 * MINUTE, Some(5 * MINUTE)));
    let id = stored(&world.manager).await;
    for _ in 0..4 {
        world.clock.advance(MINUTE);
        assert!(world.is_seen(&id).await);
    }
    world.clock.advance(MINUTE);
    assert!(!world.is_seen(&id).await);
}

/// Counts the writes of a store.
#[derive(Default)]
struct Touches(AtomicUsize);

#[async_trait]
impl Between for Touches {
    async fn before(&self, call: Operation) -> Result<()> {
        self.0.fetch_add(usize::from(call == Operation::Touch), Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn what_cannot_live_longer_is_not_touched() {
    let store = Watched::new(Touches::default());
    let touches = Arc::clone(&store.between);
    let manager = SessionManager::new(store).unwrap();
    let session = manager.open(None);
    session.insert("user", "ada").await.unwrap();
    session.set_idle_lifetime(Duration::MAX).await.unwrap();
    session.save().await.unwrap();
    for _ in 0..10 {
        let again = manager.open(Some(set_id(&session)));
        assert!(again.contains("user").await.unwrap());
        again.save().await.unwrap();
    }
    assert_eq!(touches.0.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn who_wants_to_extend_at_each_request_does_so_whatever_the_store_rounds_to() {
    let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
    clock.advance(MINUTE);
    let store =
        Watched::over(MemoryStore::builder().clock(Arc::clone(&clock)).build(), Touches::default());
    let touches = Arc::clone(&store.between);
    let manager = SessionManager::builder(store).touch_after(Duration::ZERO).build().unwrap();
    let id = stored(&manager).await;
    clock.step_back(Duration::from_secs(1));
    let session = manager.open(Some(id));
    assert!(session.contains("user").await.unwrap());
    session.save().await.unwrap();
    assert_eq!(touches.0.load(Ordering::SeqCst), 1);
}

/// The names of the events that are traced while something is done.
async fn events(work: impl Future<Output = ()>) -> Vec<String> {
    let text = Log::of(work).await;
    let names = text.split("event=").skip(1).filter_map(|rest| rest.split('"').nth(1));
    names.map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn each_turn_in_a_life_is_told_once() {
    let World { manager, clock, .. } = &world(Lifetime::aal2());
    let session = &manager.open(None);
    let made = events(async {
        session.insert("user", "ada").await.unwrap();
        session.save().await.unwrap();
    });
    assert_eq!(made.await, ["created"]);
    let id = set_id(session);
    let used = events(async {
        let session = manager.open(Some(id.clone()));
        session.update(|data| data.insert("n", 1)).await.unwrap();
        session.lock(SOON).await.unwrap().commit().await.unwrap();
        session.save().await.unwrap();
    });
    assert!(used.await.is_empty());
    let other = &manager.open(Some(id.clone()));
    let login = events(async { other.login("ada").await.unwrap() });
    assert_eq!(login.await, ["rotated", "authenticated"]);
    clock.advance(MINUTE);
    let stale = manager.open(Some(id.clone()));
    assert_eq!(events(async { drop(stale.names().await) }).await, ["retired_id_used"]);
    let late = manager.open(Some(set_id(other)));
    late.insert("late", 1).await.unwrap();
    assert_eq!(events(async { other.delete().await.unwrap() }).await, ["destroyed"]);
    assert_eq!(events(async { drop(late.save().await) }).await, ["gone"]);
    let unknown = manager.open(Some(SessionId::generate().unwrap()));
    assert_eq!(events(async { drop(unknown.names().await) }).await, ["unknown"]);
}

#[tokio::test]
async fn who_logs_in_before_the_first_save_is_told_of_too() {
    let World { manager, .. } = &world(Lifetime::aal2());
    let session = manager.open(None);
    let made = events(async {
        session.login("ada").await.unwrap();
        session.save().await.unwrap();
    });
    assert_eq!(made.await, ["created", "authenticated"]);
    let again = events(async {
        session.insert("n", 1).await.unwrap();
        session.save().await.unwrap();
    });
    assert!(again.await.is_empty());
}

#[tokio::test]
async fn a_lock_that_was_lost_is_told_of_once() {
    let World { manager, store, .. } = &world(Lifetime::aal2());
    let id = stored(manager).await;
    let mut locked = manager.open(Some(id.clone())).lock(SOON).await.unwrap();
    locked.insert("late", 1).unwrap();
    let page = store.enumeration().unwrap().keys(None, 9).await.unwrap();
    let key = page.keys.first().unwrap();
    let record = store.load(key, Default::default()).await.unwrap().unwrap();
    let write = session_core::Write::new(record.payload, SOON);
    store.save(key, write, Expected::Any, OpToken::generate().unwrap()).await.unwrap();
    let lost = events(async {
        assert_eq!(locked.commit().await.unwrap_err().kind(), ErrorKind::LockLost);
    });
    assert_eq!(lost.await, ["lock_lost"]);
}
