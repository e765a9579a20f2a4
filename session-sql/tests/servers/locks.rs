//! Locks, where something is wrong with what they lock.

use std::time::Duration;

use session_core::{ErrorKind, SessionStore, SweepBudget};
use test_servers::TestResult;

use crate::support::{Ground, create, eventually, load, new_key, request};

pub(crate) async fn what_cannot_be_read_is_not_left_locked(ground: Ground) -> TestResult {
    let world = ground.world().await?;
    let key = new_key();
    create(&world.store, &key, b"whole").await;
    let mut direct = world.direct().await;
    direct.run("UPDATE sessions SET absolute_deadline = absolute_deadline - 1").await;
    for _ in 0..2 {
        let error = world.store.lock(&key, request(Duration::ZERO)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    direct.run("UPDATE sessions SET absolute_deadline = absolute_deadline + 1").await;
    let locked = world.store.lock(&key, request(Duration::ZERO)).await?;
    assert!(locked.lease.is_some() && load(&world.store, &key).await?.is_some());
    Ok(())
}

pub(crate) async fn locks_without_a_record_are_all_swept(ground: Ground) -> TestResult {
    const LOCKS: i64 = 1_200;
    let world = ground.world().await?;
    let mut direct = world.direct().await;
    for _ in 0..LOCKS {
        let mut request = request(Duration::ZERO);
        request.lease = Duration::from_millis(1);
        world.store.lock(&new_key(), request).await?;
    }
    assert_eq!(direct.number("SELECT count(*) FROM sessions").await, LOCKS);
    let now = world.kind.now();
    let held = format!("SELECT count(*) FROM sessions WHERE lease_until >= {now}");
    eventually("all leases are over", async || direct.number(&held).await == 0).await;
    let first = world.store.sweep(None, SweepBudget::new(700, Duration::from_secs(60))).await?;
    // They are no records.
    assert_eq!((first.scanned, first.deleted, first.next.is_some()), (700, 0, true));
    let rest = SweepBudget::new(1_000, Duration::from_secs(60));
    let second = world.store.sweep(first.next.as_ref(), rest).await?;
    assert_eq!((second.scanned, second.deleted, second.next), (500, 0, None));
    assert_eq!(direct.number("SELECT count(*) FROM sessions").await, 0);
    Ok(())
}
