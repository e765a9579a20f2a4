//! What can be wrong with `touch`.

use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    ErrorKind, Expected, Incarnation, Key, Lease, LockRequest, Locked, OpToken, ReadOptions,
    Record, Result, Revision, Ttl, Under, Write,
};

use super::{
    Memory, broken,
    mischief::{Inner, Mischief, on_touch},
};

broken! {
    TouchCreates: "E06_touch_of_missing_creates_nothing", "D03_unknown_keys_leave_nothing_behind";
    TouchRevives: "E07_touch_of_expired_does_not_revive",
        "SEC-20_expired_session_is_not_revived_by_the_handle";
    TouchIsSilentOnMissing: "E06_touch_of_missing_creates_nothing",
        "L43_touch_after_concurrent_logout_is_none";
    TouchRewrites: "E05_touch_extends_only_deadline", "E08_concurrent_touch_never_rolls_back_data";
    TouchShortens: "E05_touch_extends_only_deadline";
    TouchDoesNothing: "E05_touch_extends_only_deadline", "E09_touch_throttled",
        "E10_absolute_deadline_ends_a_busy_session";
    TouchWritesBack: "E08_touch_never_rolls_back_data", "X07_grace_alias_is_read_redirect_only";
    TouchUnlocks: "L36_keepalive_never_unlocks", "L36_keepalive_of_a_request_never_unlocks";
    TouchIgnoresTheLineage: "D14_restarted_lineage_refuses_what_is_in_flight";
}

/// `UpdateItem` without a condition: leaves a ghost.
#[derive(Debug, Default)]
struct TouchCreates;

on_touch!(TouchCreates, |_, inner, key, ttl, incarnation, op| {
    match inner.touch(key, ttl, incarnation, op).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            inner.create(key, Write::new("", ttl), op, None).await?;
            Err(error)
        }
        outcome => outcome,
    }
});

/// Prolongs what has expired and was not yet removed.
#[derive(Debug, Default)]
struct TouchRevives(Memory<Write>);

#[async_trait]
impl Mischief for TouchRevives {
    async fn create(
        &self,
        inner: &Inner,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        self.0.put(key, write.clone());
        inner.create(key, write, op, under).await
    }

    async fn touch(
        &self,
        inner: &Inner,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        op: OpToken,
    ) -> Result<()> {
        match (inner.touch(key, ttl, incarnation, op).await, self.0.get(key)) {
            (Err(_), Some(mut write)) => {
                write.ttl = ttl;
                inner.create(key, write, OpToken::generate()?, None).await.map(drop)
            }
            (outcome, _) => outcome,
        }
    }
}

/// Throws away the server's answer that there was nothing to touch.
#[derive(Debug, Default)]
struct TouchIsSilentOnMissing;

on_touch!(TouchIsSilentOnMissing, |_, inner, key, ttl, incarnation, op| {
    match inner.touch(key, ttl, incarnation, op).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
});

/// Touches by saving what is there.
#[derive(Debug, Default)]
struct TouchRewrites;

on_touch!(TouchRewrites, |_, inner, key, ttl, _, op| {
    let Some(record) = inner.load(key, ReadOptions::latest()).await? else { return Ok(()) };
    let write = Write::new(record.payload, ttl).with_meta(record.meta);
    inner.save(key, write, Expected::Any, op).await.map(drop)
});

/// Sets the life to what was asked for, longer or shorter.
#[derive(Debug, Default)]
struct TouchShortens;

on_touch!(TouchShortens, |_, inner, key, ttl, incarnation, op| {
    inner.touch(key, ttl, incarnation, op).await?;
    if ttl.duration().is_some_and(|life| life < Duration::from_secs(1_800)) {
        inner.delete(key, Expected::Any, op).await?;
    }
    Ok(())
});

/// Checks, and leaves the deadline as it is.
#[derive(Debug, Default)]
struct TouchDoesNothing;

on_touch!(TouchDoesNothing, |_, inner, key, _, incarnation, op| {
    inner.touch(key, Ttl::ZERO, incarnation, op).await
});

/// Touches by writing back what the request has read.
#[derive(Debug, Default)]
struct TouchWritesBack(Memory<Record>);

#[async_trait]
impl Mischief for TouchWritesBack {
    async fn load(&self, inner: &Inner, key: &Key) -> Result<Option<Record>> {
        let record = inner.load(key, ReadOptions::latest()).await?;
        if let Some(record) = &record {
            self.0.put(key, record.clone());
        }
        Ok(record)
    }

    async fn touch(
        &self,
        inner: &Inner,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        op: OpToken,
    ) -> Result<()> {
        match self.0.get(key) {
            Some(record) => {
                let write = Write::new(record.payload, ttl);
                inner.save(key, write, Expected::Any, op).await.map(drop)
            }
            None => inner.touch(key, ttl, incarnation, op).await,
        }
    }
}

/// Resets the lock with the deadline.
#[derive(Debug, Default)]
struct TouchUnlocks(Memory<Lease>);

#[async_trait]
impl Mischief for TouchUnlocks {
    async fn lock(&self, inner: &Inner, key: &Key, request: LockRequest) -> Result<Locked> {
        let locked = inner.lock(key, request).await?;
        if let Some(lease) = &locked.lease {
            self.0.put(key, lease.clone());
        }
        Ok(locked)
    }

    async fn touch(
        &self,
        inner: &Inner,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        op: OpToken,
    ) -> Result<()> {
        inner.touch(key, ttl, incarnation, op).await?;
        match self.0.get(key) {
            Some(lease) => inner.release(key, &lease).await,
            None => Ok(()),
        }
    }
}

/// Touches whatever is under the key by now.
#[derive(Debug, Default)]
struct TouchIgnoresTheLineage;

on_touch!(TouchIgnoresTheLineage, |_, inner, key, ttl, incarnation, op| {
    let record = inner.load(key, ReadOptions::latest()).await?;
    let incarnation = record.map_or(incarnation, |record| record.revision.incarnation());
    inner.touch(key, ttl, incarnation, op).await
});
