//! Round trips, counted on the server.

use std::time::{Duration, Instant};

use session_core::{KeyHasher, Session, SessionManager, SessionStore};
use test_servers::{TestResult, redis::Traffic};

use crate::support::{SOON, World, load, op};

/// A session that exists, on a server that counts.
struct Counted {
    world: World,
    sessions: SessionManager,
    id: session_core::SessionId,
}

impl Counted {
    async fn start(touch_after: Duration) -> test_servers::Result<Self> {
        let world = World::start().await?;
        let sessions = SessionManager::builder(world.store.clone()).touch_after(touch_after);
        let sessions = sessions.build().unwrap();
        let session = sessions.open(None);
        session.insert("n", 1).await.unwrap();
        session.save().await.unwrap();
        let session_core::CookieChange::Set { id, .. } = session.cookie_change() else {
            panic!("a new session has an id");
        };
        let counted = Self { world, sessions, id };
        let key = KeyHasher::plain().key(&counted.id);
        // The server learns the scripts, and its clock is read.
        let warm = counted.session();
        let mut locked = warm.lock(SOON).await.unwrap();
        locked.insert("n", 2).unwrap();
        locked.commit().await.unwrap();
        warm.update(|data| data.insert("n", 3)).await.unwrap();
        let record = load(&counted.world.store, &key).await.unwrap().unwrap();
        let incarnation = record.revision.incarnation();
        counted.world.store.touch(&key, SOON.into(), incarnation, op()).await.unwrap();
        Ok(counted)
    }

    fn session(&self) -> Session {
        self.sessions.open(Some(self.id.clone()))
    }

    /// What the server was asked meanwhile.
    async fn count(&self, work: impl AsyncFnOnce(Session)) -> test_servers::Result<Traffic> {
        let before = self.world.server.traffic().await?;
        work(self.session()).await;
        Ok(self.world.server.traffic().await?.since(&before))
    }
}

/// Checks the round trips, and how often each command was sent. What scripts call is not sent.
fn ensure(traffic: &Traffic, round_trips: u64, commands: &[(&str, u64)]) {
    assert_eq!(traffic.reads(), round_trips, "{traffic:?}");
    for (command, calls) in commands {
        assert_eq!(traffic.calls(command), *calls, "{command}: {traffic:?}");
    }
}

pub(crate) async fn a_read_is_one_round_trip() -> TestResult {
    let counted = Counted::start(SOON).await?;
    let traffic = counted.count(async |session| {
        assert_eq!(session.get::<u32>("n").await.unwrap(), Some(3));
    });
    ensure(&traffic.await?, 1, &[("get", 1), ("evalsha", 0)]);
    Ok(())
}

pub(crate) async fn a_new_session_is_one_without_a_script() -> TestResult {
    let counted = Counted::start(SOON).await?;
    let deadline = Instant::now() + SOON;
    loop {
        // The server's time is known from it, for a second: on a machine that is slower, not for long enough.
        counted.session().get::<u32>("n").await.unwrap();
        let traffic = counted.count(async |_| {
            let session = counted.sessions.open(None);
            session.insert("n", 1).await.unwrap();
            session.save().await.unwrap();
        });
        let traffic = traffic.await?;
        if traffic.calls("evalsha") == 0 || Instant::now() > deadline {
            ensure(&traffic, 1, &[("set", 1), ("evalsha", 0)]);
            return Ok(());
        }
    }
}

pub(crate) async fn an_unlocked_change_is_two() -> TestResult {
    let counted = Counted::start(SOON).await?;
    let traffic = counted.count(async |session| {
        let n: u32 = session.get("n").await.unwrap().unwrap();
        session.insert("n", n + 1).await.unwrap();
        session.save().await.unwrap();
    });
    ensure(&traffic.await?, 2, &[("get", 1), ("evalsha", 1)]);
    Ok(())
}

pub(crate) async fn a_locked_cycle_is_two() -> TestResult {
    let counted = Counted::start(SOON).await?;
    let traffic = counted.count(async |session| {
        let mut locked = session.lock(SOON).await.unwrap();
        let n: u32 = locked.get("n").unwrap().unwrap();
        locked.insert("n", n + 1).unwrap();
        locked.commit().await.unwrap();
        session.save().await.unwrap();
    });
    ensure(&traffic.await?, 2, &[("evalsha", 2)]);
    Ok(())
}

pub(crate) async fn a_touch_is_one() -> TestResult {
    let counted = Counted::start(Duration::ZERO).await?;
    let traffic = counted.count(async |session| {
        session.get::<u32>("n").await.unwrap();
        session.save().await.unwrap();
    });
    ensure(&traffic.await?, 2, &[("get", 1), ("evalsha", 1), ("set", 0)]);
    Ok(())
}

pub(crate) async fn an_untouched_session_costs_nothing() -> TestResult {
    let counted = Counted::start(Duration::ZERO).await?;
    let traffic = counted.count(async |session| session.save().await.unwrap());
    let traffic = traffic.await?;
    ensure(&traffic, 0, &[]);
    assert!(traffic.all_calls().is_empty(), "{traffic:?}");
    Ok(())
}

pub(crate) async fn a_session_that_is_only_read_costs_its_read() -> TestResult {
    let counted = Counted::start(SOON).await?;
    let traffic = counted.count(async |session| {
        session.get::<u32>("n").await.unwrap();
        session.save().await.unwrap();
    });
    ensure(&traffic.await?, 1, &[("get", 1), ("evalsha", 0)]);
    Ok(())
}
