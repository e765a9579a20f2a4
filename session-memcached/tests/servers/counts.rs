//! Round trips, counted on the wire.

use std::time::Duration;

use session_core::{Expected, SessionStore, Then, Under};
use session_memcached::MemcachedStore;
use test_load::{HOUR, create, load, lock, new_key, op, write};
use test_servers::{
    TestResult,
    memcached::{Options, Server},
};

use crate::wire::Wire;

struct World {
    _server: Server,
    wire: Wire,
    store: MemcachedStore,
    other: MemcachedStore,
}

impl World {
    async fn start(protocol: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let server = Server::start(&Options::new()).await?;
        let wire = Wire::to(server.address()).await?;
        let url = format!("memcached://{}?session.connections=1&protocol={protocol}", wire.address);
        let store = MemcachedStore::builder(&url)?
            .timeout(Duration::from_secs(60))
            .response_timeout(Duration::from_secs(60));
        let store = store.open().await?;
        let other = MemcachedStore::open(&server.url()).await?;
        store.ping().await?;
        wire.turns();
        Ok(Self { _server: server, wire, store, other })
    }

    fn took(&self, turns: u64, what: &str) {
        assert_eq!(self.wire.turns(), turns, "round trips of {what}");
    }
}

pub(crate) async fn each_operation_is_one_round_trip() -> TestResult {
    let world = World::start("newest").await?;
    let (store, key) = (&world.store, new_key());
    create(store, &key, b"1").await;
    world.took(1, "create");
    let read = load(store, &key).await?.unwrap();
    world.took(1, "load");
    let saved = store.save(&key, write(b"2"), Expected::Revision(read.revision), op()).await?;
    world.took(1, "save");
    let saved = store.save(&key, write(b"3"), Expected::Revision(saved), op()).await?;
    world.took(1, "the next save");
    let locked = store.lock(&key, lock(HOUR / 2, Duration::ZERO)).await?;
    world.took(1, "lock and load");
    let lease = locked.lease.unwrap();
    assert_eq!(locked.record.unwrap().revision, saved);
    store.renew(&key, &lease, HOUR / 3).await?;
    world.took(1, "renew");
    let expected = Expected::Lease { lease: &lease, revision: saved, then: Then::Keep };
    let saved = store.save(&key, write(b"4"), expected, op()).await?;
    world.took(1, "commit");
    let expected = Expected::Lease { lease: &lease, revision: saved, then: Then::Release };
    store.save(&key, write(b"5"), expected, op()).await?;
    world.took(1, "commit and unlock");
    let lease = store.lock(&key, lock(HOUR / 2, Duration::ZERO)).await?.lease.unwrap();
    store.release(&key, &lease).await?;
    world.took(2, "lock, release");
    let revision = load(store, &key).await?.unwrap().revision;
    world.took(1, "load");
    store.touch(&key, (HOUR * 2).into(), revision.incarnation(), op()).await?;
    world.took(2, "touch");
    store.delete(&key, Expected::Revision(revision), op()).await?;
    world.took(1, "delete");
    let lease = store.lock(&key, lock(HOUR, Duration::ZERO)).await?.lease.unwrap();
    world.took(3, "lock without a record");
    let under = Some(Under::new(&lease, Then::Release));
    store.create(&key, write(b"1"), op(), under).await?;
    world.took(1, "create and unlock");
    store.delete(&key, Expected::Any, op()).await?;
    world.took(1, "log-out");
    Ok(())
}

pub(crate) async fn a_waiter_of_another_process_costs_the_holder_two_more() -> TestResult {
    let world = World::start("newest").await?;
    let (store, key) = (&world.store, new_key());
    create(store, &key, b"1").await;
    let locked = store.lock(&key, lock(HOUR / 2, Duration::ZERO)).await?;
    let (lease, record) = (locked.lease.unwrap(), locked.record.unwrap());
    let refused = world.other.lock(&key, lock(HOUR / 2, Duration::from_millis(50))).await;
    assert!(refused.is_err());
    world.wire.turns();
    let expected =
        Expected::Lease { lease: &lease, revision: record.revision, then: Then::Release };
    store.save(&key, write(b"2"), expected, op()).await?;
    world.took(3, "commit and unlock while somebody waits");
    Ok(())
}

pub(crate) async fn the_older_protocol_keeps_every_promise_but_this_one() -> TestResult {
    let world = World::start("classic").await?;
    let (store, key) = (&world.store, new_key());
    let revision = create(store, &key, b"1").await;
    world.took(1, "create");
    let saved = store.save(&key, write(b"2"), Expected::Revision(revision), op()).await?;
    world.took(2, "a save without a read");
    let locked = store.lock(&key, lock(HOUR / 2, Duration::ZERO)).await?;
    world.took(1, "lock and load");
    let lease = locked.lease.unwrap();
    let expected = Expected::Lease { lease: &lease, revision: saved, then: Then::Release };
    store.save(&key, write(b"3"), expected, op()).await?;
    world.took(1, "commit and unlock");
    let lease = store.lock(&key, lock(HOUR / 2, Duration::ZERO)).await?.lease.unwrap();
    world.wire.turns();
    store.renew(&key, &lease, HOUR / 3).await?;
    world.took(2, "renew");
    store.release(&key, &lease).await?;
    world.took(2, "release");
    Ok(())
}
