//! Damaged records: C20, C21, C30.

use session_core::{ErrorKind, Key, Revision};

use super::cases;
use crate::{
    Damage,
    client::HOUR,
    context::{Cx, new_key},
    outcome::{Failure, Outcome, ensure_eq, refused, refused_as},
};

cases! {
    "C20" corrupt_record_is_typed_error [RawAccess, NativeLayout];
    "C21" corrupt_record_not_overwritten_by_touch [RawAccess, NativeLayout, Touch];
    "C30" partial_record_is_not_a_session [RawAccess, NativeLayout];
}

/// A stored record that was damaged behind the store's back.
async fn damaged(cx: &Cx, damage: Damage) -> Result<(Key, Revision), Failure> {
    let raw = cx.backend().raw().ok_or_else(|| Failure::new("the fixture has no raw access"))?;
    let key = new_key()?;
    let revision = cx.a.put(&key, vec![b'x'; 1_000]).await?;
    raw.damage(cx.namespace(), &key, damage).await?;
    Ok((key, revision))
}

/// Given a record with a flipped bit, when read, then that is `Corrupt`, and it is neither empty
/// nor free to be written over; a logout still removes it.
async fn corrupt_record_is_typed_error(cx: Cx) -> Outcome {
    let (key, revision) = damaged(&cx, Damage::FlippedBit).await?;
    for client in [cx.a.clone(), cx.b().await?] {
        refused(client.get(&key).await, ErrorKind::Corrupt, "a read of a damaged record")?;
    }
    let create = cx.a.put(&key, "over it").await;
    let kinds = [ErrorKind::Corrupt, ErrorKind::AlreadyExists];
    refused_as(create, &kinds, "create over a damaged record")?;
    if let Err(error) = cx.a.update(&key, "over it", revision).await {
        let kinds = [ErrorKind::Corrupt, ErrorKind::Conflict];
        refused_as::<()>(Err(error), &kinds, "save over a damaged record")?;
        refused(cx.a.get(&key).await, ErrorKind::Corrupt, "a damaged record after a save")?;
    }
    cx.a.discard(&key).await?;
    ensure_eq!(cx.b().await?.get(&key).await?, None, "a damaged record after its deletion");
    Ok(())
}

/// Given a damaged record, when touched, then it stays as it is, for inspection.
async fn corrupt_record_not_overwritten_by_touch(cx: Cx) -> Outcome {
    let (key, revision) = damaged(&cx, Damage::FlippedBit).await?;
    if let Err(error) = cx.a.prolong(&key, HOUR * 2, revision).await {
        let kinds = [ErrorKind::Corrupt, ErrorKind::Conflict, ErrorKind::NotFound];
        refused_as::<()>(Err(error), &kinds, "touch of a damaged record")?;
    }
    refused(cx.a.get(&key).await, ErrorKind::Corrupt, "a damaged record after a touch")?;
    Ok(())
}

/// Given a record that lost its second half, when read, then it is no session: absent or
/// `Corrupt`.
async fn partial_record_is_not_a_session(cx: Cx) -> Outcome {
    let (key, _) = damaged(&cx, Damage::Truncated).await?;
    for client in [cx.a.clone(), cx.b().await?] {
        match client.get(&key).await {
            Ok(None) => {}
            read => drop(refused(read, ErrorKind::Corrupt, "a read of half a record")?),
        }
    }
    Ok(())
}
