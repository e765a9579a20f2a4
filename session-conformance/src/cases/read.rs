//! Reading: C04, C05, C09, L28, L29.

use std::{
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use session_core::{Key, Revision};

use super::cases;
use crate::{
    client::Client,
    context::{Cx, new_key},
    outcome::{Outcome, ensure, ensure_eq, soon},
    together::{Effort, race},
};

cases! {
    "C04" missing_id_is_none_not_error;
    "C05" read_of_unknown_id_writes_nothing;
    "C09" last_update_visible_immediately;
    "L28" readers_share [Locking];
    "L29" reader_sees_no_torn_state;
}

/// Given no record, when read, then there is none, and no error.
async fn missing_id_is_none_not_error(cx: Cx) -> Outcome {
    let key = new_key()?;
    for client in [cx.a.clone(), cx.b().await?] {
        ensure_eq!(client.get(&key).await?, None, "a record nobody created");
    }
    Ok(())
}

/// Given no record, when unknown ids are read 1,000 times, then nothing is written.
async fn read_of_unknown_id_writes_nothing(cx: Cx) -> Outcome {
    let known = new_key()?;
    let servers = [cx.a.clone(), cx.b().await?];
    let before = cx.writes().await?;
    race(&cx, 8, known.clone(), |n, client, same| async move {
        for _ in 0..125 {
            let key = if n < 4 { same.clone() } else { new_key()? };
            ensure_eq!(client.get(&key).await?, None, "a record nobody created");
        }
        Ok(())
    })
    .await?;
    ensure_eq!(cx.writes().await?, before, "reads of unknown ids wrote");
    if before.is_none() {
        cx.note("the fixture does not count writes: shown by what is there afterwards");
    }
    for client in servers {
        if let Some(enumeration) = client.enumeration() {
            ensure_eq!(enumeration.keys(None, 10).await?.keys, [], "reads created sessions");
        }
    }
    cx.a.put(&known, "the first").await?;
    Ok(())
}

/// Given a committed update on one server, when another reads, then it sees it.
async fn last_update_visible_immediately(cx: Cx) -> Outcome {
    let key = new_key()?;
    let mut revision = cx.a.put(&key, "0").await?;
    let servers = [cx.a.clone(), cx.b().await?];
    for round in 1..=50 {
        let (writer, reader) = if round % 2 == 0 { (0, 1) } else { (1, 0) };
        let [writer, reader] = [writer, reader].map(|n: usize| servers.get(n).cloned());
        let (Some(writer), Some(reader)) = (writer, reader) else { continue };
        let payload = round.to_string();
        revision = writer.update(&key, payload.clone(), revision).await?;
        cx.sees(&reader, &key, Some(&payload)).await?;
    }
    Ok(())
}

/// Given a lock that is held, when three others read, then none of them waits.
async fn readers_share(cx: Cx) -> Outcome {
    let key = new_key()?;
    cx.a.put(&key, "for all").await?;
    let held = cx.a.hold(&key).await?;
    let readers = race(&cx, 3, key.clone(), |_, client, key| async move {
        soon("a read under somebody's lock", client.found(&key)).await?
    });
    for record in readers.await? {
        ensure_eq!(record.payload, Bytes::from("for all"), "a reader under a lock");
    }
    cx.a.release(&key, &held.lease).await?;
    Ok(())
}

/// Given a writer at work, when others read, then each sees one whole state, never parts of two.
async fn reader_sees_no_torn_state(cx: Cx) -> Outcome {
    let key = new_key()?;
    let largest = cx.has().max_payload.min(100_000);
    let revision = cx.a.put(&key, state(0, largest)).await?;
    let work = Arc::new(Work::default());
    let all = race(&cx, 4, (key, work), move |n, client, (key, work)| async move {
        match n {
            0 => write_states(&client, &key, revision, largest, &work).await,
            _ => read_states(&client, &key, largest, &work).await,
        }
    });
    all.await.map(drop)
}

/// How far writer and readers are.
#[derive(Debug, Default)]
struct Work {
    reads: AtomicUsize,
    written: AtomicBool,
}

/// So many reads happen beside writes at least: a reader may be held up for as long as many writes take.
const READS: usize = 12;

/// The `n`th state: a length and bytes that belong to it alone.
fn state(n: u8, largest: usize) -> Vec<u8> {
    vec![n; 1 + usize::from(n) * 7_919 % largest]
}

async fn write_states(
    client: &Client,
    key: &Key,
    mut revision: Revision,
    largest: usize,
    work: &Work,
) -> Outcome {
    let effort = Effort::times(20, 500);
    let mut done = 0;
    while effort.goes_on(done) || work.reads.load(Ordering::SeqCst) < READS {
        done += 1;
        let n = u8::try_from(done % 251).unwrap_or_default();
        revision = client.update(key, state(n, largest), revision).await?;
        if done == 1 {
            // Those so far may all have come before it.
            work.reads.store(0, Ordering::SeqCst);
        }
        // A store in memory waits for nothing, and would let no reader in.
        tokio::task::yield_now().await;
    }
    work.written.store(true, Ordering::SeqCst);
    Ok(())
}

async fn read_states(client: &Client, key: &Key, largest: usize, work: &Work) -> Outcome {
    loop {
        let last = work.written.load(Ordering::SeqCst);
        let payload = client.found(key).await?.payload;
        let first = payload.first().copied().unwrap_or_default();
        ensure!(
            payload == state(first, largest),
            "a reader saw {} bytes that are no state that was ever written",
            payload.len()
        );
        work.reads.fetch_add(1, Ordering::SeqCst);
        if last {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
}
