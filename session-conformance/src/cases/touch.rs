//! Touching: E05 to E08, L36.

use bytes::Bytes;
use session_core::{ErrorKind, Expected, Meta, Then, Ttl, Write};

use super::cases;
use crate::{
    client::HOUR,
    context::{Cx, finite, new_key},
    outcome::{Outcome, ensure, ensure_eq, refused},
    together::race,
};

cases! {
    "E05" touch_extends_only_deadline [Touch];
    "E06" touch_of_missing_creates_nothing [Touch];
    "E07" touch_of_expired_does_not_revive [Touch];
    "E08" touch_never_rolls_back_data [Touch];
    "E08" concurrent_touch_never_rolls_back_data [Touch];
    "L36" keepalive_never_unlocks [Touch, Locking, BreakableLocks];
}

/// Given a touch, when read, then data, meta and revision are unchanged and the deadline moved; it
/// never moves forward.
async fn touch_extends_only_deadline(cx: Cx) -> Outcome {
    let key = new_key()?;
    let revision = cx.a.put_for(&key, "the data", HOUR / 2).await?;
    let before = cx.a.found(&key).await?;
    cx.b().await?.prolong(&key, HOUR, revision).await?;
    let after = cx.a.found(&key).await?;
    ensure_eq!(after.payload, before.payload, "a touch changed the payload");
    ensure_eq!(after.meta, before.meta, "a touch changed the meta");
    ensure_eq!(after.revision, before.revision, "a touch changed the revision");
    let left = finite(after.remaining)?;
    ensure!(left > HOUR / 2, "{left:?} remain after a touch for {HOUR:?}");
    ensure!(left <= HOUR + cx.has().expiry_precision, "{left:?} remain after it");
    for shorter in [Ttl::from(HOUR / 4), Ttl::ZERO] {
        cx.a.prolong(&key, shorter, revision).await?;
        let left = finite(cx.a.found(&key).await?.remaining)?;
        ensure!(left > HOUR / 2, "a touch for {shorter:?} left {left:?}");
    }
    cx.a.update(&key, "more data", revision).await?;
    Ok(())
}

/// Given no record, when touched, then that is `NotFound` and there is still none.
async fn touch_of_missing_creates_nothing(cx: Cx) -> Outcome {
    let (never, deleted) = (new_key()?, new_key()?);
    let revision = cx.a.put(&deleted, "gone soon").await?;
    cx.a.discard(&deleted).await?;
    for key in [&never, &deleted] {
        let touch = cx.a.prolong(key, HOUR, revision).await;
        refused(touch, ErrorKind::NotFound, "touch of nothing")?;
        ensure_eq!(cx.b().await?.get(key).await?, None, "a touch created a record");
        cx.a.put(key, "the first").await?;
    }
    Ok(())
}

/// Given a record past its deadline that nobody has removed, when touched, then that is `NotFound`
/// and it stays dead.
async fn touch_of_expired_does_not_revive(cx: Cx) -> Outcome {
    let (key, ttl) = (new_key()?, cx.brief());
    let revision = cx.a.put_for(&key, "the old life", ttl).await?;
    cx.expire(&key, ttl).await?;
    for client in [cx.a.clone(), cx.b().await?] {
        let touch = client.prolong(&key, HOUR, revision).await;
        refused(touch, ErrorKind::NotFound, "touch of an expired session")?;
        ensure_eq!(client.get(&key).await?, None, "a touch revived an expired session");
    }
    Ok(())
}

/// Given a request that has read, when another saves and the first then touches, then the data of
/// the save stands.
async fn touch_never_rolls_back_data(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    let revision = cx.a.put(&key, "old").await?;
    cx.a.found(&key).await?;
    let latest = b.update(&key, "new", revision).await?;
    // The layouts without incarnations cannot tell; the others must not care, for a touch names
    // the incarnation and not the revision.
    cx.a.prolong(&key, HOUR * 2, revision).await?;
    for client in [cx.a.clone(), b] {
        let record = client.found(&key).await?;
        ensure_eq!(record.payload, Bytes::from("new"), "a touch rolled the data back");
        ensure_eq!(record.revision, latest, "a touch changed the revision");
    }
    Ok(())
}

/// Given touches all the time, when a writer saves again and again, then no save conflicts and the
/// last one stands.
async fn concurrent_touch_never_rolls_back_data(cx: Cx) -> Outcome {
    let key = new_key()?;
    let revision = cx.a.put(&key, "0").await?;
    race(&cx, 4, key.clone(), move |n, client, key| async move {
        let mut revision = revision;
        for round in 1..=40 {
            if n == 0 {
                revision = client.update(&key, round.to_string(), revision).await?;
            } else {
                client.prolong(&key, HOUR + HOUR * round, revision).await?;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    })
    .await?;
    let record = cx.b().await?.found(&key).await?;
    ensure_eq!(record.payload, Bytes::from("40"), "touches rolled the data back");
    Ok(())
}

/// Given a holder of the lock, when somebody else touches, then the holder still holds it.
async fn keepalive_never_unlocks(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    let revision = cx.a.put(&key, "x").await?;
    let held = cx.a.hold(&key).await?;
    b.prolong(&key, HOUR * 2, revision).await?;
    cx.a.prolong(&key, HOUR * 3, revision).await?;
    ensure!(b.is_locked(&key).await?, "a touch freed somebody's lock");
    let expected = Expected::Lease { lease: &held.lease, revision, then: Then::Release };
    let write = Write::new("done", HOUR).with_meta(Meta::new());
    cx.a.save_write(&key, write, expected).await?;
    ensure!(!b.is_locked(&key).await?, "the lock is held after its release");
    Ok(())
}
