//! Creating records: C01 to C07.

use bytes::Bytes;
use session_core::{ErrorKind, Meta};

use super::cases;
use crate::{
    client::HOUR,
    context::{Cx, finite, new_key},
    outcome::{Outcome, ensure, ensure_eq, refused},
    together::{only_winner, race},
};

cases! {
    "C01" create_then_read_round_trips;
    "C02" binary_payload_is_preserved;
    "C03" empty_payload_is_not_absence [EmptyPayloads];
    "C06" create_collision_is_reported;
    "C07" concurrent_create_same_id_one_winner;
}

/// Given an empty store, when a session is created and read back, then the record is what was
/// written, on either server.
async fn create_then_read_round_trips(cx: Cx) -> Outcome {
    let key = new_key()?;
    let revision = cx.a.put(&key, "the first state").await?;
    for client in [cx.a.clone(), cx.b().await?] {
        let record = client.found(&key).await?;
        ensure_eq!(record.payload, Bytes::from("the first state"), "the payload differs");
        ensure_eq!(record.revision, revision, "load and create name different revisions");
        ensure_eq!(record.meta, Meta::new(), "meta appeared that was not written");
        let remaining = finite(record.remaining)?;
        let most = HOUR + cx.has().expiry_precision;
        ensure!(!remaining.is_zero() && remaining <= most, "{remaining:?} remain of {HOUR:?}");
    }
    Ok(())
}

/// Given all 256 byte values, NUL runs and line ends, when stored, then they are read back bit by
/// bit.
async fn binary_payload_is_preserved(cx: Cx) -> Outcome {
    let every: Vec<u8> = (0..=u8::MAX).collect();
    let samples: [&[u8]; 6] =
        [&every, b"\0\0\0", b"\r\n", b"END\r\n\r\n", b"\xff\xfe\x80", b"trailing space \t\0"];
    for sample in samples {
        let key = new_key()?;
        let revision = cx.a.put(&key, sample.to_vec()).await?;
        ensure_eq!(cx.b().await?.found(&key).await?.payload, sample, "create mangles bytes");
        let doubled = [sample, sample].concat();
        cx.a.update(&key, doubled.clone(), revision).await?;
        ensure_eq!(cx.b().await?.found(&key).await?.payload, doubled, "save mangles bytes");
    }
    Ok(())
}

/// Given a payload of no bytes, when read, then it is present and empty, not missing.
async fn empty_payload_is_not_absence(cx: Cx) -> Outcome {
    let (created, saved) = (new_key()?, new_key()?);
    let revision = cx.a.put(&created, "").await?;
    ensure_eq!(cx.a.found(&created).await?.payload, Bytes::new(), "an empty payload grew");
    refused(cx.a.put(&created, "x").await, ErrorKind::AlreadyExists, "create over an empty one")?;
    cx.a.update(&created, "full", revision).await?;
    let revision = cx.a.put(&saved, "full").await?;
    cx.a.update(&saved, "", revision).await?;
    ensure_eq!(cx.a.found(&saved).await?.payload, Bytes::new(), "save of an empty payload");
    Ok(())
}

/// Given an existing session, when another is created under its id, then that is refused and the
/// session is untouched.
async fn create_collision_is_reported(cx: Cx) -> Outcome {
    let key = new_key()?;
    cx.a.put(&key, "original").await?;
    let before = cx.a.found(&key).await?;
    for client in [cx.a.clone(), cx.b().await?] {
        for payload in ["another", "original"] {
            let outcome = client.put(&key, payload).await;
            refused(outcome, ErrorKind::AlreadyExists, "create on a taken id")?;
        }
    }
    let after = cx.a.found(&key).await?;
    ensure_eq!(after.payload, before.payload, "a refused create changed the payload");
    ensure_eq!(after.revision, before.revision, "a refused create changed the revision");
    Ok(())
}

/// Given 16 creators of one id on two servers, when released together, then exactly one succeeds
/// and the record is his.
async fn concurrent_create_same_id_one_winner(cx: Cx) -> Outcome {
    for round in 0..5 {
        let key = new_key()?;
        let outcomes = race(&cx, 16, key.clone(), |n, client, key| async move {
            Ok(client.put(&key, format!("creator {n}")).await)
        })
        .await?;
        let (winner, revision) = only_winner(
            outcomes,
            ErrorKind::AlreadyExists,
            format_args!("creators, round {round}"),
        )?;
        let record = cx.a.found(&key).await?;
        ensure_eq!(record.payload, format!("creator {winner}"), "the record is not the winner's");
        ensure_eq!(record.revision, revision, "the revision is not the winner's");
    }
    Ok(())
}
