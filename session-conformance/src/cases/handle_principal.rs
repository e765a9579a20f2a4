//! Log-ins, and what belongs to a user, through the handle: X09, SEC-11, SEC-21.

use std::time::Duration;

use session_core::{
    CookieChange, EpochCheck, ErrorKind, Key, KeyDigest, KeyHasher, PrincipalDigest,
    PrincipalIndex, SessionId,
};

use super::cases;
use crate::{
    client::Client,
    context::Cx,
    outcome::{Failure, Outcome, ensure, ensure_eq, refused},
    server::{Server, ensure_entry, ensure_live, ensure_no_session, key, new_id},
};

cases! {
    "X09" rotate_updates_user_index_atomically [NativeLayout, Meta, Index];
    "SEC-11" log_in_changes_the_id_at_once [NativeLayout, Meta];
    "SEC-21" revocation_ends_sessions_that_are_being_made [NativeLayout, Meta, Index];
}

async fn listed(client: &Client, principal: &PrincipalDigest) -> Result<Vec<KeyDigest>, Failure> {
    let page = index(client)?.list(principal, None, 10).await?;
    Ok(page.keys.iter().map(Key::digest).copied().collect())
}

fn index(client: &Client) -> Result<&dyn PrincipalIndex, Failure> {
    client.principal_index().ok_or_else(|| Failure::new("one handle has an index, another not"))
}

/// A user that no other case has, and the name.
fn new_user() -> Result<(String, PrincipalDigest), Failure> {
    let name = format!("user {}", SessionId::generate()?.expose());
    let principal = KeyHasher::plain().principal(&name);
    Ok((name, principal))
}

/// Given a log-in, and a session whose id is changed after it, then the index lists the session
/// once, under its present id.
async fn rotate_updates_user_index_atomically(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let (name, principal) = new_user()?;
    let session = a.open(&a.start().await?);
    session.login(&name).await?;
    let first = new_id(&session)?;
    ensure_eq!(listed(&cx.b().await?, &principal).await?, [*key(&first).digest()], "the index");
    let rotating = b.open(&first);
    rotating.cycle_id().await?;
    let mut last = new_id(&rotating)?;
    ensure_eq!(listed(&cx.a, &principal).await?, [*key(&last).digest()], "the index");
    if cx.has().locking.is_yes() {
        let session = a.open(&last);
        let mut locked = session.lock(Duration::ZERO).await?;
        locked.cycle_id().await?;
        locked.commit().await?;
        last = new_id(&session)?;
        ensure_eq!(listed(&cx.a, &principal).await?, [*key(&last).digest()], "the index");
    }
    // Another log-in, as another user, leaves the first one without sessions.
    let (other, other_principal) = new_user()?;
    b.open(&last).login(&other).await?;
    ensure_eq!(listed(&cx.a, &principal).await?, [], "the index of the former user");
    ensure_eq!(listed(&cx.a, &other_principal).await?.len(), 1, "the index of the other user");
    Ok(())
}

/// Given a log-in, then the session has another id from then on, and the old one holds nothing at
/// once: not the session, nor a session of its own that would overwrite the cookie.
async fn log_in_changes_the_id_at_once(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let planted = a.start().await?;
    let session = a.open(&planted);
    session.login("ada").await?;
    let new = new_id(&session)?;
    ensure!(new != planted, "a log-in kept the id");
    ensure_no_session(&b, &planted).await?;
    let stale = b.open(&planted);
    stale.insert("cart", 1).await?;
    refused(stale.save().await, ErrorKind::Conflict, "a save under an id of before the log-in")?;
    refused(stale.login("eve").await, ErrorKind::Conflict, "a log-in under it")?;
    ensure_eq!(stale.cookie_change(), CookieChange::None, "the cookie of a late request");
    ensure_entry(&b.open(&new), "user", Some("ada".to_owned())).await?;
    ensure_live(&cx, &[&new]).await
}

/// Given log-ins on both servers, when the user's sessions are all revoked after they began and
/// before they are done, then none of them can be used; a later log-in can.
async fn revocation_ends_sessions_that_are_being_made(cx: Cx) -> Outcome {
    let servers =
        Server::both_with(&cx, |settings| settings.epoch_check(EpochCheck::EachLoad)).await?;
    let [a, b] = &servers;
    let (name, principal) = new_user()?;
    let before = a.open(&a.start().await?);
    before.login(&name).await?;
    let mut logins = Vec::new();
    for server in servers.iter().cycle().take(8) {
        let session = server.open(&server.start().await?);
        let login = session.begin_login(&name).await?;
        logins.push((session, login));
    }
    index(&cx.b().await?)?.bump_epoch(&principal).await?;
    let mut ids = vec![new_id(&before)?];
    for (session, login) in logins {
        login.complete().await?;
        ids.push(new_id(&session)?);
    }
    for id in &ids {
        ensure_no_session(a, id).await?;
        ensure_no_session(b, id).await?;
    }
    let after = b.open(&b.start().await?);
    after.login(&name).await?;
    let after = new_id(&after)?;
    ensure_entry(&a.open(&after), "user", Some("ada".to_owned())).await?;
    index(&cx.a)?.revoke(&principal, Some(&key(&after))).await?;
    ensure_eq!(listed(&cx.a, &principal).await?, [*key(&after).digest()], "the index");
    ensure_entry(&b.open(&after), "user", Some("ada".to_owned())).await
}
