//! Requests, as the proxy sees them.

use std::time::Duration;

use session_core::{
    Enumeration, Expected, Lineage, SessionStore, SweepBudget, Then, Ttl, Under, Write,
};
use test_load::{HOUR, Load, Plan, create, eventually, load, lock, new_key, op, write};
use test_servers::TestResult;

use crate::support::{PATIENCE, World};

const GET: &str = "GetItem";
const UPDATE: &str = "UpdateItem";
const DELETE: &str = "DeleteItem";
const FOUR: [&str; 4] = [GET, UPDATE, DELETE, "Scan"];

impl World {
    /// Does what is to be one request, of this kind.
    async fn one<T>(&self, what: &str, kind: &str, operation: impl Future<Output = T>) -> T {
        let (done, sent) = self.sent(operation).await;
        assert_eq!(sent, [kind], "{what}");
        done
    }
}

pub(crate) async fn each_operation_is_one_request() -> TestResult {
    let world = World::start().await?;
    let (store, key) = (&world.store, new_key());
    let revision = world.one("create", UPDATE, create(store, &key, b"1")).await;
    let read = world.one("load", GET, load(store, &key)).await?;
    assert_eq!(read.unwrap().revision, revision);
    assert!(world.front.sent()[0].body.contains("\"ConsistentRead\":true"));
    let save = store.save(&key, write(b"2"), Expected::Revision(revision), op());
    let revision = world.one("save", UPDATE, save).await?;
    let longer = store.touch(&key, (HOUR * 2).into(), revision.incarnation(), op());
    world.one("touch", UPDATE, longer).await?;
    let taken = store.create(&key, write(b"3"), op(), None);
    assert!(world.one("a refused create", UPDATE, taken).await.is_err());
    let alias = write(b"3").with_lineage(Lineage::Restart);
    let alias = store.save(&key, alias, Expected::Revision(revision), op());
    let incarnation = world.one("a new incarnation", UPDATE, alias).await?.incarnation();
    let delete = store.delete(&key, Expected::Incarnation(incarnation), op());
    world.one("log-out", DELETE, delete).await?;
    create(store, &key, b"4").await;
    let delete = store.delete(&key, Expected::Any, op());
    world.one("a delete of whatever there is", DELETE, delete).await?;
    assert_eq!(world.one("a load of nothing", GET, load(store, &key)).await?, None);
    Ok(())
}

pub(crate) async fn each_operation_under_a_lease_is_one_request() -> TestResult {
    let world = World::start().await?;
    let (store, key) = (&world.store, new_key());
    let asked = || lock(HOUR / 2, Duration::ZERO);
    let locked = world.one("lock without a record", UPDATE, store.lock(&key, asked())).await?;
    let lease = locked.lease.unwrap();
    let under = Some(Under::new(&lease, Then::Release));
    let made = store.create(&key, Write::new("1", HOUR * 2), op(), under);
    let revision = world.one("create and unlock", UPDATE, made).await?;
    let locked = world.one("lock and load", UPDATE, store.lock(&key, asked())).await?;
    let (lease, record) = (locked.lease.unwrap(), locked.record.unwrap());
    assert_eq!((&*record.payload, record.revision), (&b"1"[..], revision));
    world.one("renew", UPDATE, store.renew(&key, &lease, HOUR / 2)).await?;
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Keep };
    let commit = store.save(&key, Write::new("2", HOUR * 2), expected, op());
    let revision = world.one("commit", UPDATE, commit).await?;
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
    let commit = store.save(&key, write(b"3"), expected, op());
    world.one("commit and unlock", UPDATE, commit).await?;
    let lease = store.lock(&key, asked()).await?.lease.unwrap();
    world.one("release", UPDATE, store.release(&key, &lease)).await?;
    assert_eq!(&*load(store, &key).await?.unwrap().payload, b"3");
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

pub(crate) async fn the_segments_of_a_sweep_take_turns() -> TestResult {
    let world = World::start_with(|builder| builder.sweep_segments(3)).await?;
    world.store.sweep(None, SweepBudget::new(100, PATIENCE)).await?;
    let sent = world.front.sent();
    assert_eq!(sent.len(), 3);
    for (turn, scan) in sent.iter().enumerate() {
        let segment = format!("\"TotalSegments\":3,\"Segment\":{turn},");
        assert!(scan.body.contains(&segment), "{}", scan.body);
    }
    Ok(())
}
