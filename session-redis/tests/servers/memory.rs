//! A server whose memory is full.

use std::time::Duration;

use session_core::{ErrorKind, Expected, KeyHasher, SessionStore, Write};
use test_servers::{TestResult, redis::Options};

use crate::support::{HOUR, World, create, load, new_key, op, request};

/// Sessions that are there go on: they are read, locked, prolonged and ended.
pub(crate) async fn a_full_server_refuses_saves_and_nothing_else() -> TestResult {
    let World { server, store } = World::start().await?;
    let key = new_key();
    let revision = create(&store, &key, b"kept").await;
    server.configure("maxmemory-policy", "noeviction").await?;
    server.configure("maxmemory", "1").await?;
    let refused = store.create(&new_key(), Write::new("x", HOUR), op(), None).await.unwrap_err();
    assert_eq!((refused.kind(), refused.maybe_applied()), (ErrorKind::Unavailable, false));
    assert!(refused.to_string().contains("memory"), "{refused}");
    let write = Write::new("other", HOUR);
    let refused = store.save(&key, write, Expected::Revision(revision), op()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let record = load(&store, &key).await?.unwrap();
    assert_eq!((&*record.payload, record.revision), (&b"kept"[..], revision));
    store.touch(&key, (HOUR * 2).into(), revision.incarnation(), op()).await?;
    let locked = store.lock(&key, request(Duration::ZERO)).await?;
    let lease = locked.lease.unwrap();
    store.renew(&key, &lease, HOUR).await?;
    store.release(&key, &lease).await?;
    store.delete(&key, Expected::Revision(revision), op()).await?;
    assert_eq!(load(&store, &key).await?, None);
    server.configure("maxmemory", "0").await?;
    create(&store, &key, b"again").await;
    Ok(())
}

/// What has an expiry is evicted by ElastiCache's default policy; the epoch must not be.
pub(crate) async fn an_epoch_is_never_evicted_with_what_expires() -> TestResult {
    let options = Options::redis().max_memory("3mb", "volatile-lru");
    let World { server: _server, store } = World::with(&options).await?;
    let principal = KeyHasher::plain().principal("ada");
    let index = store.principal_index().unwrap();
    assert_eq!(index.bump_epoch(&principal).await?, 1);
    let mut keys = Vec::new();
    for _ in 0..300 {
        let key = new_key();
        create(&store, &key, &[b'x'; 16 * 1024]).await;
        keys.push(key);
    }
    let mut gone = 0;
    for key in &keys {
        gone += usize::from(load(&store, key).await?.is_none());
    }
    assert!(gone > 0, "nothing was evicted");
    assert_eq!(index.epoch(&principal).await?, 1);
    Ok(())
}

/// Case Z12.
pub(crate) async fn an_evicted_session_is_absent() -> TestResult {
    let options = Options::redis().max_memory("3mb", "allkeys-lru");
    let World { server: _server, store } = World::with(&options).await?;
    let mut keys = Vec::new();
    for _ in 0..300 {
        let key = new_key();
        let revision = create(&store, &key, &[b'x'; 16 * 1024]).await;
        keys.push((key, revision));
    }
    let mut gone = 0;
    for (key, revision) in &keys {
        if load(&store, key).await?.is_none() {
            gone += 1;
            let late = Write::new("late", HOUR);
            let late = store.save(key, late, Expected::Revision(*revision), op()).await;
            assert_eq!(late.unwrap_err().kind(), ErrorKind::NotFound);
        }
    }
    assert!(gone > 0, "nothing was evicted");
    assert!(store.capabilities().evicts);
    Ok(())
}
