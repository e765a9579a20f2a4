//! Leases in items of their own.

use std::time::Duration;

use session_core::{
    ErrorKind, Expected, LeaseCheck, OffsetClock, SessionStore, SystemClock, Then, Under,
};
use session_dynamo::{DynamoStore, Leases};
use test_load::{HOUR, create, eventually, load, lock, new_key, op, say, write};
use test_servers::{
    TestResult,
    dynamodb::{Fate, Request, Server},
};

use crate::{
    costs::{self, Units},
    support::{PATIENCE, World, builder},
};

/// A request for the item of a session, not of its lock.
fn is_of_session(request: &Request) -> bool {
    !request.body.contains(":lock\"")
}

/// A store of the same table whose clock is ahead.
async fn ahead(world: &World, by: Duration) -> session_core::Result<DynamoStore> {
    let clock = OffsetClock::new(SystemClock::default());
    clock.advance(by);
    let url = Server::shared().await.unwrap().url();
    builder(&url, &world.table).leases(Leases::Aside).clock(clock).open().await
}

pub(crate) async fn each_operation_is_as_few_requests_as_there_can_be() -> TestResult {
    let world = World::aside().await?;
    let (store, key) = (&world.store, new_key());
    assert_eq!(store.capabilities().lease_check, LeaseCheck::ViaRevision);
    let written = ["UpdateItem", "UpdateItem", "DeleteItem"];
    let (revision, sent) = world.sent(create(store, &key, b"1")).await;
    assert_eq!(sent, written, "create");
    let (read, sent) = world.sent(load(store, &key)).await;
    assert_eq!((read?.is_some(), sent), (true, vec!["GetItem".to_owned()]), "load");
    let save = store.save(&key, write(b"2"), Expected::Revision(revision), op());
    let (revision, sent) = world.sent(save).await;
    assert_eq!(sent, written, "save");
    let longer = store.touch(&key, (HOUR * 2).into(), revision?.incarnation(), op());
    let (touched, sent) = world.sent(longer).await;
    touched?;
    assert_eq!(sent, ["UpdateItem"], "touch");
    let (locked, sent) = world.sent(store.lock(&key, lock(HOUR, Duration::ZERO))).await;
    assert_eq!(sent, ["UpdateItem", "GetItem"], "lock and load");
    let locked = locked?;
    let (lease, revision) = (locked.lease.unwrap(), locked.record.unwrap().revision);
    let (renewed, sent) = world.sent(store.renew(&key, &lease, HOUR)).await;
    renewed?;
    assert_eq!(sent, ["UpdateItem"], "renew");
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Keep };
    let (revision, sent) = world.sent(store.save(&key, write(b"3"), expected, op())).await;
    assert_eq!(sent, ["GetItem", "UpdateItem"], "commit");
    let expected = Expected::Lease { lease: &lease, revision: revision?, then: Then::Release };
    let (revision, sent) = world.sent(store.save(&key, write(b"4"), expected, op())).await;
    assert_eq!(sent, ["GetItem", "UpdateItem", "DeleteItem"], "commit and unlock");
    let locked = store.lock(&key, lock(HOUR, Duration::ZERO)).await?;
    assert_eq!(locked.record.unwrap().revision, revision?, "a free lock changes the session");
    let (released, sent) = world.sent(store.release(&key, &locked.lease.unwrap())).await;
    released?;
    assert_eq!(sent, ["DeleteItem"], "release");
    let (deleted, sent) = world.sent(store.delete(&key, Expected::Any, op())).await;
    deleted?;
    assert_eq!(sent, ["DeleteItem"; 2], "log-out");
    let lease = store.lock(&key, lock(HOUR, Duration::ZERO)).await?.lease.unwrap();
    let under = Some(Under::new(&lease, Then::Release));
    let (made, sent) = world.sent(store.create(&key, write(b"5"), op(), under)).await;
    made?;
    assert_eq!(sent, ["GetItem", "UpdateItem", "DeleteItem"], "create under a lease");
    Ok(())
}

/// It was looked at while the lock was its own still, and is on its way since.
pub(crate) async fn a_commit_that_comes_after_its_lock_was_taken_over_is_refused() -> TestResult {
    let world = World::aside().await?;
    let (store, key) = (world.store.clone(), new_key());
    create(&store, &key, b"1").await;
    let locked = store.lock(&key, lock(HOUR / 2, Duration::ZERO)).await?;
    let (lease, revision) = (locked.lease.unwrap(), locked.record.unwrap().revision);
    world.front.forget();
    let is_commit = |request: &Request| request.operation == "UpdateItem" && is_of_session(request);
    world.front.rule(move |request| if is_commit(request) { Fate::Hold } else { Fate::Pass });
    let late = tokio::spawn({
        let key = key.clone();
        async move {
            let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
            store.save(&key, write(b"late"), expected, op()).await
        }
    });
    eventually("the commit", async || world.front.count(is_commit) == 1).await;
    let successor = ahead(&world, HOUR * 3 / 4).await?;
    let locked = successor.lock(&key, lock(HOUR, PATIENCE)).await?;
    let (lease, record) = (locked.lease.unwrap(), locked.record.unwrap());
    assert_eq!(&*record.payload, b"1");
    assert_ne!(record.revision, revision, "a lock that is taken over leaves the revision");
    world.front.pass();
    world.front.let_go();
    let error = late.await?.unwrap_err();
    assert!([ErrorKind::Conflict, ErrorKind::LockLost].contains(&error.kind()), "{error}");
    let revision = record.revision;
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
    successor.save(&key, write(b"2"), expected, op()).await?;
    assert_eq!(&*load(&world.other, &key).await?.unwrap().payload, b"2");
    Ok(())
}

pub(crate) async fn a_write_in_doubt_leaves_its_lock_to_be_taken_over() -> TestResult {
    let timeout = Duration::from_secs(5);
    let world = World::start_as(Leases::Aside, |builder| builder.timeout(timeout)).await?;
    let key = new_key();
    let revision = create(&world.other, &key, b"1").await;
    let is_write = |request: &Request| request.operation == "UpdateItem" && is_of_session(request);
    world.front.rule(move |request| if is_write(request) { Fate::Cut } else { Fate::Pass });
    let save = world.store.save(&key, write(b"2"), Expected::Revision(revision), op());
    let error = save.await.unwrap_err();
    assert!(error.maybe_applied(), "{error}");
    let locked = world.other.lock(&key, lock(HOUR, Duration::ZERO)).await?;
    assert_ne!(locked.record.unwrap().revision, revision, "the write may still come");
    Ok(())
}

pub(crate) async fn who_saves_waits_for_another_write_and_not_for_a_holder() -> TestResult {
    let world = World::aside().await?;
    let (store, key) = (world.store.clone(), new_key());
    let revision = create(&store, &key, b"1").await;
    let lease = world.other.lock(&key, lock(HOUR, Duration::ZERO)).await?.lease.unwrap();
    let held = world.other.save(&key, write(b"2"), Expected::Revision(revision), op()).await;
    let held = held.unwrap_err();
    assert_eq!(held.kind(), ErrorKind::LockHeld);
    assert!(held.retry_after().is_some_and(|left| left <= HOUR), "{held:?}");
    world.other.release(&key, &lease).await?;
    world.front.forget();
    let is_write = |request: &Request| request.operation == "UpdateItem" && is_of_session(request);
    world.front.rule(move |request| if is_write(request) { Fate::Hold } else { Fate::Pass });
    let first = tokio::spawn({
        let key = key.clone();
        async move { store.save(&key, write(b"2"), Expected::Revision(revision), op()).await }
    });
    eventually("the first save", async || world.front.count(is_write) == 1).await;
    let other = world.other.clone();
    let second = tokio::spawn({
        let key = key.clone();
        async move { other.save(&key, write(b"3"), Expected::Revision(revision), op()).await }
    });
    world.front.pass();
    world.front.let_go();
    let first = first.await??;
    let mut error = second.await?.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(error.take_current().unwrap().revision, first);
    Ok(())
}

pub(crate) async fn a_table_that_was_used_the_other_way_is_refused() -> TestResult {
    let (aside, inside) = (World::aside().await?, World::start().await?);
    let url = Server::shared().await?.url();
    let refused = builder(&url, &aside.table).open().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config, "{refused}");
    let again = |table| builder(&url, table).leases(Leases::Aside).open();
    create(&inside.store, &new_key(), b"1").await;
    let refused = again(&inside.table).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config, "{refused}");
    again(&aside.table).await?.ping().await?;
    inside.store.ping().await?;
    Ok(())
}

/// What the documentation says about the size from which it pays.
pub(crate) async fn locks_cost_two_units_whatever_the_size() -> TestResult {
    let (aside, inside) = (World::aside().await?, World::start().await?);
    // A strongly consistent read of 4 KB has a fifth of the price of a written KB.
    let price = |(read, write): Units| write + read / 5.0;
    say("units of a locked page, read + write:".to_owned());
    say("| session | in the item | aside | saves unlocked, aside |".to_owned());
    say("| --- | --- | --- | --- |".to_owned());
    for kb in [1, 2, 3, 4, 8, 40] {
        let payload = costs::noise(kb * 1_024 - 300);
        let [_, in_item] = costs::ours_of(&inside.store, &payload).await?;
        let [unlocked, aside] = costs::ours_of(&aside.store, &payload).await?;
        let cells = [in_item, aside, unlocked].map(costs::row);
        say(format!("| {kb} KB | {} |", cells.join(" | ")));
        #[expect(clippy::cast_precision_loss, reason = "a few kilobytes")]
        let size = kb as f64;
        assert_eq!((in_item.1, aside.1), (size * 2.0, size + 2.0), "{kb} KB");
        assert_eq!(price(aside) < price(in_item), kb >= 3, "{kb} KB: {in_item:?}, {aside:?}");
    }
    Ok(())
}
