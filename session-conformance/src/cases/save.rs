//! Saving, and the limit of payloads: C08, C10 to C12.

use bytes::Bytes;
use session_core::{ErrorKind, Expected, Then};

use super::cases;
use crate::{
    context::{Cx, new_key},
    outcome::{Outcome, ensure, ensure_eq, refused},
};

cases! {
    "C08" update_of_missing_session_fails;
    "C08" update_under_a_lock_of_nothing_fails [Locking, HeldAbsent];
    "C10" oversized_payload_rejected_before_io [ReachableLimit];
    "C11" oversized_payload_keeps_old_value [ReachableLimit];
    "C12" payload_at_exact_limit_succeeds [ReachableLimit];
}

/// Given no record, when one is saved whatever is expected, then that is `NotFound` and nothing is
/// created.
async fn update_of_missing_session_fails(cx: Cx) -> Outcome {
    let (never, deleted) = (new_key()?, new_key()?);
    let revision = cx.a.put(&deleted, "gone soon").await?;
    cx.a.discard(&deleted).await?;
    for key in [&never, &deleted] {
        for expected in [Expected::Any, Expected::Revision(revision)] {
            let outcome = cx.a.save_as(key, "back again", expected).await;
            refused(outcome, ErrorKind::NotFound, format_args!("save of nothing, {expected:?}"))?;
            ensure_eq!(cx.b().await?.get(key).await?, None, "a refused save created a record");
        }
    }
    Ok(())
}

/// Given a lock on a key without a record, when a record is saved under it, then that is
/// `NotFound` and nothing is created.
async fn update_under_a_lock_of_nothing_fails(cx: Cx) -> Outcome {
    let key = new_key()?;
    let revision = cx.a.put(&new_key()?, "of another session").await?;
    let held = cx.a.hold(&key).await?;
    let expected = Expected::Lease { lease: &held.lease, revision, then: Then::Release };
    refused(cx.a.save_as(&key, "x", expected).await, ErrorKind::NotFound, "save of nothing")?;
    ensure_eq!(cx.b().await?.get(&key).await?, None, "a refused save created a record");
    cx.a.release(&key, &held.lease).await?;
    Ok(())
}

/// Given a payload one byte too large, when created or saved, then that is `TooLarge` and nothing
/// was sent.
async fn oversized_payload_rejected_before_io(cx: Cx) -> Outcome {
    let (fresh, stored) = (new_key()?, new_key()?);
    let too_large = Bytes::from(vec![7; cx.has().max_payload + 1]);
    let revision = cx.a.put(&stored, "small").await?;
    let before = cx.writes().await?;
    refused(cx.a.put(&fresh, too_large.clone()).await, ErrorKind::TooLarge, "create")?;
    refused(cx.a.update(&stored, too_large.clone(), revision).await, ErrorKind::TooLarge, "save")?;
    let any = cx.a.save_as(&stored, too_large, Expected::Any).await;
    refused(any, ErrorKind::TooLarge, "save of anything")?;
    ensure_eq!(cx.writes().await?, before, "an oversized payload was sent");
    if before.is_none() {
        cx.note("the fixture does not count writes: only the refusal was checked");
    }
    ensure_eq!(cx.a.get(&fresh).await?, None, "an oversized create left a record");
    Ok(())
}

/// Given a stored session, when an oversized save is attempted, then the old data is still there.
async fn oversized_payload_keeps_old_value(cx: Cx) -> Outcome {
    let key = new_key()?;
    let revision = cx.a.put(&key, "the old value").await?;
    let too_large = vec![7; cx.has().max_payload + 1];
    refused(cx.a.update(&key, too_large, revision).await, ErrorKind::TooLarge, "save")?;
    let record = cx.b().await?.found(&key).await?;
    ensure_eq!(record.payload, Bytes::from("the old value"), "a refused save changed the payload");
    ensure_eq!(record.revision, revision, "a refused save changed the revision");
    cx.a.update(&key, "the new value", revision).await?;
    Ok(())
}

/// Given a payload of exactly the limit, when created and saved, then it is read back whole.
async fn payload_at_exact_limit_succeeds(cx: Cx) -> Outcome {
    let key = new_key()?;
    let limit = cx.has().max_payload;
    let pattern = |step: usize| -> Bytes {
        // No period divides a power of two, so that a cut or a shift shows.
        (0..limit).map(|n| u8::try_from(n * step % 251).unwrap_or_default()).collect()
    };
    let created = pattern(1);
    let revision = cx.a.put(&key, created.clone()).await?;
    let read = cx.b().await?.found(&key).await?.payload;
    ensure!(read == created, "{} of {limit} bytes came back whole after create", read.len());
    let saved = pattern(3);
    cx.a.update(&key, saved.clone(), revision).await?;
    let read = cx.b().await?.found(&key).await?.payload;
    ensure!(read == saved, "{} of {limit} bytes came back whole after save", read.len());
    Ok(())
}
