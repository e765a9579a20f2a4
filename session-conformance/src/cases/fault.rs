//! What goes wrong on the way, as far as a store shows it without a network fault: L44, Z05, Z21,
//! Z23.

use std::time::Duration;

use bytes::Bytes;
use session_core::{Expected, Idempotency, LockScope, OpToken, Sweeping, Then, Ttl, Under, Write};

use super::cases;
use crate::{
    client::{Client, HOUR, LONG},
    context::{Cx, new_key},
    outcome::{Failure, Outcome, ensure, ensure_eq, soon},
    together::{Effort, race},
};

cases! {
    "L44" pool_of_one_connection_does_not_self_deadlock [Locking, SingleConnection];
    "Z05" create_sent_again_takes_effect_once [Idempotency];
    "Z05" save_sent_again_takes_effect_once [Idempotency];
    "Z05" save_sent_again_within_the_window_takes_effect_once [Idempotency];
    "Z05" locked_commit_sent_again_takes_effect_once [Idempotency, Locking];
    "Z05" delete_sent_again_takes_effect_once;
    "Z21" handles_work_in_several_runtimes;
    "Z23" soak_leaves_nothing;
}

/// Given a pool of one connection and a holder, when it commits and others wait on the same pool,
/// then all of them get done.
async fn pool_of_one_connection_does_not_self_deadlock(cx: Cx) -> Outcome {
    let Some(single) = cx.backend().single_connection() else { return Ok(()) };
    let client = Client::new(single.open_single(cx.namespace()).await?);
    let key = new_key()?;
    client.put(&key, "0").await?;
    let done = race(&cx, 4, (key.clone(), client), |n, _, (key, client)| async move {
        let held = client.lock_for(&key, LONG, LONG).await?;
        client.found(&key).await?;
        let expected =
            Expected::Lease { lease: &held.lease, revision: held.revision()?, then: Then::Release };
        client.save_as(&key, n.to_string(), expected).await?;
        Ok(())
    });
    soon("locked commits over one connection", done).await??;
    Ok(())
}

/// Given a create whose reply was lost, when it is sent again with its token, then it returns the
/// revision of the first time.
async fn create_sent_again_takes_effect_once(cx: Cx) -> Outcome {
    let (key, op) = (new_key()?, OpToken::generate()?);
    let write = Write::new("created", HOUR);
    let first = cx.a.create(&key, write.clone(), op, None).await?;
    let second = cx.b().await?.create(&key, write, op, None).await?;
    ensure_eq!(second, first, "the revision of a create that was sent again");
    ensure_eq!(cx.a.found(&key).await?.revision, first, "the revision of the record");
    Ok(())
}

/// Given a save whose reply was lost, when it is sent again with its token, then it returns the
/// revision of the first time and writes nothing more.
async fn save_sent_again_takes_effect_once(cx: Cx) -> Outcome {
    let (key, op) = (new_key()?, OpToken::generate()?);
    let old = cx.a.put(&key, "old").await?;
    let write = Write::new("new", HOUR);
    let expected = Expected::Revision(old);
    let first = cx.a.save(&key, write.clone(), expected, op).await?;
    let second = cx.b().await?.save(&key, write, expected, op).await?;
    ensure_eq!(second, first, "the revision of a save that was sent again");
    ensure_eq!(cx.a.found(&key).await?.revision, first, "the revision of the record");
    Ok(())
}

/// Given a save whose reply was lost, when others commit as often as the store's window allows and
/// it is then sent again, then it returns its revision and the latest data stands.
async fn save_sent_again_within_the_window_takes_effect_once(cx: Cx) -> Outcome {
    let Idempotency::Window(window) = cx.has().idempotency else { return Ok(()) };
    let (key, op) = (new_key()?, OpToken::generate()?);
    cx.a.put(&key, "old").await?;
    let first = cx.a.save(&key, Write::new("first", HOUR), Expected::Any, op).await?;
    let (mut latest, mut payload) = (first, "first".to_owned());
    for n in 1..window.min(20) {
        payload = format!("commit {n} after it");
        latest = cx.b().await?.update(&key, payload.clone(), latest).await?;
    }
    let again = cx.a.save(&key, Write::new("first", HOUR), Expected::Any, op).await?;
    ensure_eq!(again, first, "the revision of a save that was sent again");
    let record = cx.b().await?.found(&key).await?;
    ensure_eq!(record.payload, payload, "a save took effect twice");
    ensure_eq!(record.revision, latest, "the revision after a save was sent again");
    Ok(())
}

/// Given a commit that released its lock and whose reply was lost, when it is sent again while
/// another holds the lock, then it returns its revision and the other still holds.
async fn locked_commit_sent_again_takes_effect_once(cx: Cx) -> Outcome {
    let (key, op, b) = (new_key()?, OpToken::generate()?, cx.b().await?);
    cx.a.put(&key, "old").await?;
    let held = cx.a.hold(&key).await?;
    let expected =
        Expected::Lease { lease: &held.lease, revision: held.revision()?, then: Then::Release };
    let write = Write::new("new", HOUR);
    let first = cx.a.save(&key, write.clone(), expected, op).await?;
    let successor = b.hold(&key).await?;
    let again = cx.a.save(&key, write, expected, op).await?;
    ensure_eq!(again, first, "the revision of a commit that was sent again");
    ensure!(cx.a.is_locked(&key).await?, "a commit that was sent again freed another's lock");
    let revision = successor.revision()?;
    let expected = Expected::Lease { lease: &successor.lease, revision, then: Then::Release };
    b.save_as(&key, "the successor's", expected).await?;
    Ok(())
}

/// Given a deletion whose reply was lost, when it is sent again, then that is success.
async fn delete_sent_again_takes_effect_once(cx: Cx) -> Outcome {
    let (key, op) = (new_key()?, OpToken::generate()?);
    let revision = cx.a.put(&key, "x").await?;
    for client in [cx.a.clone(), cx.a.clone(), cx.b().await?] {
        client.delete(&key, Expected::Revision(revision), op).await?;
    }
    ensure_eq!(cx.a.get(&key).await?, None, "a deleted session");
    Ok(())
}

/// Given one handle that is used from two runtimes, when one of them ends, then the handle still
/// works in the other.
async fn handles_work_in_several_runtimes(cx: Cx) -> Outcome {
    let (key, shared) = (new_key()?, cx.b().await?);
    let revision = shared.put(&key, "first runtime").await?;
    let (client, wanted) = (Client::new(shared.store()), key.clone());
    let second = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Failure::new)?;
        runtime.block_on(async {
            client.found(&wanted).await?;
            let revision = client.update(&wanted, "second runtime", revision).await?;
            if client.capabilities().locking.is_yes() {
                let held = client.hold(&wanted).await?;
                client.release(&wanted, &held.lease).await?;
            }
            Ok::<_, Failure>(revision)
        })
    });
    let revision = soon("work in a second runtime", second).await???;
    let record = soon("a read after the second runtime", shared.found(&key)).await??;
    ensure_eq!(record.payload, Bytes::from("second runtime"), "the data");
    soon("a save after the second runtime", shared.update(&key, "first again", revision)).await??;
    Ok(())
}

/// Given a thousand sessions that were created, locked, saved, and deleted or left to expire, then
/// nothing of them is left.
async fn soak_leaves_nothing(cx: Cx) -> Outcome {
    let raw = cx.backend().raw();
    let before = match raw {
        Some(raw) => raw.dump(cx.namespace()).await?.len(),
        None => 0,
    };
    let effort = Effort::times(10, 125);
    // Nobody waits for a lock, which others are to have only of sessions of their own.
    let at_once = if cx.has().lock_scope == LockScope::Store { 1 } else { 8 };
    let lives = race(&cx, at_once, (), move |_, client, ()| async move {
        let mut done = 0;
        while effort.goes_on(done) {
            one_life(&client, done).await?;
            done += 1;
        }
        Ok(done)
    });
    let sum: usize = lives.await?.into_iter().sum();
    cx.note(format!("{sum} sessions"));
    cx.pass(cx.has().expiry_precision + cx.has().takeover_time).await?;
    cx.a.sweep_all().await?;
    if cx.has().sweeping == Sweeping::Needed {
        ensure_eq!(cx.a.sweep_all().await?.scanned, 0, "records left of {sum} sessions");
    }
    if let Some(raw) = raw {
        let after = raw.dump(cx.namespace()).await?.len();
        ensure_eq!(after, before, "stored items after {sum} sessions");
    }
    Ok(())
}

async fn one_life(client: &Client, n: usize) -> Outcome {
    let key = new_key()?;
    let has = client.capabilities();
    let revision = client.put(&key, "born").await?;
    let mut revision = client.update(&key, "grown", revision).await?;
    if has.locking.is_yes() {
        let held = client.lock_for(&key, LONG, Duration::ZERO).await?;
        let then = if n.is_multiple_of(2) { Then::Release } else { Then::Keep };
        let expected = Expected::Lease { lease: &held.lease, revision, then };
        revision = client.save_as(&key, "locked", expected).await?;
        client.release(&key, &held.lease).await?;
        absent_life(client).await?;
    }
    match n % 3 {
        0 => client.discard(&key).await?,
        1 => client.delete(&key, Expected::Revision(revision), OpToken::generate()?).await?,
        _ => {
            let over = Write::new("over", Ttl::ZERO);
            client.save_write(&key, over, Expected::Revision(revision)).await?;
        }
    }
    Ok(())
}

/// A lock on a key without a record, which is given back or becomes a record.
async fn absent_life(client: &Client) -> Outcome {
    let key = new_key()?;
    let locked = client.request(&key, LONG, Duration::ZERO).await?;
    if let Some(lease) = &locked.lease {
        let under = Some(Under::new(lease, Then::Release));
        client.create(&key, Write::new("x", HOUR), OpToken::generate()?, under).await?;
        client.discard(&key).await?;
    }
    Ok(())
}
