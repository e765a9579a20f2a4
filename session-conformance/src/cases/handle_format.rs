//! Records of other versions and damaged ones, through the handle: C21 to C23.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use session_core::{ErrorKind, Format, NativeFormat, Operation, Session, SessionId, Timestamp};

use super::cases;
use crate::{
    Damage,
    client::{HOUR, LONG},
    context::Cx,
    outcome::{Failure, Outcome, PATIENCE, ensure, ensure_eq, refused},
    server::{Server, ensure_entry, key},
};

cases! {
    "C21" unreadable_record_is_left_by_the_handle;
    "C21" damaged_record_is_left_by_the_handle [RawAccess];
    "C22" old_schema_record_reads;
    "C23" newer_schema_record_refused;
}

/// A payload of version 1 as it was once written: created at 1,700,000,000,000, `count` is 7, `user`
/// is "ada", in MessagePack.
const VERSION_1: &str = "f55345530101000000000068e5cf8b01000002000000\
    05636f756e740100000007\
    047573657204000000a3616461";
/// Where the envelope says its version; see `docs/formats/envelope.md`.
const VERSION_AT: usize = 4;

/// An id, under which `payload` is stored.
async fn stored(cx: &Cx, payload: Bytes) -> Result<SessionId, Failure> {
    let id = SessionId::generate()?;
    cx.a.put(&key(&id), payload).await?;
    Ok(id)
}

/// A payload as it is written today.
fn written_today() -> Result<Bytes, Failure> {
    let format = NativeFormat::default();
    let mut document = format.new_document(Timestamp::from_millis(1_700_000_000_000));
    let value = format.encode_value(document.header.codec, &"ada")?;
    document.entries.insert("user", value);
    Ok(format.encode(&document)?)
}

/// Tries everything that a request may do to a session whose record cannot be read: all of it is
/// `Corrupt`, no new id is set, and no lock is left.
async fn ensure_unreadable(cx: &Cx, id: &SessionId) -> Outcome {
    for server in Server::both(cx).await? {
        let corrupt = |outcome: session_core::Result<()>, what: &str| {
            refused(outcome, ErrorKind::Corrupt, format_args!("{what} an unreadable session"))
        };
        let session = server.open(id);
        corrupt(session.get::<String>("user").await.map(drop), "get of")?;
        corrupt(session.read_only().names().await.map(drop), "a look at")?;
        corrupt(session.insert("user", "eve").await, "insert into")?;
        corrupt(session.update(|data| data.insert("user", "eve")).await, "update of")?;
        corrupt(session.clear().await, "clear of")?;
        corrupt(session.cycle_id().await, "cycle_id of")?;
        corrupt(session.delete().await, "delete of")?;
        if cx.has().meta.is_yes() {
            corrupt(session.login("eve").await, "login to")?;
        }
        if cx.has().locking.is_yes() {
            corrupt(session.lock(Duration::ZERO).await.map(drop), "lock of")?;
            let b = cx.b().await?;
            let held = b.lock_for(&key(id), LONG, PATIENCE).await?;
            b.release(&key(id), &held.lease).await?;
        }
        session.save().await?;
        ensure_no_writes(&server, &session)?;
    }
    Ok(())
}

fn ensure_no_writes(server: &Server, session: &Session) -> Outcome {
    let writes = [Operation::Create, Operation::Save, Operation::Touch, Operation::Delete];
    for operation in writes {
        ensure_eq!(server.wire.count(operation), 0, "{operation:?} of an unreadable session");
    }
    ensure_eq!(session.cookie_change(), session_core::CookieChange::None, "the cookie");
    Ok(())
}

/// Given a record that is no session, when used in any way, then that is `Corrupt`, and the record
/// stays as it is for inspection.
async fn unreadable_record_is_left_by_the_handle(cx: Cx) -> Outcome {
    let whole = written_today()?;
    let truncated = whole.slice(..whole.len() - 1);
    let empty = cx.has().empty_payloads.is_yes().then(Bytes::new);
    for payload in empty.into_iter().chain([Bytes::from("no envelope"), truncated]) {
        let id = stored(&cx, payload.clone()).await?;
        ensure_unreadable(&cx, &id).await?;
        ensure!(cx.a.found(&key(&id)).await?.payload == payload, "an unreadable record changed");
    }
    Ok(())
}

/// Given a record that was damaged in the store, when used in any way, then that is `Corrupt`, and
/// the record stays for inspection.
async fn damaged_record_is_left_by_the_handle(cx: Cx) -> Outcome {
    let Some(raw) = cx.backend().raw() else { return Ok(()) };
    let id = stored(&cx, written_today()?).await?;
    raw.damage(cx.namespace(), &key(&id), Damage::FlippedBit).await?;
    let before = raw.dump(cx.namespace()).await?;
    let server = Server::new(&cx, &cx.a)?;
    let session = server.open(&id);
    refused(session.get::<String>("user").await, ErrorKind::Corrupt, "get of a damaged session")?;
    refused(session.insert("user", "eve").await, ErrorKind::Corrupt, "insert into it")?;
    session.save().await?;
    ensure_no_writes(&server, &session)?;
    ensure!(raw.dump(cx.namespace()).await? == before, "a damaged record changed");
    Ok(())
}

/// Given a record of an earlier version, when read and saved, then all of it is there, and it is of
/// the present version.
async fn old_schema_record_reads(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let old = HEXLOWER.decode(VERSION_1.as_bytes()).map_err(Failure::new)?;
    let id = stored(&cx, old.into()).await?;
    let session = a.open(&id);
    ensure_entry(&session, "count", Some(7)).await?;
    session.insert("new", true).await?;
    session.save().await?;
    let now = b.open(&id);
    ensure_entry(&now, "user", Some("ada".to_owned())).await?;
    ensure_entry(&now, "count", Some(7)).await?;
    ensure_entry(&now, "new", Some(true)).await?;
    let created = now.facts().await?.map(|facts| facts.created_at.as_millis());
    ensure_eq!(created, Some(1_700_000_000_000), "when it was created");
    let (payload, today) = (cx.a.found(&key(&id)).await?.payload, written_today()?);
    ensure_eq!(payload.get(..=VERSION_AT), today.get(..=VERSION_AT), "the version");
    Ok(())
}

/// Given a record of a version that this program does not know, when used in any way, then that is
/// `Corrupt`, and the record stays as it is.
async fn newer_schema_record_refused(cx: Cx) -> Outcome {
    let newer = |payload: Bytes| {
        let mut payload = payload.to_vec();
        if let Some(version) = payload.get_mut(VERSION_AT) {
            *version = version.saturating_add(1);
        }
        Bytes::from(payload)
    };
    let payload = newer(written_today()?);
    let id = stored(&cx, payload.clone()).await?;
    ensure_unreadable(&cx, &id).await?;
    ensure!(cx.a.found(&key(&id)).await?.payload == payload, "a newer record changed");
    overtaken(&cx, newer).await
}

/// A request that has read the session before a newer program rewrote it.
async fn overtaken(cx: &Cx, newer: impl Fn(Bytes) -> Bytes) -> Outcome {
    let server = Server::new(cx, &cx.a)?;
    let id = server.start().await?;
    let in_flight = server.open(&id);
    in_flight.insert("late", true).await?;
    let record = cx.a.found(&key(&id)).await?;
    let payload = newer(record.payload);
    let write = session_core::Write::new(payload.clone(), HOUR);
    let expected = session_core::Expected::Revision(record.revision);
    cx.b().await?.save_write(&key(&id), write.with_meta(record.meta), expected).await?;
    let late = in_flight.save().await;
    refused(late, ErrorKind::Corrupt, "a save over a newer version")?;
    let late = in_flight.update(|data| data.insert("late", false)).await;
    refused(late, ErrorKind::Corrupt, "an update over a newer version")?;
    ensure!(cx.a.found(&key(&id)).await?.payload == payload, "a newer record was overwritten");
    Ok(())
}
