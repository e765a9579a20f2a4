//! The principal index and the enumeration: U01 to U06, N01, N02.

use std::collections::BTreeSet;

use session_core::{
    Cursor, Expected, Key, KeyDigest, KeyHasher, Meta, PrincipalDigest, PrincipalIndex, Write,
};

use super::cases;
use crate::{
    client::{Client, HOUR},
    context::{Cx, new_key, new_keys, new_principal},
    outcome::{Failure, Outcome, ensure, ensure_eq},
    together::{for_each, race},
};

cases! {
    "U01" find_by_user_lists_live_only [Index, Listing];
    "U02" index_follows_user_change_and_removal [Index, Listing];
    "U03" index_self_heals_without_events [Index, Listing];
    "U04" revoke_all_races_with_create [Index];
    "U04" revoke_deletes_all_but_one [Index, Listing];
    "U05" index_of_heavy_user_is_paged [Index, Listing];
    "U06" user_key_is_opaque_and_bounded [Index, Listing];
    "N01" enumerate_is_complete_and_bounded [Enumeration];
    "N02" clear_namespace_is_possible [Enumeration];
}

fn index(client: &Client) -> Result<&dyn PrincipalIndex, Failure> {
    client.principal_index().ok_or_else(|| Failure::new("one handle has an index, another not"))
}

fn of(principal: Option<PrincipalDigest>, epoch: u64) -> Write {
    Write::new("x", HOUR).with_meta(Meta::new().with_principal(principal, epoch))
}

fn digests<'a>(keys: impl IntoIterator<Item = &'a Key>) -> BTreeSet<KeyDigest> {
    keys.into_iter().map(|key| *key.digest()).collect()
}

/// All pages of a listing, each within its limit, no key twice.
async fn pages<F>(limit: usize, page: impl Fn(Option<Cursor>) -> F) -> Result<Vec<Key>, Failure>
where
    F: Future<Output = session_core::Result<session_core::KeyPage>>,
{
    let (mut keys, mut cursor) = (Vec::new(), None);
    for _ in 0..10_000 {
        let next = page(cursor).await?;
        ensure!(next.keys.len() <= limit, "{} keys in a page of {limit}", next.keys.len());
        keys.extend(next.keys);
        cursor = next.next;
        if cursor.is_none() {
            ensure_eq!(digests(&keys).len(), keys.len(), "keys that are listed twice");
            return Ok(keys);
        }
    }
    Err(Failure::new("a listing does not end"))
}

async fn listed(
    client: &Client,
    principal: PrincipalDigest,
    limit: usize,
) -> Result<Vec<Key>, Failure> {
    let index = index(client)?;
    pages(limit, |cursor| async move { index.list(&principal, cursor.as_ref(), limit).await }).await
}

/// Checks that both servers list exactly these sessions of a principal.
async fn ensure_listed(cx: &Cx, principal: PrincipalDigest, keys: &[&Key]) -> Outcome {
    for client in [cx.a.clone(), cx.b().await?] {
        let found = listed(&client, principal, 10).await?;
        let (found, wanted) = (digests(&found), digests(keys.iter().copied()));
        ensure!(
            found == wanted,
            "{} sessions are listed, {} of them rightly, of {}",
            found.len(),
            found.intersection(&wanted).count(),
            wanted.len()
        );
    }
    Ok(())
}

/// Given live, expired and deleted sessions of a user, when listed, then only the live ones are.
async fn find_by_user_lists_live_only(cx: Cx) -> Outcome {
    let (principal, ttl) = (new_principal()?, cx.brief());
    let (expired, deleted, live, other) = (new_key()?, new_key()?, new_key()?, new_key()?);
    let mut short = of(Some(principal), 0);
    short.ttl = ttl.into();
    cx.a.put_write(&expired, short).await?;
    cx.a.put_write(&deleted, of(Some(principal), 0)).await?;
    cx.a.put_write(&other, of(Some(new_principal()?), 0)).await?;
    cx.expire(&expired, ttl).await?;
    cx.a.discard(&deleted).await?;
    ensure_listed(&cx, principal, &[]).await?;
    cx.a.put_write(&live, of(Some(principal), 0)).await?;
    ensure_listed(&cx, principal, &[&live]).await
}

/// Given a session whose user is set, changed and cleared, then the index is right each time.
async fn index_follows_user_change_and_removal(cx: Cx) -> Outcome {
    let (first, second, key) = (new_principal()?, new_principal()?, new_key()?);
    let mut revision = cx.a.put_write(&key, of(None, 0)).await?;
    for principal in [Some(first), Some(second), None, Some(first), None] {
        let expected = Expected::Revision(revision);
        revision = cx.b().await?.save_write(&key, of(principal, 0), expected).await?;
        for candidate in [first, second] {
            let keys: &[&Key] = if principal == Some(candidate) { &[&key] } else { &[] };
            ensure_listed(&cx, candidate, keys).await?;
        }
    }
    Ok(())
}

/// Given sessions that ended and keys that changed hands with no event, then listings are right.
async fn index_self_heals_without_events(cx: Cx) -> Outcome {
    let (first, second, ttl) = (new_principal()?, new_principal()?, cx.brief());
    let (expiring, recreated) = (new_key()?, new_key()?);
    let mut short = of(Some(first), 0);
    short.ttl = ttl.into();
    cx.a.put_write(&expiring, short).await?;
    cx.expire(&expiring, ttl).await?;
    cx.a.put_write(&expiring, of(Some(second), 0)).await?;
    cx.a.put_write(&recreated, of(Some(first), 0)).await?;
    cx.b().await?.discard(&recreated).await?;
    cx.b().await?.put_write(&recreated, of(Some(second), 0)).await?;
    cx.a.sweep_all().await?;
    ensure_listed(&cx, first, &[]).await?;
    ensure_listed(&cx, second, &[&expiring, &recreated]).await
}

/// Given logins on both servers, when all sessions of the user are revoked meanwhile, then every
/// session whose login began before is recognisable as revoked, and no bump is lost.
async fn revoke_all_races_with_create(cx: Cx) -> Outcome {
    let principal = new_principal()?;
    let start = index(&cx.a)?.epoch(&principal).await?;
    ensure_eq!(start, 0, "the epoch of a user who was never revoked");
    let outcomes = race(&cx, 8, principal, |n, client, principal| async move {
        if n < 3 {
            return Ok((None, index(&client)?.bump_epoch(&principal).await?));
        }
        let (key, epoch) = (new_key()?, index(&client)?.epoch(&principal).await?);
        client.put_write(&key, of(Some(principal), epoch)).await?;
        Ok((Some(key), epoch))
    })
    .await?;
    let bumps: BTreeSet<u64> =
        outcomes.iter().filter(|(key, _)| key.is_none()).map(|(_, epoch)| *epoch).collect();
    ensure_eq!(bumps.len(), 3, "different epochs of three bumps");
    for client in [cx.a.clone(), cx.b().await?] {
        let now = index(&client)?.epoch(&principal).await?;
        ensure_eq!(Some(&now), bumps.last(), "the epoch after three bumps");
        for (key, epoch) in &outcomes {
            let Some(key) = key else { continue };
            let meta = client.found(key).await?.meta;
            ensure_eq!(meta.epoch, *epoch, "the epoch that a session was created with");
        }
    }
    let last = index(&cx.b().await?)?.bump_epoch(&principal).await?;
    let stale = outcomes.iter().all(|(_, epoch)| *epoch < last);
    ensure!(stale, "a session survives the revocation of all");
    Ok(())
}

/// Given sessions of two users, when one user's are deleted but for one, then that one and the
/// other user's are left.
async fn revoke_deletes_all_but_one(cx: Cx) -> Outcome {
    let (principal, other) = (new_principal()?, new_principal()?);
    let (theirs, spared, unrelated) = (new_keys(5)?, new_key()?, new_key()?);
    for key in theirs.iter().chain([&spared]) {
        cx.a.put_write(key, of(Some(principal), 0)).await?;
    }
    cx.a.put_write(&unrelated, of(Some(other), 0)).await?;
    let b = cx.b().await?;
    let revoked = index(&b)?.revoke(&principal, Some(&spared)).await?;
    ensure_eq!(revoked, theirs.len(), "the count of revoked sessions");
    for key in &theirs {
        ensure_eq!(cx.a.get(key).await?, None, "a revoked session");
    }
    cx.a.found(&spared).await?;
    cx.a.found(&unrelated).await?;
    ensure_eq!(index(&b)?.revoke(&principal, None).await?, 1, "the count of the rest");
    ensure_eq!(cx.a.get(&spared).await?, None, "a revoked session");
    Ok(())
}

/// Given a user with many sessions, when listed in pages, then each page keeps its limit and each
/// session appears once.
async fn index_of_heavy_user_is_paged(cx: Cx) -> Outcome {
    let (principal, keys) = (new_principal()?, new_keys(200)?);
    for_each(&cx, &keys, move |client, key| async move {
        client.put_write(&key, of(Some(principal), 0)).await?;
        Ok(())
    })
    .await?;
    for limit in [7, 50, 1_000] {
        let found = listed(&cx.b().await?, principal, limit).await?;
        ensure!(digests(&found) == digests(&keys), "{} of 200 sessions listed", found.len());
    }
    Ok(())
}

/// Given user names of 500 characters, of any alphabet, and differing in case only, when used,
/// then each is a user of its own.
async fn user_key_is_opaque_and_bounded(cx: Cx) -> Outcome {
    let unique = format!("{:?}", std::time::Instant::now());
    let names = [
        "u".repeat(500),
        "Ünïcödé 用户 \u{1f600}".to_owned(),
        "bob".to_owned(),
        "Bob".to_owned(),
        "bob ".to_owned(),
        "a'; --\0\r\n*{}".to_owned(),
        String::new(),
    ];
    let mut sessions = Vec::new();
    for name in names {
        let principal = KeyHasher::plain().principal(&format!("{name}{unique}"));
        let key = new_key()?;
        cx.a.put_write(&key, of(Some(principal), 0)).await?;
        sessions.push((principal, key));
    }
    for (principal, key) in &sessions {
        ensure_listed(&cx, *principal, &[key]).await?;
    }
    Ok(())
}

async fn enumerated(client: &Client, limit: usize) -> Result<Vec<Key>, Failure> {
    let enumeration = client.enumeration();
    let enumeration = enumeration
        .ok_or_else(|| Failure::new("one handle has an enumeration, another has not"))?;
    pages(limit, |cursor| async move { enumeration.keys(cursor.as_ref(), limit).await }).await
}

/// Given many sessions, when enumerated in pages, then each page keeps its limit, each live
/// session appears once, expired ones do not, and the keys can be loaded.
async fn enumerate_is_complete_and_bounded(cx: Cx) -> Outcome {
    let (keys, expired, ttl) = (new_keys(200)?, new_key()?, cx.brief());
    ensure_eq!(enumerated(&cx.a, 10).await?.len(), 0, "sessions of an empty store");
    cx.a.put_for(&expired, "short lived", ttl).await?;
    cx.expire(&expired, ttl).await?;
    for_each(&cx, &keys, |client, key| async move {
        client.put(&key, "alive").await?;
        Ok(())
    })
    .await?;
    for limit in [7, 200, 1_000] {
        let found = enumerated(&cx.b().await?, limit).await?;
        ensure!(digests(&found) == digests(&keys), "{} of 200 sessions enumerated", found.len());
        for key in found.iter().take(10) {
            cx.a.found(key).await?;
        }
    }
    Ok(())
}

/// Given a namespace with sessions, when all that is enumerated is deleted, then it is empty, and
/// another namespace is intact.
async fn clear_namespace_is_possible(cx: Cx) -> Outcome {
    let (keys, elsewhere, theirs) = (new_keys(30)?, cx.open_elsewhere().await?, new_key()?);
    elsewhere.put(&theirs, "alive").await?;
    for key in &keys {
        cx.a.put(key, "x").await?;
    }
    for key in enumerated(&cx.a, 10).await? {
        cx.a.discard(&key).await?;
    }
    ensure_eq!(enumerated(&cx.b().await?, 10).await?.len(), 0, "sessions after all were deleted");
    for key in &keys {
        ensure_eq!(cx.b().await?.get(key).await?, None, "a deleted session");
    }
    elsewhere.found(&theirs).await?;
    Ok(())
}
