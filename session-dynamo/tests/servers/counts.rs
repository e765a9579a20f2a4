//! Requests, as the proxy sees them.

use std::time::Duration;

use session_core::{
    Enumeration, Expected, Lineage, SessionStore, SweepBudget, Then, Ttl, Under, Write,
};
use test_load::{HOUR, Load, Plan, create, eventually, load, lock, new_key, op, write};
use test_servers::TestResult;

use crate::support::{PATIENCE, World};

const FOUR: [&str; 4] = ["GetItem", "UpdateItem", "DeleteItem", "Scan"];

pub(crate) async fn each_operation_is_one_request() -> TestResult {
    let world = World::start().await?;
    let (store, key) = (&world.store, new_key());
    let (revision, sent) = world.sent(create(store, &key, b"1")).await;
    assert_eq!(sent, ["UpdateItem"], "create");
    let (read, sent) = world.sent(load(store, &key)).await;
    assert_eq!(sent, ["GetItem"], "load");
    assert_eq!(read?.unwrap().revision, revision);
    assert!(world.front.sent()[0].body.contains("\"ConsistentRead\":true"));
    let save = store.save(&key, write(b"2"), Expected::Revision(revision), op());
    let (revision, sent) = world.sent(save).await;
    assert_eq!(sent, ["UpdateItem"], "save");
    let longer = store.touch(&key, (HOUR * 2).into(), revision?.incarnation(), op());
    let (touched, sent) = world.sent(longer).await;
    touched?;
    assert_eq!(sent, ["UpdateItem"], "touch");
    let (locked, sent) = world.sent(store.lock(&key, lock(HOUR / 2, Duration::ZERO))).await;
    let locked = locked?;
    assert_eq!(sent, ["UpdateItem"], "lock and load");
    let (lease, record) = (locked.lease.unwrap(), locked.record.unwrap());
    assert_eq!(&*record.payload, b"2");
    let (renewed, sent) = world.sent(store.renew(&key, &lease, HOUR / 2)).await;
    renewed?;
    assert_eq!(sent, ["UpdateItem"], "renew");
    let revision = record.revision;
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Keep };
    let longer = Write::new("3", HOUR * 2);
    let (revision, sent) = world.sent(store.save(&key, longer, expected, op())).await;
    assert_eq!(sent, ["UpdateItem"], "commit");
    let expected = Expected::Lease { lease: &lease, revision: revision?, then: Then::Release };
    let (revision, sent) = world.sent(store.save(&key, write(b"4"), expected, op())).await;
    let revision = revision?;
    assert_eq!(sent, ["UpdateItem"], "commit and unlock");
    let lease = store.lock(&key, lock(HOUR / 2, Duration::ZERO)).await?.lease.unwrap();
    let (released, sent) = world.sent(store.release(&key, &lease)).await;
    released?;
    assert_eq!(sent, ["UpdateItem"], "release");
    let alias = write(b"5").with_lineage(Lineage::Restart);
    let alias = store.save(&key, alias, Expected::Revision(revision), op());
    let (revision, sent) = world.sent(alias).await;
    assert_eq!(sent, ["UpdateItem"], "a new incarnation");
    let delete = store.delete(&key, Expected::Incarnation(revision?.incarnation()), op());
    let (deleted, sent) = world.sent(delete).await;
    deleted?;
    assert_eq!(sent, ["DeleteItem"], "log-out");
    let (locked, sent) = world.sent(store.lock(&key, lock(HOUR / 2, Duration::ZERO))).await;
    assert_eq!(sent, ["UpdateItem"], "lock without a record");
    let lease = locked?.lease.unwrap();
    let under = Some(Under::new(&lease, Then::Release));
    let (revision, sent) = world.sent(store.create(&key, write(b"6"), op(), under)).await;
    assert_eq!(sent, ["UpdateItem"], "create and unlock");
    let refused = store.create(&key, write(b"7"), op(), None);
    assert!(world.sent(refused).await.0.is_err());
    assert_eq!(world.front.sent().len(), 1, "a refused create");
    let refused = store.save(&key, write(b"7"), Expected::Revision(revision?), op());
    refused.await?;
    let delete = world.sent(store.delete(&key, Expected::Any, op())).await;
    assert_eq!(delete.1, ["DeleteItem"], "a delete of whatever there is");
    let (absent, sent) = world.sent(load(store, &new_key())).await;
    assert_eq!((absent?, sent.len()), (None, 1));
    Ok(())
}

/// A conflict brings the winner along; a life that would be shortened, or a lease that outlasts the item's
/// expiry, is seen in the refusal.
pub(crate) async fn what_dynamodb_cannot_judge_takes_two() -> TestResult {
    let world = World::start().await?;
    let (store, key) = (&world.store, new_key());
    let first = create(store, &key, b"1").await;
    let token = op();
    let second = store.save(&key, write(b"2"), Expected::Revision(first), token).await?;
    let again = store.save(&key, write(b"3"), Expected::Revision(second), token);
    let (again, sent) = world.sent(again).await;
    assert_eq!((again?, sent.len()), (second, 1), "a commit made again upon itself");
    let stale = store.save(&key, write(b"3"), Expected::Revision(first), op());
    let (error, sent) = world.sent(stale).await;
    let mut error = error.unwrap_err();
    assert_eq!(sent, ["UpdateItem"], "a conflict");
    assert_eq!(error.take_current().unwrap().revision, second);
    let (touched, sent) =
        world.sent(store.touch(&key, Ttl::from(HOUR / 2), second.incarnation(), op())).await;
    touched?;
    assert_eq!(sent, ["UpdateItem"], "a shorter life, which is refused");
    let (locked, sent) = world.sent(store.lock(&key, lock(HOUR * 3, Duration::ZERO))).await;
    assert_eq!(sent, ["UpdateItem"; 2], "a lease beyond the item's expiry");
    let (released, sent) = world.sent(store.release(&key, &locked?.lease.unwrap())).await;
    released?;
    assert_eq!(sent, ["UpdateItem"]);
    let (saved, sent) = world.sent(store.save(&key, write(b"3"), Expected::Any, op())).await;
    saved?;
    assert_eq!(sent, ["GetItem", "UpdateItem"], "a save over whatever there is");
    let locked = store.lock(&new_key(), lock(HOUR, Duration::ZERO)).await?;
    assert!(locked.record.is_none());
    Ok(())
}

pub(crate) async fn there_are_no_other_operations_than_the_four() -> TestResult {
    let world = World::start().await?;
    let stores = [world.store.clone(), world.store.clone()];
    let running = Load::start(&stores, Plan::quiet(PATIENCE)).await;
    running.more(300).await;
    world.store.sweep(None, SweepBudget::default()).await?;
    assert!(!world.store.keys(None, 3).await?.keys.is_empty());
    running.stop(&world.other).await.check(None);
    let strange: Vec<_> = world.front.sent().into_iter().map(|request| request.operation).collect();
    assert!(strange.len() > 300);
    let strange: Vec<_> =
        strange.into_iter().filter(|sent| !FOUR.contains(&sent.as_str())).collect();
    assert!(strange.is_empty(), "{strange:?}");
    Ok(())
}

pub(crate) async fn a_waiter_reads_and_does_not_write() -> TestResult {
    let world = World::start().await?;
    let (store, key) = (world.store.clone(), new_key());
    create(&store, &key, b"1").await;
    let lease = world.other.lock(&key, lock(HOUR / 2, Duration::ZERO)).await?.lease.unwrap();
    world.front.forget();
    let waiting = tokio::spawn({
        let key = key.clone();
        async move { store.lock(&key, lock(HOUR / 2, PATIENCE)).await }
    });
    let count =
        |operation: &'static str| world.front.count(move |request| request.operation == operation);
    eventually("looks at the lock", async || count("GetItem") >= 5).await;
    assert_eq!(count("UpdateItem"), 1, "it writes while somebody holds the lock");
    let looks = world.front.sent();
    let small = |body: &str| body.contains("\"ProjectionExpression\":\"h, u\"");
    assert!(looks.iter().skip(1).all(|look| small(&look.body)), "a look reads more than the lock");
    world.other.release(&key, &lease).await?;
    assert!(waiting.await??.lease.is_some());
    assert_eq!(count("UpdateItem"), 2, "one more to take it");
    Ok(())
}
