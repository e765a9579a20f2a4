//! Deadlines, by the server's clock.

use std::time::Duration;

use session_core::{
    ErrorKind, Expected, Key, Lease, LockRequest, Meta, Result, SessionStore, Then, Timestamp, Ttl,
    Under, Write,
};
use session_redis::RedisStore;
use test_servers::{TestResult, redis::Server};

use crate::support::{HOUR, World, create, eventually, load, new_key, op, request};

const BRIEF: Duration = Duration::from_millis(400);

/// Case E10, in real time. Where the end came before all was done, again with a later one.
pub(crate) async fn no_save_and_no_touch_passes_the_absolute_deadline() -> TestResult {
    for ahead in [2, 8, 32] {
        let World { server, store } = World::start().await?;
        let end = seconds(&server).await? + ahead;
        let made = made_to_end(&store, end).await;
        if seconds(&server).await? >= end {
            continue;
        }
        let most = Duration::from_secs(ahead + 1).into();
        for (key, left) in made? {
            assert!(left.is_some_and(|left| left <= most), "{left:?}");
            let gone = async || load(&store, &key).await.unwrap().is_none();
            eventually("the absolute end", gone).await;
        }
        assert_eq!(server.command(&["DBSIZE"]).await?, "0");
        return Ok(());
    }
    panic!("the end always came too early");
}

/// The time of the server.
async fn seconds(server: &Server) -> test_servers::Result<u64> {
    Ok(server.command(&["TIME"]).await?.lines().next().unwrap().parse().unwrap())
}

/// Keys of which one was created, one saved and one touched, with what is left to each.
async fn made_to_end(store: &RedisStore, end: u64) -> Result<Vec<(Key, Option<Ttl>)>> {
    let absolute = Timestamp::from_millis(end * 1_000).after(BRIEF);
    let meta = Meta::new().with_absolute_deadline(Some(absolute));
    let write = || Write::new("x", HOUR).with_meta(meta);
    let [created, saved, touched] = [new_key(), new_key(), new_key()];
    let mut made = Vec::new();
    for key in [&created, &saved, &touched] {
        let revision = store.create(key, write(), op(), None).await?;
        if *key == saved {
            store.save(key, write(), Expected::Revision(revision), op()).await?;
        }
        if *key == touched {
            store.touch(key, HOUR.into(), revision.incarnation(), op()).await?;
        }
        made.push((key.clone(), load(store, key).await?.map(|record| record.remaining)));
    }
    Ok(made)
}

/// Everything that may be done to a key, in every order of three.
pub(crate) async fn no_key_is_ever_without_an_expiry() -> TestResult {
    let World { server, store } = World::start().await?;
    for steps in 0..STEPS.pow(3) {
        let key = new_key();
        let mut lease = None;
        for step in [steps % STEPS, steps / STEPS % STEPS, steps / STEPS / STEPS] {
            do_step(step, &store, &key, &mut lease).await;
            for name in server.command(&["KEYS", "*"]).await?.lines().filter(|n| !n.is_empty()) {
                let left: i64 = server.command(&["PTTL", name]).await?.parse()?;
                assert!(left != -1, "steps {steps}: a key without an expiry");
            }
        }
        store.delete(&key, Expected::Any, op()).await?;
    }
    assert_eq!(server.command(&["DBSIZE"]).await?, "0");
    Ok(())
}

const STEPS: u32 = 8;

/// What is refused is of no interest here.
async fn do_step(step: u32, store: &RedisStore, key: &Key, lease: &mut Option<Lease>) {
    let revision = load(store, key).await.unwrap().map(|record| record.revision);
    let write = Write::new("x", if step == 0 { Ttl::NEVER } else { HOUR.into() });
    let refused = match (step, revision, lease.as_ref()) {
        (0 | 1, None, None) => store.create(key, write, op(), None).await.err(),
        (0 | 1, None, Some(lease)) => {
            store.create(key, write, op(), Some(Under::new(lease, Then::Keep))).await.err()
        }
        (0 | 1, Some(revision), None) => {
            store.save(key, write, Expected::Revision(revision), op()).await.err()
        }
        (0 | 1, Some(revision), Some(lease)) => {
            let expected = Expected::Lease { lease, revision, then: Then::Keep };
            store.save(key, write, expected, op()).await.err()
        }
        (2, Some(revision), _) => {
            store.touch(key, Ttl::NEVER, revision.incarnation(), op()).await.err()
        }
        (3, ..) => match store.lock(key, request(Duration::ZERO)).await {
            Ok(locked) => {
                *lease = locked.lease;
                None
            }
            Err(error) => Some(error),
        },
        (4, _, Some(lease)) => store.renew(key, lease, HOUR).await.err(),
        (5, _, Some(lease)) => store.release(key, lease).await.err(),
        (6, Some(revision), Some(lease)) => {
            let expected = Expected::Lease { lease, revision, then: Then::Keep };
            store.delete(key, expected, op()).await.err()
        }
        (7, Some(revision), Some(lease)) => {
            let expected = Expected::Lease { lease, revision, then: Then::Keep };
            store.save(key, Write::new("x", Ttl::ZERO), expected, op()).await.err()
        }
        _ => None,
    };
    assert!(refused.is_none_or(|error| error.kind() != ErrorKind::Backend));
}

/// Nobody took it in the meantime.
pub(crate) async fn a_lapsed_lease_on_an_absent_key_is_still_held() -> TestResult {
    let World { server: _server, store } = World::start().await?;
    let brief = Duration::from_millis(20);
    let take = async |key| {
        let asked = LockRequest::new(op(), brief, HOUR);
        store.lock(key, asked).await.unwrap().lease.unwrap()
    };
    let key = new_key();
    let lease = take(&key).await;
    tokio::time::sleep(brief * 3).await;
    store.renew(&key, &lease, brief).await?;
    tokio::time::sleep(brief * 3).await;
    let write = || Write::new("x", HOUR);
    store.create(&key, write(), op(), Some(Under::new(&lease, Then::Release))).await?;
    let key = new_key();
    let lease = take(&key).await;
    let taken = take(&key).await;
    let late = store.create(&key, write(), op(), Some(Under::new(&lease, Then::Keep))).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::LockLost);
    store.create(&key, write(), op(), Some(Under::new(&taken, Then::Keep))).await?;
    Ok(())
}

pub(crate) async fn a_record_without_an_end_says_so() -> TestResult {
    let World { server: _server, store } = World::start().await?;
    let key = new_key();
    let revision = create(&store, &key, b"x").await;
    let write = Write::new("x", Ttl::NEVER);
    store.save(&key, write, Expected::Revision(revision), op()).await?;
    for _ in 0..2 {
        assert_eq!(load(&store, &key).await?.unwrap().remaining, Ttl::NEVER);
    }
    let locked = store.lock(&key, request(Duration::ZERO)).await?;
    assert_eq!(locked.record.unwrap().remaining, Ttl::NEVER);
    Ok(())
}
