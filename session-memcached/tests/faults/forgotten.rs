//! What the server forgets: all at once, what is oldest, or only what is newest.

use std::time::Duration;

use session_core::{ErrorKind, Expected, SessionStore, Then};
use session_memcached::MemcachedStore;
use test_load::{HOUR, create, eventually, is_outage, load, lock, new_key, op, tell, write};
use test_servers::{
    TestResult,
    memcached::{Options, Server},
    proxy::Proxy,
};

use crate::support::{PATIENT, open_patiently};

fn kind<T: std::fmt::Debug>(refused: session_core::Result<T>) -> ErrorKind {
    refused.unwrap_err().kind()
}

/// Case Z13.
pub(crate) async fn a_flushed_server_brings_nothing_back() -> TestResult {
    let server = Server::start(&Options::new()).await?;
    let store = open_patiently(&server.url(), PATIENT).await;
    let (key, held, new) = (new_key(), new_key(), new_key());
    let revision = create(&store, &key, b"1").await;
    let other = create(&store, &held, b"1").await;
    let lease = store.lock(&held, lock(HOUR, Duration::ZERO)).await?.lease.unwrap();
    load(&store, &key).await?;
    server.flush().await?;
    let save = store.save(&key, write(b"2"), Expected::Revision(revision), op());
    assert_eq!(kind(save.await), ErrorKind::NotFound);
    let touch = store.touch(&key, HOUR.into(), revision.incarnation(), op());
    assert_eq!(kind(touch.await), ErrorKind::NotFound);
    let expected = Expected::Lease { lease: &lease, revision: other, then: Then::Release };
    let commit = store.save(&held, write(b"2"), expected, op());
    assert_eq!(kind(commit.await), ErrorKind::NotFound);
    assert_eq!(kind(store.renew(&held, &lease, HOUR).await), ErrorKind::LockLost);
    store.release(&held, &lease).await?;
    for key in [&key, &held] {
        assert_eq!(load(&store, key).await?, None);
    }
    create(&store, &new, b"1").await;
    assert!(load(&store, &new).await?.is_some());
    Ok(())
}

/// Case Z12.
pub(crate) async fn evicted_sessions_are_absent_and_others_whole() -> TestResult {
    const SESSIONS: usize = 400;
    let server = Server::start(&Options::new().memory(4)).await?;
    let store = open_patiently(&server.url(), PATIENT).await;
    assert!(store.capabilities().evicts);
    let payload = |n: usize| vec![u8::try_from(n % 251).unwrap(); 30_000];
    let mut sessions = Vec::new();
    for n in 0..SESSIONS {
        let key = new_key();
        let revision = store.create(&key, write(&payload(n)), op(), None).await?;
        sessions.push((n, key, revision));
    }
    let evicted = server.statistic("evictions").await?;
    assert!(evicted > 0, "the memory is too large for this test");
    let (mut absent, mut whole) = (0, 0);
    for (n, key, revision) in &sessions {
        match load(&store, key).await? {
            Some(record) => {
                assert_eq!((&*record.payload, record.revision), (&*payload(*n), *revision));
                whole += 1;
            }
            None => {
                let save = store.save(key, write(b"x"), Expected::Revision(*revision), op());
                assert_eq!(kind(save.await), ErrorKind::NotFound);
                absent += 1;
            }
        }
    }
    assert!(absent > 0 && whole > 0);
    tell("eviction", format!("{absent} of {SESSIONS} are gone, {whole} whole"));
    Ok(())
}

pub(crate) async fn a_server_that_evicts_nothing_says_that_it_is_full() -> TestResult {
    let server = Server::start(&Options::new().memory(4).keeps_all()).await?;
    let store = open_patiently(&server.url(), PATIENT).await;
    assert!(!store.capabilities().evicts);
    let payload = vec![7; 30_000];
    let mut sessions = Vec::new();
    let refused = loop {
        let key = new_key();
        match store.create(&key, write(&payload), op(), None).await {
            Ok(revision) => sessions.push((key, revision)),
            Err(error) => break error,
        }
        assert!(sessions.len() < 10_000, "the memory is too large for this test");
    };
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    assert_eq!(server.statistic("evictions").await?, 0);
    for (key, revision) in &sessions {
        assert_eq!(load(&store, key).await?.map(|record| record.revision), Some(*revision));
    }
    // A refused save may cost the session, and never leaves half of one.
    let (mut stayed, mut lost) = (0, 0);
    for (key, revision) in sessions.iter().take(20) {
        let save = store.save(key, write(&payload), Expected::Revision(*revision), op());
        match save.await {
            Ok(_) => stayed += 1,
            Err(error) => assert!(is_outage(&error) && error.maybe_applied(), "{error}"),
        }
        match load(&store, key).await? {
            Some(record) => assert_eq!(record.payload, payload),
            None => lost += 1,
        }
    }
    tell("no eviction", format!("{stayed} of 20 saves found room, {lost} sessions were lost"));
    Ok(())
}

/// A server counts the states of items from the beginning when it is started again: the number of
/// one session then is that of another one now.
pub(crate) async fn a_restarted_server_is_not_taken_for_the_old_one() -> TestResult {
    let server = Server::start(&Options::new()).await?;
    let (mine, other) = (new_key(), new_key());
    let store = open_patiently(&server.url(), PATIENT).await;
    let revision = create(&store, &mine, b"before").await;
    load(&store, &mine).await?;
    let numbers = || async {
        let mut client = server.client().await?;
        let names = client.keys().await?;
        let mut numbers = Vec::new();
        for name in names {
            numbers.push(client.item(&name).await?.map(|(_, number)| number));
        }
        Ok::<_, test_servers::Error>(numbers)
    };
    let before = numbers().await?;
    server.kill();
    server.start_again().await?;
    let second = open_patiently(&server.url(), PATIENT).await;
    create(&second, &mine, b"after").await;
    assert_eq!(numbers().await?, before, "the test proves nothing with other numbers");
    let save = store.save(&mine, write(b"of before"), Expected::Revision(revision), op());
    assert_eq!(kind(save.await), ErrorKind::Conflict);
    assert_eq!(&*load(&second, &mine).await?.unwrap().payload, b"after");
    assert_eq!(load(&store, &other).await?, None);
    Ok(())
}

/// Case Z15: the servers of a name change while the old one lives on, and it comes back.
pub(crate) async fn a_server_with_old_data_refuses_what_was_read_elsewhere() -> TestResult {
    let (old, new) = (Server::start(&Options::new()).await?, Server::start(&Options::new()).await?);
    let proxy = Proxy::start(&old.address()).await?;
    let store = open_patiently(&format!("memcached://{}", proxy.address()), PATIENT).await;
    let key = new_key();
    let stale = create(&store, &key, b"old").await;
    let lead_to = async |server: &Server, store: &MemcachedStore| {
        proxy.redirect(&server.address()).unwrap();
        proxy.cut();
        eventually("an answer", async || store.ping().await.is_ok()).await;
    };
    lead_to(&new, &store).await;
    let fresh = create(&store, &key, b"new").await;
    assert_ne!(fresh, stale);
    lead_to(&old, &store).await;
    // Whoever only reads cannot know.
    assert_eq!(&*load(&store, &key).await?.unwrap().payload, b"old");
    let save = store.save(&key, write(b"newer"), Expected::Revision(fresh), op());
    assert_eq!(kind(save.await), ErrorKind::Conflict);
    let touch = store.touch(&key, HOUR.into(), fresh.incarnation(), op());
    assert_eq!(kind(touch.await), ErrorKind::Conflict);
    assert_eq!(&*load(&store, &key).await?.unwrap().payload, b"old");
    Ok(())
}
