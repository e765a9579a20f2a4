//! What can be wrong with `load`.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use session_core::{
    Error, ErrorKind, Incarnation, LockRequest, Meta, OpToken, Operation, ReadOptions, Record,
    Revision, Ttl, Write,
};
use tokio::runtime::Handle;

use super::{
    Memory, broken,
    mischief::{on_create, on_load},
};

broken! {
    MissingIsEmpty: "C04_missing_id_is_none_not_error";
    ReadCreates: "C05_read_of_unknown_id_writes_nothing", "C04_missing_id_is_none_not_error",
        "SEC-03_unknown_id_is_never_adopted",
        "SEC-24_unknown_id_and_log_out_without_a_session_write_nothing";
    CachesReads: "C09_last_update_visible_immediately", "C18_delete_then_read_none_on_other_node";
    ReadWaitsForTheLock: "L28_readers_share", "L30_read_only_request_never_writes_data";
    TornReads: "L29_reader_sees_no_torn_state";
    ReadProlongs: "E02_expiry_boundary_exact";
    ShowsTheExpired: "E01_expired_is_invisible_even_if_present", "E27_backwards_clock_step",
        "E09_own_idle_lifetime_goes_with_the_session";
    LivesInOneRuntime: "Z21_handles_work_in_several_runtimes";
    LoadsAnotherRevision: "C01_create_then_read_round_trips";
}

const HOUR: Duration = Duration::from_secs(3_600);

/// Reports an unknown id as a session without data.
#[derive(Debug, Default)]
struct MissingIsEmpty;

on_load!(MissingIsEmpty, |_, inner, key| {
    let revision = Revision::counted(Incarnation::NONE, 0);
    let empty = Record::new(Bytes::new(), Meta::new(), revision, HOUR.into());
    Ok(inner.load(key, ReadOptions::latest()).await?.or(Some(empty)))
});

/// Creates a session for every id that anybody asks for.
#[derive(Debug, Default)]
struct ReadCreates;

on_load!(ReadCreates, |_, inner, key| {
    let record = inner.load(key, ReadOptions::latest()).await?;
    if record.is_none() {
        inner.create(key, Write::new("", HOUR), OpToken::generate()?, None).await?;
    }
    Ok(record)
});

/// Answers from a cache that no write clears.
#[derive(Debug, Default)]
struct CachesReads(Memory<Record>);

on_load!(CachesReads, |this, inner, key| {
    if let Some(record) = this.0.get(key) {
        return Ok(Some(record));
    }
    let record = inner.load(key, ReadOptions::latest()).await?;
    if let Some(record) = &record {
        this.0.put(key, record.clone());
    }
    Ok(record)
});

/// Reads under the lock, as if reading were writing.
#[derive(Debug, Default)]
struct ReadWaitsForTheLock;

on_load!(ReadWaitsForTheLock, |_, inner, key| {
    let request = LockRequest::new(OpToken::generate()?, HOUR, HOUR);
    let locked = inner.lock(key, request).await?;
    if let Some(lease) = &locked.lease {
        inner.release(key, lease).await?;
    }
    Ok(locked.record)
});

/// Reads the first half of one state and the second half of another.
#[derive(Debug, Default)]
struct TornReads(Memory<Bytes>);

on_load!(TornReads, |this, inner, key| {
    let Some(mut record) = inner.load(key, ReadOptions::latest()).await? else {
        return Ok(None);
    };
    let payload = record.payload.clone();
    if let Some(former) = this.0.put(key, payload.clone()) {
        let mut torn = BytesMut::from(former.slice(..former.len() / 2));
        torn.extend_from_slice(&payload.slice(payload.len() / 2..));
        record.payload = torn.freeze();
    }
    Ok(Some(record))
});

/// Takes a look for a sign of life.
#[derive(Debug, Default)]
struct ReadProlongs;

on_load!(ReadProlongs, |_, inner, key| {
    let record = inner.load(key, ReadOptions::latest()).await?;
    if let Some(record) = &record {
        let incarnation = record.revision.incarnation();
        inner.touch(key, (HOUR * 2).into(), incarnation, OpToken::generate()?).await?;
    }
    Ok(record)
});

/// Lets the server forget the deadline, and shows what has expired.
#[derive(Debug, Default)]
struct ShowsTheExpired;

on_create!(ShowsTheExpired, |_, inner, key, mut write, op, under| {
    write.ttl = Ttl::NEVER;
    inner.create(key, write, op, under).await
});

/// Works in the runtime that used it first, and ends with it.
#[derive(Debug, Default)]
struct LivesInOneRuntime(OnceLock<Handle>);

on_load!(LivesInOneRuntime, |this, inner, key| {
    let (inner, key) = (Arc::clone(inner), key.clone());
    let runtime = this.0.get_or_init(Handle::current);
    let task = runtime.spawn(async move { inner.load(&key, ReadOptions::latest()).await });
    let failed = |_| Error::new(ErrorKind::Backend, "broken", Operation::Load);
    task.await.unwrap_or_else(|error| Err(failed(error)))
});

/// Does not know which state it has read.
#[derive(Debug, Default)]
struct LoadsAnotherRevision;

on_load!(LoadsAnotherRevision, |_, inner, key| {
    let mut record = inner.load(key, ReadOptions::latest()).await?;
    if let Some(record) = &mut record {
        record.revision = Revision::of_content(0);
    }
    Ok(record)
});
