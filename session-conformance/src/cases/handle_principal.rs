//! Log-ins, and what belongs to a user, through the handle: X09, SEC-11, SEC-21, SEC-22, SEC-49.

use std::time::Duration;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use session_core::{
    CookieChange, EpochCheck, ErrorKind, Key, KeyDigest, KeyHasher, Login, OverLimit,
    PrincipalDigest, PrincipalIndex, PrincipalSessions, Session, SessionHandle, SessionId,
    SessionManager,
};

use super::cases;
use crate::{
    client::Client,
    context::Cx,
    outcome::{Failure, Outcome, ensure, ensure_eq, refused},
    server::{Server, ensure_entry, ensure_live, ensure_no_session, key, new_id, requests},
    together::Effort,
};

cases! {
    "X09" rotate_updates_user_index_atomically [NativeLayout, Meta, Index, Listing];
    "SEC-11" log_in_changes_the_id_at_once [NativeLayout, Meta];
    "SEC-21" revocation_ends_sessions_that_are_being_made [NativeLayout, Meta, Index, Listing];
    "SEC-21" revocation_races_with_log_ins_and_rotations [NativeLayout, Meta, Index, Listing];
    "SEC-21" all_but_the_present_session_end [NativeLayout, Meta, Index, Listing];
    "SEC-21" without_a_list_sessions_are_refused [NativeLayout, Meta, Index, NoListing];
    "SEC-21" without_an_index_users_sessions_are_refused [NoIndex];
    "SEC-22" a_handle_ends_its_own_session_only [NativeLayout, Meta, Index, Listing];
    "SEC-49" racing_log_ins_keep_to_the_limit [NativeLayout, Meta, Index, Listing];
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
/// before they are done, then they fail and leave nothing that can be used; a later log-in does.
async fn revocation_ends_sessions_that_are_being_made(cx: Cx) -> Outcome {
    for check in [EpochCheck::Off, EpochCheck::EachLoad] {
        let servers = Server::both_with(&cx, |settings| settings.epoch_check(check)).await?;
        let [a, b] = &servers;
        let (name, principal) = new_user()?;
        let mut ids = vec![a.log_in(&name).await?];
        let mut logins = Vec::new();
        for server in servers.iter().cycle().take(8) {
            let old = server.start().await?;
            let session = server.open(&old);
            let login = session.begin_login(&name).await?;
            ids.push(old);
            logins.push((session, login));
        }
        b.sessions.sessions_of(&name)?.revoke_all().await?;
        for (session, login) in logins {
            refused(login.complete().await, ErrorKind::NotFound, "a log-in that was overtaken")?;
            let cookie = session.cookie_change();
            ensure!(!matches!(cookie, CookieChange::Set { .. }), "a refused log-in set an id");
        }
        for id in &ids {
            ensure_no_session(a, id).await?;
            ensure_no_session(b, id).await?;
        }
        ensure_eq!(listed(&cx.a, &principal).await?, [], "the index");
        let after = b.log_in(&name).await?;
        ensure!(a.open(&after).facts().await?.is_some(), "a later log-in was revoked");
        ensure_eq!(listed(&cx.a, &principal).await?, [*key(&after).digest()], "the index");
    }
    Ok(())
}

/// Given log-ins and changes of ids on both servers, when the user's sessions are all revoked at the
/// same moment, then no session is left that was authenticated by a log-in that had begun before.
async fn revocation_races_with_log_ins_and_rotations(cx: Cx) -> Outcome {
    let servers = Server::both(&cx).await?;
    let effort = Effort::times(3, 20);
    let mut rounds = 0;
    while effort.goes_on(rounds) {
        rounds += 1;
        let (name, principal) = new_user()?;
        let user = name.clone();
        let ids = requests(
            &servers,
            9,
            move |n, server: Server| {
                let name = user.clone();
                async move { Doing::prepare(n, server, &name).await }
            },
            |_, doing: Doing| doing.finish(),
        )
        .await?;
        for id in ids.iter().flatten() {
            ensure_no_session(&servers[0], id).await?;
            ensure_no_session(&servers[1], id).await?;
        }
        ensure_eq!(listed(&cx.b().await?, &principal).await?, [], "the index");
    }
    cx.note(format!("{rounds} rounds"));
    Ok(())
}

/// What one of several requests is about to do to a user's sessions.
enum Doing {
    Revoke(PrincipalSessions),
    LogIn(Session, Login),
    Rotate(Session),
}

impl Doing {
    async fn prepare(n: usize, server: Server, name: &str) -> Result<Self, Failure> {
        Ok(match n {
            0 => Self::Revoke(server.sessions.sessions_of(name)?),
            _ if n.is_multiple_of(2) => Self::Rotate(server.open(&server.log_in(name).await?)),
            _ => {
                let session = server.open(&server.start().await?);
                let login = session.begin_login(name).await?;
                Self::LogIn(session, login)
            }
        })
    }

    /// Returns the id that the response sets, if it does.
    async fn finish(self) -> Result<Option<SessionId>, Failure> {
        let (outcome, session) = match self {
            Self::Revoke(sessions) => {
                sessions.revoke_all().await?;
                return Ok(None);
            }
            Self::LogIn(session, login) => (login.complete().await, session),
            Self::Rotate(session) => (session.cycle_id().await, session),
        };
        if outcome.is_err() {
            refused(outcome, ErrorKind::NotFound, "a request that a revocation overtook")?;
        }
        Ok(new_id(&session).ok())
    }
}

/// Given sessions of a user on both servers, when he ends all but the present one, then that one
/// goes on everywhere, with what requests in flight save, and the others do not.
async fn all_but_the_present_session_end(cx: Cx) -> Outcome {
    let servers =
        Server::both_with(&cx, |settings| settings.epoch_check(EpochCheck::EachLoad)).await?;
    let [a, b] = &servers;
    let (name, principal) = new_user()?;
    let mut others = Vec::new();
    for server in servers.iter().cycle().take(3) {
        others.push(server.log_in(&name).await?);
    }
    let id = a.log_in(&name).await?;
    let in_flight = b.open(&id);
    in_flight.insert("in flight", 1).await?;
    let login = b.open(&b.start().await?).begin_login(&name).await?;
    let present = a.open(&id);
    present.insert("unsaved", 2).await?;
    let ended = a.sessions.sessions_of(&name)?.revoke_others(&present).await?;
    ensure_eq!(ended, others.len(), "the count of sessions that were ended");
    refused(login.complete().await, ErrorKind::NotFound, "a log-in that was overtaken")?;
    present.save().await?;
    in_flight.save().await?;
    for other in &others {
        ensure_no_session(a, other).await?;
        ensure_no_session(b, other).await?;
    }
    for server in &servers {
        ensure_entry(&server.open(&id), "in flight", Some(1)).await?;
        ensure_entry(&server.open(&id), "unsaved", Some(2)).await?;
    }
    ensure_eq!(listed(&cx.a, &principal).await?, [*key(&id).digest()], "the index");
    let stranger = b.open(&b.log_in(&new_user()?.0).await?);
    let sessions = b.sessions.sessions_of(&name)?;
    refused(sessions.revoke_others(&stranger).await, ErrorKind::NotFound, "a foreign session")?;
    ensure!(a.open(&id).facts().await?.is_some(), "a session ended by a foreign one");
    Ok(())
}

/// Given the lists of two users, then they show no id and no digest, mark the present session, and a
/// handle ends the session that it names, under whatever id, and only for its own user.
async fn a_handle_ends_its_own_session_only(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let [(ada, _), (eve, _)] = [new_user()?, new_user()?];
    let session = a.open(&a.start().await?);
    session.begin_login(&ada).await?.client("Firefox on Linux").complete().await?;
    let (first, second, other) = (new_id(&session)?, b.log_in(&ada).await?, b.log_in(&eve).await?);
    let (adas, eves) = (b.sessions.sessions_of(&ada)?, a.sessions.sessions_of(&eve)?);
    let list = adas.list(10, Some(&b.open(&second))).await?;
    ensure_eq!(list.len(), 2, "the sessions of a user with two");
    let current = list.iter().filter(|info| info.is_current).count();
    ensure_eq!(current, 1, "the sessions that are marked as the present one");
    let Some(info) = list.iter().find(|info| !info.is_current) else {
        return Err(Failure::new("both sessions are the present one"));
    };
    let hint = info.client.as_ref().map(ToString::to_string);
    ensure_eq!(hint.as_deref(), Some("Firefox on Linux"), "the hint");
    let shown = format!("{list:?} {adas:?} {} {info:#?}", info.handle);
    for id in [&first, &second] {
        let digest = *key(id).digest().as_bytes();
        for secret in [
            id.expose().to_owned(),
            HEXLOWER.encode(&digest),
            BASE64URL_NOPAD.encode(&digest),
            format!("{digest:?}"),
        ] {
            ensure!(!shown.contains(&secret), "a list shows an id or a digest");
        }
    }
    let handle = SessionHandle::parse(&info.handle.to_string())?;
    refused(eves.revoke(&handle).await, ErrorKind::NotFound, "another user's handle")?;
    let rotated = b.open(&first);
    rotated.cycle_id().await?;
    let first = new_id(&rotated)?;
    adas.revoke(&handle).await?;
    ensure_no_session(&a, &first).await?;
    refused(adas.revoke(&handle).await, ErrorKind::NotFound, "a handle that was used")?;
    for id in [&second, &other] {
        ensure!(a.open(id).facts().await?.is_some(), "a handle ended another session");
    }
    Ok(())
}

/// Given a limit of sessions, when more log in at the same moment on both servers, then no more
/// than the limit are left, and with the oldest giving way, the newest is.
async fn racing_log_ins_keep_to_the_limit(cx: Cx) -> Outcome {
    for beyond in [OverLimit::Refuse, OverLimit::EvictOldest] {
        let servers =
            Server::both_with(&cx, |settings| settings.session_limit(2, beyond.clone())).await?;
        let effort = Effort::times(2, 10);
        let mut rounds = 0;
        while effort.goes_on(rounds) {
            rounds += 1;
            let (name, principal) = new_user()?;
            let user = name.clone();
            let ids = requests(
                &servers,
                6,
                move |_, server: Server| {
                    let name = user.clone();
                    async move {
                        let session = server.open(&server.start().await?);
                        let login = session.begin_login(&name).await?;
                        Ok((session, login))
                    }
                },
                |_, (session, login): (Session, Login)| async move {
                    let outcome = login.complete().await;
                    if outcome.is_err() {
                        refused(outcome, ErrorKind::TooManySessions, "a log-in over the limit")?;
                        return Ok(None);
                    }
                    Ok(new_id(&session).ok())
                },
            )
            .await?;
            let mut live = 0;
            for id in ids.iter().flatten() {
                live += usize::from(servers[0].open(id).facts().await?.is_some());
            }
            ensure!(live <= 2, "{live} sessions are live where the limit is 2");
            ensure_eq!(listed(&cx.a, &principal).await?.len(), live, "the index");
            let evicts = matches!(beyond, OverLimit::EvictOldest);
            ensure!(live > 0 || !evicts, "no session is left of 6 log-ins");
        }
    }
    Ok(())
}

/// Given a store without an index of principals, then what needs one is refused by type.
async fn without_an_index_users_sessions_are_refused(cx: Cx) -> Outcome {
    let server = Server::new(&cx, &cx.a)?;
    let unsupported = ErrorKind::Unsupported;
    refused(server.sessions.sessions_of("ada"), unsupported, "the sessions of a user")?;
    let builder = || SessionManager::builder(cx.a.store());
    let limited = builder().session_limit(2, OverLimit::Refuse).build();
    refused(limited, unsupported, "a limit of sessions")?;
    let checked = builder().epoch_check(EpochCheck::EachLoad).build();
    refused(checked, unsupported, "a check for revocation")?;
    Ok(())
}

/// Given an index that keeps epochs and lists nothing, when a user's sessions are revoked, then they
/// and log-ins under way are refused everywhere, if epochs are checked; else, and where a list is
/// needed, that is refused by type.
async fn without_a_list_sessions_are_refused(cx: Cx) -> Outcome {
    let servers =
        Server::both_with(&cx, |settings| settings.epoch_check(EpochCheck::EachLoad)).await?;
    let [a, b] = &servers;
    let (name, _) = new_user()?;
    let ids = [a.log_in(&name).await?, b.log_in(&name).await?];
    let login = a.open(&a.start().await?).begin_login(&name).await?;
    let unchecked = Server::new(&cx, &cx.a)?.sessions.sessions_of(&name)?;
    let unsupported = ErrorKind::Unsupported;
    refused(unchecked.revoke_all().await, unsupported, "a revocation that nobody would see")?;
    refused(unchecked.list(9, None).await, unsupported, "a list")?;
    for id in &ids {
        ensure!(b.open(id).facts().await?.is_some(), "a refused revocation ended a session");
    }
    let present = a.open(&ids[0]);
    ensure_eq!(b.sessions.sessions_of(&name)?.revoke_others(&present).await?, 0, "ended");
    refused(login.complete().await, ErrorKind::NotFound, "a log-in that was overtaken")?;
    for server in &servers {
        ensure!(server.open(&ids[0]).facts().await?.is_some(), "the present session was ended");
        ensure_no_session(server, &ids[1]).await?;
    }
    b.sessions.sessions_of(&name)?.revoke_all().await?;
    ensure_no_session(a, &ids[0]).await?;
    let after = b.log_in(&name).await?;
    ensure!(a.open(&after).facts().await?.is_some(), "a later log-in was revoked");
    let limited = SessionManager::builder(cx.a.store()).session_limit(2, OverLimit::Refuse);
    refused(limited.build(), unsupported, "a limit of sessions")?;
    Ok(())
}
