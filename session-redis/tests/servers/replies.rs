//! What callers are told.

use session_core::{ErrorKind, Expected, Revision, SessionStore, Write};
use session_redis::RedisStore;
use test_servers::{
    TestResult,
    redis::{Cluster, Options, Server},
};

use crate::support::{HOUR, World, create, load, new_key, op};

/// Also when it names what came of it as what it expects.
pub(crate) async fn a_save_that_is_repeated_takes_effect_once() -> TestResult {
    let World { server: _server, store } = World::start().await?;
    let key = new_key();
    let first = create(&store, &key, b"created").await;
    let again = op();
    let save = async |payload: &'static str, revision| -> session_core::Result<Revision> {
        store.save(&key, Write::new(payload, HOUR), Expected::Revision(revision), again).await
    };
    let saved = save("saved", first).await?;
    assert_eq!(save("saved", first).await?, saved);
    assert_eq!(save("not saved", saved).await?, saved);
    assert_eq!(load(&store, &key).await?.unwrap().payload, "saved");
    Ok(())
}

/// Nothing was written that a replica could have.
pub(crate) async fn a_refusal_needs_no_replica() -> TestResult {
    let server = Server::start(&Options::redis()).await?;
    let plain = crate::support::open(&server).await;
    let url = format!("{}?session.wait_replicas=1&session.wait_timeout=20ms", server.url());
    let store = RedisStore::open(&url).await?;
    let key = new_key();
    let first = create(&plain, &key, b"x").await;
    let write = || Write::new("y", HOUR);
    let written = store.save(&key, write(), Expected::Revision(first), op()).await.unwrap_err();
    assert_eq!((written.kind(), written.maybe_applied()), (ErrorKind::Unavailable, true));
    let late = store.save(&key, write(), Expected::Revision(first), op()).await.unwrap_err();
    assert_eq!((late.kind(), late.maybe_applied()), (ErrorKind::Conflict, false));
    Ok(())
}

pub(crate) async fn a_url_of_the_wrong_kind_is_told_at_once() -> TestResult {
    let server = Server::start(&Options::redis()).await?;
    let cluster = Cluster::start(&Options::redis()).await?;
    let urls = [
        format!("redis+cluster://{}", server.address()),
        format!("redis://{}", cluster.nodes().first().unwrap().address()),
    ];
    for url in urls {
        let error = RedisStore::open(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}: {error}");
        assert!(error.to_string().contains("cluster"), "{error}");
    }
    Ok(())
}
