//! The renewal timeout: ids that grow old are replaced by themselves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use session_core::{
    CookieChange, MemoryStore, OffsetClock, Operation, Result, SessionManager, SteadyClock,
};
use support::{Between, SOON, Watched, set_id, stored};

const MINUTE: Duration = Duration::from_secs(60);

/// What was asked of the store.
#[derive(Default)]
struct Calls(Mutex<Vec<Operation>>);

#[async_trait]
impl Between for Calls {
    async fn before(&self, call: Operation) -> Result<()> {
        self.0.lock().unwrap().push(call);
        Ok(())
    }
}

struct World {
    manager: SessionManager,
    clock: Arc<OffsetClock>,
    calls: Arc<Calls>,
}

impl World {
    fn renewing_after(age: Option<Duration>) -> Self {
        let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
        let store = MemoryStore::builder().clock(Arc::clone(&clock)).build();
        let store = Watched::over(store, Calls::default());
        let calls = Arc::clone(&store.between);
        let builder = SessionManager::builder(store).clock(Arc::clone(&clock));
        let builder = match age {
            Some(age) => builder.renew_id_after(age),
            None => builder,
        };
        Self { manager: builder.build().unwrap(), clock, calls }
    }

    fn calls(&self) -> Vec<Operation> {
        std::mem::take(&mut *self.calls.0.lock().unwrap())
    }
}

#[tokio::test]
async fn sec_14_an_old_id_is_renewed_at_the_end_of_a_request_and_not_before_it_is_due() {
    let world = World::renewing_after(Some(10 * MINUTE));
    let mut id = stored(&world.manager).await;
    for _ in 0..3 {
        world.clock.advance(9 * MINUTE);
        let early = world.manager.open(Some(id.clone()));
        early.insert("n", world.clock_now()).await.unwrap();
        early.save().await.unwrap();
        assert!(!matches!(early.cookie_change(), CookieChange::Set { .. }));
        world.clock.advance(2 * MINUTE);
        let due = world.manager.open(Some(id.clone()));
        due.insert("last", 1).await.unwrap();
        due.save().await.unwrap();
        let new = set_id(&due);
        assert_ne!(new, id);
        let old = world.manager.open(Some(id));
        assert_eq!(old.get("last").await.unwrap(), Some(1));
        assert_eq!(old.cookie_change(), CookieChange::None);
        id = new;
    }
    assert_eq!(world.manager.open(Some(id)).get("last").await.unwrap(), Some(1));
}

impl World {
    fn clock_now(&self) -> u64 {
        session_core::Clock::now(&self.clock).as_millis()
    }
}

#[tokio::test]
async fn what_is_not_due_costs_nothing_and_what_is_due_one_write_more() {
    for (age, due) in [(None, false), (Some(60 * MINUTE), false), (Some(MINUTE), true)] {
        let world = World::renewing_after(age);
        let id = stored(&world.manager).await;
        world.clock.advance(2 * MINUTE);
        world.calls();
        let session = world.manager.open(Some(id));
        session.insert("n", 1).await.unwrap();
        session.save().await.unwrap();
        let renewed = [Operation::Load, Operation::Create, Operation::Save];
        let saved = [Operation::Load, Operation::Save];
        assert_eq!(world.calls(), if due { &renewed[..] } else { &saved[..] });
        world.manager.open(None).save().await.unwrap();
        assert!(world.calls().is_empty());
    }
}

#[tokio::test]
async fn requests_that_only_look_renew_nothing() {
    let world = World::renewing_after(Some(MINUTE));
    let id = stored(&world.manager).await;
    world.clock.advance(2 * MINUTE);
    world.calls();
    let untouched = world.manager.open(Some(id.clone()));
    untouched.save().await.unwrap();
    assert!(world.calls().is_empty());
    let looking = world.manager.open(Some(id));
    looking.read_only().names().await.unwrap();
    looking.save().await.unwrap();
    assert_eq!(world.calls(), [Operation::Load]);
}

#[tokio::test]
async fn sec_14_parallel_requests_with_the_old_id_both_succeed_and_end_on_the_same_new_one() {
    let world = World::renewing_after(Some(MINUTE));
    let old = stored(&world.manager).await;
    world.clock.advance(2 * MINUTE);
    let sessions = [0, 1].map(|_| world.manager.open(Some(old.clone())));
    for (n, session) in sessions.iter().enumerate() {
        session.insert(&format!("n{n}"), n).await.unwrap();
    }
    let saved = tokio::join!(sessions[0].save(), sessions[1].save());
    saved.0.unwrap();
    saved.1.unwrap();
    let new: Vec<_> = sessions
        .iter()
        .filter_map(|session| match session.cookie_change() {
            CookieChange::Set { id, .. } => Some(id),
            _ => None,
        })
        .collect();
    assert_eq!(new.len(), 1);
    for id in [&new[0], &old] {
        let session = world.manager.open(Some(id.clone()));
        assert_eq!(session.get("n0").await.unwrap(), Some(0));
        assert_eq!(session.get("n1").await.unwrap(), Some(1));
        session.save().await.unwrap();
        assert!(!matches!(session.cookie_change(), CookieChange::Set { .. }));
    }
}

#[tokio::test]
async fn a_session_that_somebody_has_locked_keeps_its_id_until_it_is_free() {
    let world = World::renewing_after(Some(MINUTE));
    let id = stored(&world.manager).await;
    world.clock.advance(2 * MINUTE);
    let locked = world.manager.open(Some(id.clone())).lock(SOON).await.unwrap();
    let reading = world.manager.open(Some(id.clone()));
    reading.names().await.unwrap();
    reading.save().await.unwrap();
    assert!(!matches!(reading.cookie_change(), CookieChange::Set { .. }));
    locked.rollback().await.unwrap();
    let next = world.manager.open(Some(id.clone()));
    next.names().await.unwrap();
    next.save().await.unwrap();
    assert_ne!(set_id(&next), id);
}

#[tokio::test]
async fn a_holder_renews_the_id_after_his_commit() {
    let world = World::renewing_after(Some(MINUTE));
    let id = stored(&world.manager).await;
    world.clock.advance(2 * MINUTE);
    let session = world.manager.open(Some(id.clone()));
    let mut locked = session.lock(SOON).await.unwrap();
    locked.insert("held", 1).unwrap();
    session.save().await.unwrap();
    locked.commit().await.unwrap();
    session.save().await.unwrap();
    let new = set_id(&session);
    assert_eq!(world.manager.open(Some(new)).get("held").await.unwrap(), Some(1));
}
