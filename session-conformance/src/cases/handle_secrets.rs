//! Ids and data stay secret, and no id is taken from a client, through the handle: SEC-03, SEC-05,
//! SEC-06, SEC-44.

use std::{
    error::Error as _,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use session_core::{MergeRule, Result as CoreResult, Session, SessionHandle, SessionId};
use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    field::{Field, Visit},
    instrument::WithSubscriber,
    span,
};

use super::cases;
use crate::{
    context::Cx,
    outcome::{Failure, Outcome, PATIENCE, ensure, ensure_eq},
    server::{Server, document, ensure_no_session, key, new_id},
    wire::Fate,
};

cases! {
    "SEC-03" unknown_id_is_never_adopted;
    "SEC-05" raw_id_of_a_session_appears_nowhere_in_the_backend [RawAccess, NativeLayout];
    "SEC-06" stored_key_presented_as_an_id_finds_nothing;
    "SEC-44" handle_errors_and_debug_show_no_secret;
    "SEC-44" events_show_no_secret;
}

/// Given a well-formed id that the store does not know, when a request presents it and stores
/// something, in whatever way, then the session gets an id of its own.
async fn unknown_id_is_never_adopted(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    for way in 0..3 {
        let sent = SessionId::generate()?;
        let session = a.open(&sent);
        match way {
            0 => session.insert("user", "eve").await?,
            1 => session.update(|data| data.insert("user", "eve")).await?,
            _ if cx.has().locking.is_yes() => {
                let mut locked = session.lock(PATIENCE).await?;
                locked.insert("user", "eve")?;
                locked.commit().await?;
            }
            _ => continue,
        }
        session.save().await?;
        let id = new_id(&session)?;
        ensure!(id != sent, "an id of the client's was adopted");
        ensure_no_session(&b, &sent).await?;
        ensure_eq!(cx.a.get(&key(&sent)).await?, None, "a record under the client's id");
    }
    Ok(())
}

/// Given sessions that were saved, locked, logged in and rotated, when everything that is stored is
/// searched, then no raw id is found.
async fn raw_id_of_a_session_appears_nowhere_in_the_backend(cx: Cx) -> Outcome {
    let Some(raw) = cx.backend().raw() else { return Ok(()) };
    let server = Server::new(&cx, &cx.a)?;
    let mut ids = vec![server.start().await?];
    let session = server.open(ids.last().unwrap_or(&SessionId::generate()?));
    session.cycle_id().await?;
    ids.push(new_id(&session)?);
    if cx.has().meta.is_yes() {
        session.login("ada").await?;
        ids.push(new_id(&session)?);
    }
    let held = match cx.has().locking.is_yes() {
        true => Some(session.lock(Duration::ZERO).await?),
        false => None,
    };
    let stored = raw.dump(cx.namespace()).await?;
    ensure!(stored.len() >= ids.len(), "the fixture shows {} stored items", stored.len());
    for item in &stored {
        for id in &ids {
            let id = id.expose().as_bytes();
            let found = item.windows(id.len()).any(|window| window == id);
            ensure!(!found, "a raw id is stored in an item of {} bytes", item.len());
        }
    }
    if let Some(held) = held {
        held.rollback().await?;
    }
    Ok(())
}

/// Given a copy of the store, when a stored key is presented as an id, then it finds no session and
/// starts none.
async fn stored_key_presented_as_an_id_finds_nothing(cx: Cx) -> Outcome {
    let server = Server::new(&cx, &cx.a)?;
    let id = server.start().await?;
    let digest = *key(&id).digest();
    for encoding in [HEXLOWER, HEXUPPER, BASE64URL_NOPAD] {
        let stolen = SessionId::parse(&encoding.encode(digest.as_bytes()))?;
        ensure_no_session(&server, &stolen).await?;
        server.open(&stolen).delete().await?;
        ensure_eq!(cx.a.get(&key(&stolen)).await?, None, "a record under a stolen key");
    }
    ensure!(server.open(&id).facts().await?.is_some(), "a session ended by its key");
    Ok(())
}

/// What must not be shown.
struct Secrets(Vec<String>);

impl Secrets {
    fn new() -> Self {
        Self(Vec::new())
    }

    /// A value to plant.
    fn plant(&mut self, what: &str) -> Result<String, Failure> {
        let secret = format!("{what}{}", SessionId::generate()?.expose());
        self.0.push(secret.clone());
        Ok(secret)
    }

    /// An id and its key, in every way to write it.
    fn add(&mut self, id: &SessionId) {
        let key = key(id);
        let digest = key.digest().as_bytes();
        self.0.extend([
            id.expose().to_owned(),
            HEXLOWER.encode(digest),
            BASE64URL_NOPAD.encode(digest),
            BASE64.encode(digest),
            format!("{digest:?}").trim_matches(['[', ']']).to_owned(),
        ]);
    }

    fn ensure_hidden(&self, shown: &[String]) -> Outcome {
        for text in shown {
            let lower = text.to_lowercase();
            for secret in &self.0 {
                let found = lower.contains(&secret.to_lowercase());
                ensure!(!found, "a secret is shown: {}", text.replace(secret, "(the secret)"));
            }
        }
        Ok(())
    }
}

/// What has been shown to people.
#[derive(Default)]
struct Shown(Vec<String>);

impl Shown {
    fn debug(&mut self, value: &dyn fmt::Debug) {
        self.0.push(format!("{value:?} {value:#?}"));
    }

    fn error<T>(&mut self, outcome: CoreResult<T>) -> Result<(), Failure> {
        let Err(error) = outcome else { return Err(Failure::new("no error to look at")) };
        self.debug(&error);
        self.0.push(error.to_string());
        let mut cause = error.source();
        while let Some(error) = cause {
            self.0.push(format!("{error} {error:?}"));
            cause = error.source();
        }
        Ok(())
    }
}

/// Given the life of a session with planted secrets, when every type and every refusal of the
/// handle is shown in every way, then there is no id, digest, name of an entry or value in it.
async fn handle_errors_and_debug_show_no_secret(cx: Cx) -> Outcome {
    let (mut secrets, mut shown) = (Secrets::new(), Shown::default());
    live_a_life(&cx, &mut secrets, &mut shown).await?;
    ensure!(shown.0.len() >= 20, "only {} things were shown", shown.0.len());
    secrets.ensure_hidden(&shown.0)
}

/// A session with secrets in it, from its beginning to its end.
async fn live_a_life(cx: &Cx, secrets: &mut Secrets, shown: &mut Shown) -> Outcome {
    let name = secrets.plant("name")?;
    let told = Arc::new(Mutex::new(Shown::default()));
    let hook = Arc::clone(&told);
    let server = Server::with(cx, &cx.a, |settings| {
        let settings = settings.audit(move |event| {
            hook.lock().unwrap_or_else(PoisonError::into_inner).debug(event);
        });
        settings.default_merge_rule(MergeRule::Fail).merge_rule("hits", MergeRule::Counter)
    })?;
    let id = server.start().await?;
    secrets.add(&id);
    let (session, rival) = (server.open(&id), server.open(&id));
    session.insert(&name, secrets.plant("payload")?).await?;
    rival.insert(&name, secrets.plant("payload")?).await?;
    shown.debug(&session);
    shown.debug(&session.read_only());
    shown.debug(&session.facts().await?);
    session.save().await?;
    shown.debug(&session.cookie_change());
    shown.error(rival.save().await)?;
    shown.error(session.get::<u32>(&name).await)?;
    shown.error(session.update(|data| data.get::<Vec<u8>>(&name)).await)?;
    shown.debug(&cx.a.found(&key(&id)).await?);
    shown.debug(&document(cx, &key(&id)).await?);
    shown.debug(&server.sessions);
    locked(cx, &session, &name, secrets, shown).await?;
    if cx.backend().layout() == crate::Layout::Native {
        rotated(cx, &server, &id, secrets, shown).await?;
    }
    end(&server, &session, shown).await?;
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(!told.0.is_empty(), "the hook was told of nothing");
    shown.0.append(&mut told.0);
    Ok(())
}

async fn locked(
    cx: &Cx,
    session: &Session,
    name: &str,
    secrets: &mut Secrets,
    shown: &mut Shown,
) -> Outcome {
    let large = secrets.plant("payload")?;
    if cx.has().locking.is_yes() {
        let mut locked = session.lock(PATIENCE).await?;
        locked.insert(name, secrets.plant("payload")?)?;
        shown.debug(&locked);
        shown.debug(&*locked);
        shown.error(session.lock(Duration::ZERO).await)?;
        shown.error(locked.get::<u32>(name))?;
        locked.commit().await?;
    }
    if cx.has().max_payload <= 16 << 20 {
        let large = large.repeat(cx.has().max_payload / large.len() + 1);
        shown.error(session.update(|data| data.insert(name, &large)).await)?;
    }
    Ok(())
}

async fn rotated(
    cx: &Cx,
    server: &Server,
    id: &SessionId,
    secrets: &mut Secrets,
    shown: &mut Shown,
) -> Outcome {
    let rotating = server.open(id);
    rotating.cycle_id().await?;
    let new = new_id(&rotating)?;
    secrets.add(&new);
    shown.debug(&rotating.cookie_change());
    shown.debug(&document(cx, &key(id)).await?);
    shown.error(server.open(id).cycle_id().await)?;
    if cx.has().meta.is_yes() {
        let user = secrets.plant("user")?;
        let again = server.open(&new);
        let login = again.begin_login(&user).await?;
        shown.debug(&login);
        login.complete().await?;
        secrets.add(&new_id(&again)?);
        shown.debug(&again.facts().await?);
        if let Some(sessions) = again.principal_sessions().await.ok().flatten() {
            shown.debug(&sessions);
            let list = sessions.list(9, Some(&again)).await;
            match cx.has().listing.is_yes() {
                true => shown.debug(&list?),
                false => shown.error(list)?,
            }
            shown.error(sessions.revoke(&SessionHandle::generate()?).await)?;
        }
        shown.debug(&cx.a.found(&key(&new_id(&again)?)).await?);
        let other = secrets.plant("user")?;
        shown.error(server.open(&new).login(&other).await)?;
    }
    Ok(())
}

async fn end(server: &Server, session: &Session, shown: &mut Shown) -> Outcome {
    server.wire.rule(|_| Fate::Refused);
    shown.error(session.update(|_| Ok(())).await)?;
    shown.error(session.delete().await)?;
    server.wire.mend();
    session.delete().await?;
    shown.debug(session);
    let id = server.start().await?;
    let late = server.open(&id);
    late.insert("late", 1).await?;
    server.open(&id).delete().await?;
    shown.error(late.save().await)?;
    shown.error(SessionId::parse("no id!"))
}

/// Writes down every event of the tasks that it is given to.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<String>>>);

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut line = Line(span.metadata().name().to_owned());
        span.record(&mut line);
        self.note(line.0);
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        self.note(line.0);
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        self.note(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl Listener {
    fn note(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The fields of one event.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

/// Given the life of a session with planted secrets, when every event that is emitted meanwhile is
/// written down, by the handle, the store and its client, then there is no secret in it.
async fn events_show_no_secret(cx: Cx) -> Outcome {
    let (mut secrets, mut shown) = (Secrets::new(), Shown::default());
    let listener = Listener::default();
    // With one listener in the program, what is listened to is decided by the thread that comes
    // first, which may be another case's.
    let _second = Dispatch::new(Listener::default());
    let _first = Dispatch::new(listener.clone());
    live_a_life(&cx, &mut secrets, &mut shown).with_subscriber(listener.clone()).await?;
    let lines = listener.lines();
    let heard = |event: &str| lines.iter().any(|line| line.contains(&format!("\"{event}\"")));
    for event in ["created", "destroyed", "gone"] {
        ensure!(heard(event), "no event says that a session was {event}");
    }
    secrets.ensure_hidden(&lines)
}
