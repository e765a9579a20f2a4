//! What a store declares, both ways, and what holds for every store: D01 to D10, D19 to D21.

use std::time::Duration;

use bytes::Bytes;
use session_core::{
    ErrorKind, Expected, Idempotency, Lease, Lineage, LockRequest, Meta, OpToken, SweepBudget,
    Sweeping, Then, Under, Write,
};

use super::cases;
use crate::{
    client::{HOUR, LONG},
    context::{Cx, new_key, new_keys, new_principal},
    outcome::{Outcome, ensure, ensure_eq, refused},
};

cases! {
    "D01" capabilities_are_constant_and_sane;
    "D02" ping_answers;
    "D03" unknown_keys_leave_nothing_behind;
    "D04" without_locking_locks_are_unsupported [NoLocking];
    "D05" without_touch_it_is_unsupported [NoTouch];
    "D06" without_meta_it_is_unsupported [NoMeta];
    "D07" meta_round_trips [Meta];
    "D08" every_save_has_its_own_revision [Incarnations];
    "D09" equal_bytes_are_equal_revisions [ContentRevisions];
    "D10" nothing_is_left_to_sweep_by_hand [ServerSweeps];
    "D19" any_duration_may_be_asked_for;
    "D20" without_listing_it_is_unsupported [Index, NoListing];
    "D21" without_incarnations_a_new_lineage_is_unsupported [ContentRevisions];
}

/// Given two handles, when asked twice, then they declare the same, and it makes sense.
async fn capabilities_are_constant_and_sane(cx: Cx) -> Outcome {
    let has = cx.has().clone();
    cx.a.put(&new_key()?, "x").await?;
    for client in [cx.a.clone(), cx.b().await?] {
        ensure_eq!(client.capabilities(), &has, "what two handles declare");
        ensure_eq!(client.principal_index().is_some(), cx.a.principal_index().is_some(), "index");
        ensure_eq!(client.enumeration().is_some(), cx.a.enumeration().is_some(), "enumeration");
    }
    ensure!(!has.backend.is_empty(), "the store has no name");
    ensure!(has.max_payload > 0, "the store takes no payload");
    ensure!(has.max_waiters > 0, "the store takes no waiters");
    ensure!(has.idempotency != Idempotency::Window(0), "a window of none is `Idempotency::None`");
    let index = cx.a.principal_index().is_some();
    ensure!(has.meta.is_yes() || !index, "an index without meta has nothing to index by");
    Ok(())
}

/// Given a store that works, when asked, then it answers.
async fn ping_answers(cx: Cx) -> Outcome {
    cx.a.ping().await?;
    cx.b().await?.ping().await?;
    Ok(())
}

/// Given keys without a record, when anything but create is done to one of them, then nothing is
/// there afterwards.
async fn unknown_keys_leave_nothing_behind(cx: Cx) -> Outcome {
    let keys = new_keys(8)?;
    let other = new_key()?;
    let revision = cx.a.put(&other, "x").await?;
    cx.a.discard(&other).await?;
    let lease = Lease::new(OpToken::generate()?, LONG);
    let under = Expected::Lease { lease: &lease, revision, then: Then::Keep };
    for (n, key) in keys.iter().enumerate() {
        match n {
            0 => drop(cx.a.get(key).await),
            1 => drop(cx.a.update(key, "x", revision).await),
            2 => drop(cx.a.save_as(key, "x", Expected::Any).await),
            3 => drop(cx.a.save_as(key, "x", under).await),
            4 => drop(cx.a.prolong(key, HOUR, revision).await),
            5 => drop(cx.a.renew(key, &lease, LONG).await),
            6 => drop(cx.a.release(key, &lease).await),
            _ => cx.a.discard(key).await?,
        }
    }
    let b = cx.b().await?;
    if cx.has().sweeping == Sweeping::Needed {
        ensure_eq!(b.sweep_all().await?.scanned, 0, "what a sweep finds of unknown keys");
    }
    for (n, key) in keys.iter().enumerate() {
        ensure_eq!(b.get(key).await?, None, "a record nobody created, by operation {n}");
        let locked = cx.has().locking.is_yes() && b.is_locked(key).await?;
        ensure!(!locked, "an unknown key is locked, by operation {n}");
        b.put(key, "the first").await?;
    }
    Ok(())
}

/// Given a store that declares no locking, when locked in any way, then that is `Unsupported`.
async fn without_locking_locks_are_unsupported(cx: Cx) -> Outcome {
    let (key, fresh) = (new_key()?, new_key()?);
    let revision = cx.a.put(&key, "x").await?;
    let request = LockRequest::new(OpToken::generate()?, LONG, Duration::ZERO);
    let lease = Lease::new(request.op, LONG);
    let unsupported = ErrorKind::Unsupported;
    refused(cx.a.lock(&key, request).await, unsupported, "lock")?;
    refused(cx.a.renew(&key, &lease, LONG).await, unsupported, "renew")?;
    refused(cx.a.release(&key, &lease).await, unsupported, "release")?;
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
    refused(cx.a.save_as(&key, "y", expected).await, unsupported, "save under a lease")?;
    let delete = cx.a.delete(&key, expected, OpToken::generate()?).await;
    refused(delete, unsupported, "delete under a lease")?;
    let under = Some(Under::new(&lease, Then::Release));
    let write = Write::new("x", HOUR);
    let create = cx.a.create(&fresh, write, OpToken::generate()?, under).await;
    refused(create, unsupported, "create under a lease")?;
    ensure_eq!(cx.b().await?.get(&fresh).await?, None, "a refused create");
    ensure_eq!(cx.b().await?.found(&key).await?.payload, Bytes::from("x"), "a refused save");
    Ok(())
}

/// Given a store that declares no touch, when touched, then that is `Unsupported` and the life is
/// as it was.
async fn without_touch_it_is_unsupported(cx: Cx) -> Outcome {
    let key = new_key()?;
    let revision = cx.a.put(&key, "x").await?;
    let touch = cx.a.prolong(&key, HOUR * 10, revision).await;
    refused(touch, ErrorKind::Unsupported, "touch")?;
    let record = cx.a.found(&key).await?;
    ensure!(record.remaining <= (HOUR * 2).into(), "a refused touch prolonged the life");
    Ok(())
}

/// Given a store that keeps no meta, when written with some, then that is `Unsupported` and
/// nothing is written.
async fn without_meta_it_is_unsupported(cx: Cx) -> Outcome {
    let (fresh, stored) = (new_key()?, new_key()?);
    let revision = cx.a.put(&stored, "old").await?;
    let deadline = Some(cx.now().after(HOUR));
    let metas = [
        Meta::new().with_principal(Some(new_principal()?), 1),
        Meta::new().with_absolute_deadline(deadline),
    ];
    for meta in metas {
        let write = Write::new("with meta", HOUR).with_meta(meta);
        let create = cx.a.put_write(&fresh, write.clone()).await;
        refused(create, ErrorKind::Unsupported, "create with meta")?;
        let save = cx.a.save_write(&stored, write, Expected::Revision(revision)).await;
        refused(save, ErrorKind::Unsupported, "save with meta")?;
    }
    ensure_eq!(cx.b().await?.get(&fresh).await?, None, "a refused create");
    let record = cx.b().await?.found(&stored).await?;
    ensure_eq!(record.payload, Bytes::from("old"), "a refused save");
    ensure_eq!(record.meta, Meta::new(), "meta of a store that keeps none");
    Ok(())
}

/// Given an index of epochs only, when asked for sessions, then that is `Unsupported`, and the
/// sessions stay.
async fn without_listing_it_is_unsupported(cx: Cx) -> Outcome {
    let (key, principal) = (new_key()?, new_principal()?);
    let meta = Meta::new().with_principal(Some(principal), 0);
    cx.a.put_write(&key, Write::new("x", HOUR).with_meta(meta)).await?;
    let Some(index) = cx.a.principal_index() else { return Ok(()) };
    refused(index.list(&principal, None, 10).await, ErrorKind::Unsupported, "list")?;
    refused(index.revoke(&principal, None).await, ErrorKind::Unsupported, "revoke")?;
    cx.b().await?.found(&key).await?;
    Ok(())
}

/// Given meta, when created, saved, touched and locked, then it comes back as it was written last,
/// as a whole.
async fn meta_round_trips(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    let limited = Meta::new().with_absolute_deadline(Some(cx.now().after(HOUR * 5)));
    let owned = Meta::new().with_principal(Some(new_principal()?), 7);
    let both = limited.with_principal(owned.principal, u64::from(u32::MAX) + 1);
    let mut revision = cx.a.put_write(&key, Write::new("x", HOUR).with_meta(both)).await?;
    ensure_eq!(b.found(&key).await?.meta, both, "meta after create");
    for meta in [owned, limited, Meta::new(), both] {
        let write = Write::new("x", HOUR).with_meta(meta);
        revision = cx.a.save_write(&key, write, Expected::Revision(revision)).await?;
        ensure_eq!(b.found(&key).await?.meta, meta, "meta after save");
    }
    if cx.has().touch.is_yes() {
        b.prolong(&key, HOUR * 2, revision).await?;
        ensure_eq!(cx.a.found(&key).await?.meta, both, "meta after touch");
    }
    if cx.has().locking.is_yes() {
        let held = b.hold(&key).await?;
        ensure_eq!(held.record.map(|record| record.meta), Some(both), "meta that came with a lock");
        b.release(&key, &held.lease).await?;
    }
    Ok(())
}

/// Given a save that changes nothing, when it is done, then the revision is another one all the
/// same, and the incarnation is not.
async fn every_save_has_its_own_revision(cx: Cx) -> Outcome {
    let key = new_key()?;
    let first = cx.a.put(&key, "the same").await?;
    let second = cx.a.update(&key, "the same", first).await?;
    let third = cx.b().await?.update(&key, "the same", second).await?;
    ensure!(first != second && second != third && first != third, "two saves, one revision");
    for revision in [second, third] {
        ensure_eq!(revision.incarnation(), first.incarnation(), "the incarnation after a save");
    }
    refused(cx.a.update(&key, "late", first).await, ErrorKind::Conflict, "a stale save")?;
    Ok(())
}

/// Given a store whose revisions are digests, when a record returns to the same bytes, then it has
/// the same revision.
async fn equal_bytes_are_equal_revisions(cx: Cx) -> Outcome {
    let key = new_key()?;
    let first = cx.a.put(&key, "one").await?;
    let second = cx.a.update(&key, "another", first).await?;
    ensure!(first != second, "different bytes have one revision");
    refused(cx.a.update(&key, "late", first).await, ErrorKind::Conflict, "a stale save")?;
    let third = cx.a.update(&key, "one", second).await?;
    ensure_eq!(third, first, "the revision of the same bytes");
    Ok(())
}

/// Given a store whose revisions are digests, when a write starts a new lineage, then that is
/// `Unsupported` and nothing is written.
async fn without_incarnations_a_new_lineage_is_unsupported(cx: Cx) -> Outcome {
    let (fresh, stored) = (new_key()?, new_key()?);
    let revision = cx.a.put(&stored, "old").await?;
    let write = Write::new("another life", HOUR).with_lineage(Lineage::Restart);
    let create = cx.a.put_write(&fresh, write.clone()).await;
    refused(create, ErrorKind::Unsupported, "create with a new lineage")?;
    for expected in [Expected::Revision(revision), Expected::Any] {
        let save = cx.a.save_write(&stored, write.clone(), expected).await;
        refused(save, ErrorKind::Unsupported, "save with a new lineage")?;
    }
    ensure_eq!(cx.b().await?.get(&fresh).await?, None, "a refused create");
    ensure_eq!(cx.b().await?.found(&stored).await?.payload, Bytes::from("old"), "a refused save");
    Ok(())
}

/// Given a store whose server removes what has expired, when swept, then there is nothing to do.
async fn nothing_is_left_to_sweep_by_hand(cx: Cx) -> Outcome {
    let key = new_key()?;
    cx.a.put(&key, "alive").await?;
    let report = cx.a.sweep_all().await?;
    ensure_eq!(report.deleted, 0, "records that the server should have removed");
    cx.a.found(&key).await?;
    Ok(())
}

/// Given durations beyond all clocks, when asked for, then they are as good as endless, and nothing
/// overflows.
async fn any_duration_may_be_asked_for(cx: Cx) -> Outcome {
    let (key, ever) = (new_key()?, Duration::MAX);
    let revision = cx.a.put_for(&key, "x", ever).await?;
    cx.a.found(&key).await?;
    let write = Write::new("y", ever);
    let revision = cx.a.save_write(&key, write, Expected::Revision(revision)).await?;
    if cx.has().touch.is_yes() {
        cx.a.prolong(&key, ever, revision).await?;
    }
    cx.b().await?.sweep_in_steps(SweepBudget::new(usize::MAX, ever)).await?;
    cx.b().await?.found(&key).await?;
    if cx.has().locking.is_yes() {
        let held = cx.a.lock_for(&key, ever, ever).await?;
        ensure!(cx.b().await?.is_locked(&key).await?, "an endless lease does not exclude");
        cx.a.renew(&key, &held.lease, ever).await?;
        ensure!(cx.b().await?.is_locked(&key).await?, "an endless renewal does not exclude");
        cx.a.release(&key, &held.lease).await?;
        cx.b().await?.hold(&key).await?;
    }
    Ok(())
}
