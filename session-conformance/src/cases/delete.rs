//! Deleting, and what must not come back: C17 to C19, L34, L43.

use bytes::Bytes;
use session_core::{ErrorKind, Expected, OpToken, Then};

use super::cases;
use crate::{
    client::HOUR,
    context::{Cx, new_key},
    outcome::{Outcome, ensure, ensure_eq, refused, refused_as},
    together::race,
};

cases! {
    "C17" delete_is_idempotent;
    "C18" delete_then_read_none_on_other_node;
    "C19" namespaces_are_isolated;
    "L34" lock_released_when_destroyed_under_it [Locking];
    "L43" save_after_concurrent_logout_fails;
    "L43" save_under_a_lock_after_logout_fails [Locking, BreakableLocks];
    "L43" saves_racing_a_logout_never_revive;
}

/// Given a deleted or unknown id, when deleted (again), then that is success.
async fn delete_is_idempotent(cx: Cx) -> Outcome {
    let key = new_key()?;
    cx.a.discard(&key).await?;
    let revision = cx.a.put(&key, "short lived").await?;
    for client in [cx.a.clone(), cx.b().await?] {
        client.discard(&key).await?;
        client.discard(&key).await?;
        client.delete(&key, Expected::Revision(revision), OpToken::generate()?).await?;
        ensure_eq!(client.get(&key).await?, None, "a deleted session is still there");
    }
    Ok(())
}

/// Given a deletion on one server, when another reads, then there is none.
async fn delete_then_read_none_on_other_node(cx: Cx) -> Outcome {
    let b = cx.b().await?;
    for round in 0..20 {
        let key = new_key()?;
        let revision = cx.a.put(&key, "here").await?;
        cx.sees(&b, &key, Some("here")).await?;
        match round % 2 {
            0 => cx.a.discard(&key).await?,
            _ => cx.a.delete(&key, Expected::Revision(revision), OpToken::generate()?).await?,
        }
        cx.sees(&b, &key, None).await?;
    }
    Ok(())
}

/// Given equal ids in two namespaces, when one namespace is used, then the other is intact.
async fn namespaces_are_isolated(cx: Cx) -> Outcome {
    let (here, there, key) = (cx.a.clone(), cx.open_elsewhere().await?, new_key()?);
    here.put(&key, "here").await?;
    ensure_eq!(there.get(&key).await?, None, "a session of another namespace");
    let revision = there.put(&key, "there").await?;
    if here.capabilities().locking.is_yes() {
        let held = here.hold(&key).await?;
        ensure!(!there.is_locked(&key).await?, "a lock of another namespace excludes");
        here.release(&key, &held.lease).await?;
    }
    here.discard(&key).await?;
    here.sweep_all().await?;
    ensure_eq!(there.found(&key).await?.payload, Bytes::from("there"), "the other session");
    there.update(&key, "still there", revision).await?;
    if let Some(enumeration) = here.enumeration() {
        ensure_eq!(enumeration.keys(None, 10).await?.keys, [], "another namespace is enumerated");
    }
    Ok(())
}

/// Given a session that is destroyed under its lock, when the deletion says so, then the lock is
/// free with it.
async fn lock_released_when_destroyed_under_it(cx: Cx) -> Outcome {
    let key = new_key()?;
    cx.a.put(&key, "to be cleared").await?;
    let held = cx.a.hold(&key).await?;
    let expected =
        Expected::Lease { lease: &held.lease, revision: held.revision()?, then: Then::Release };
    cx.a.delete(&key, expected, OpToken::generate()?).await?;
    let b = cx.b().await?;
    ensure_eq!(b.get(&key).await?, None, "a session destroyed under its lock");
    ensure!(!b.is_locked(&key).await?, "the lock outlives the session destroyed under it");
    b.put(&key, "the next one").await?;
    Ok(())
}

/// Given a request in flight, when another logs out, then nothing that the first still sends
/// brings the session back.
async fn save_after_concurrent_logout_fails(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    let revision = cx.a.put(&key, "logged in").await?;
    cx.a.found(&key).await?;
    b.discard(&key).await?;
    refused(cx.a.update(&key, "late", revision).await, ErrorKind::NotFound, "a late save")?;
    let any = cx.a.save_as(&key, "late", Expected::Any).await;
    refused(any, ErrorKind::NotFound, "a late save of anything")?;
    if cx.has().touch.is_yes() {
        let touch = cx.a.prolong(&key, HOUR, revision).await;
        refused(touch, ErrorKind::NotFound, "a late touch")?;
    }
    for client in [cx.a.clone(), b] {
        ensure_eq!(client.get(&key).await?, None, "a session that was logged out");
    }
    Ok(())
}

/// Given a holder of the lock, when another logs out, then the holder's commit is refused and
/// there is no record.
async fn save_under_a_lock_after_logout_fails(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    cx.a.put(&key, "logged in").await?;
    let held = cx.a.hold(&key).await?;
    b.discard(&key).await?;
    let expected =
        Expected::Lease { lease: &held.lease, revision: held.revision()?, then: Then::Release };
    let late = cx.a.save_as(&key, "late", expected).await;
    refused(late, ErrorKind::NotFound, "a late commit under a lock")?;
    let renewal = cx.a.renew(&key, &held.lease, HOUR).await;
    refused(renewal, ErrorKind::LockLost, "a renewal after the logout")?;
    cx.a.release(&key, &held.lease).await?;
    ensure_eq!(b.get(&key).await?, None, "a session that was logged out");
    Ok(())
}

/// Given savers and touchers that race a logout, when all are done, then there is no record.
async fn saves_racing_a_logout_never_revive(cx: Cx) -> Outcome {
    let touches = cx.has().touch.is_yes();
    for round in 0..25 {
        let key = new_key()?;
        let revision = cx.a.put(&key, "logged in").await?;
        race(&cx, 6, key.clone(), move |n, client, key| async move {
            let may_lose = [ErrorKind::NotFound, ErrorKind::Conflict];
            // Another order each time, also on a store that does it all in one go.
            for _ in 0..(n * 7 + round) % 5 {
                tokio::task::yield_now().await;
            }
            match n {
                0 => client.discard(&key).await?,
                n if touches && n % 3 == 1 => {
                    if let Err(error) = client.prolong(&key, HOUR, revision).await {
                        refused_as::<()>(Err(error), &may_lose, "a touch that races a logout")?;
                    }
                }
                n => {
                    if let Err(error) = client.update(&key, format!("saver {n}"), revision).await {
                        refused_as::<()>(Err(error), &may_lose, "a save that races a logout")?;
                    }
                }
            }
            Ok(())
        })
        .await?;
        for client in [cx.a.clone(), cx.b().await?] {
            ensure_eq!(client.get(&key).await?, None, "a session that was logged out");
        }
    }
    Ok(())
}
