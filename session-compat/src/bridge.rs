//! What both frameworks do with a session, in terms of the session handle.
//!
//! Their stores are asked to load a session and later to save it, by two calls that know nothing of
//! each other; what is to be saved comes as a whole. So each session that is loaded carries an
//! entry that says what it was, as the framework's session carries it from the load to the save.

mod ended;
mod recent;
mod values;

use std::{
    error::Error as _,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use session_core::{
    CookieChange, Error, ErrorKind, Lifetime, Operation, Result, Session, SessionId,
    SessionManager, SessionManagerBuilder, SessionSnapshot, SessionStore,
};

use self::{
    ended::Ended,
    values::{apply, shown, without_carried},
};
pub(crate) use self::{
    recent::Recent,
    values::{CARRIED, Values},
};

/// A clone is a handle to the same bridge.
#[derive(Debug, Clone)]
pub(crate) struct Bridge(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    manager: SessionManager,
    /// Begins each entry that is carried. Nobody can make one who did not see one.
    seal: SessionId,
    loads: AtomicU64,
    saved: Recent<u64, Arc<Base>>,
    ended: Ended,
}

/// What a framework's session was when it was loaded, or saved last.
struct Base {
    load: u64,
    snapshot: SessionSnapshot,
    shown: Values,
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot.fmt(f)
    }
}

/// A session for a framework.
pub(crate) struct Loaded {
    /// The entries, and the one that is carried.
    pub(crate) values: Values,
    pub(crate) snapshot: SessionSnapshot,
}

/// The settings of a manager whose sessions live as long as the framework says.
pub(crate) fn manager(store: impl SessionStore) -> SessionManagerBuilder {
    SessionManager::builder(store).lifetime(Lifetime::new(Lifetime::aal2().idle, None))
}

/// Says what a framework is told as text, or tells nobody.
pub(crate) fn report(error: &Error) {
    let source = error.source().map(ToString::to_string);
    tracing::warn!(target: "session", event = "refused", %error, source, "session refused");
}

impl Bridge {
    pub(crate) fn new(manager: SessionManager) -> Result<Self> {
        Ok(Self(Arc::new(Parts {
            manager,
            seal: SessionId::generate()?,
            loads: AtomicU64::new(0),
            saved: Recent::new(),
            ended: Ended::default(),
        })))
    }

    pub(crate) fn manager(&self) -> &SessionManager {
        &self.0.manager
    }

    pub(crate) async fn load(&self, id: SessionId) -> Result<Option<Loaded>> {
        let Some(snapshot) = self.manager().open(Some(id)).snapshot().await? else {
            return Ok(None);
        };
        let mut values = shown(&snapshot.data());
        values.insert(CARRIED.to_owned(), self.carried(&snapshot)?);
        Ok(Some(Loaded { values, snapshot }))
    }

    /// Saves what a session became.
    pub(crate) async fn save(&self, id: SessionId, values: &Values, life: Duration) -> Result<()> {
        let Some(base) = self.base(values)? else {
            return self.replace(id, values, life).await;
        };
        let session = self.manager().resume(base.snapshot.clone());
        let is_changed = apply(&session, &base.shown, values).await?;
        session.keep_for(life).await?;
        session.save().await?;
        if is_changed {
            self.remember(base.load, &session, values).await?;
        }
        Ok(())
    }

    /// Stores a new session, or one that goes on under a new id. Returns its id and its handle.
    pub(crate) async fn create(
        &self,
        values: &Values,
        life: Duration,
    ) -> Result<(SessionId, Session)> {
        let session = match self.base(values)? {
            Some(base) => self.go_on(&base, values).await?,
            None => {
                let session = self.manager().open(None);
                apply(&session, &Values::new(), values).await?;
                session
            }
        };
        session.keep_for(life).await?;
        session.save().await?;
        match session.cookie_change() {
            CookieChange::Set { id, .. } => Ok((id, session)),
            _ => Err(gone()),
        }
    }

    /// Ends a session, for a log-out or as the first half of a rotation.
    pub(crate) async fn end(&self, id: SessionId) -> Result<()> {
        let key = self.manager().key_hasher().key(&id);
        let taken = self.manager().open(Some(id)).take().await?;
        let key = taken.as_ref().map_or(key, |snapshot| snapshot.key().clone());
        self.0.ended.note(key, taken);
        Ok(())
    }

    /// All entries were removed, and those in `values` added.
    async fn replace(&self, id: SessionId, values: &Values, life: Duration) -> Result<()> {
        let session = self.manager().open(Some(id));
        if session.snapshot().await?.is_none() {
            return Err(gone());
        }
        session.clear().await?;
        apply(&session, &Values::new(), values).await?;
        session.keep_for(life).await?;
        session.save().await
    }

    /// The second half of a rotation.
    async fn go_on(&self, base: &Base, values: &Values) -> Result<Session> {
        let taken = self.0.ended.claim(base.snapshot.key()).ok_or_else(gone)?;
        let session = self.manager().resume(base.snapshot.clone());
        apply(&session, &base.shown, values).await?;
        session.reissue(taken).await?;
        Ok(session)
    }

    /// The entry that says what a session was.
    pub(crate) fn carried(&self, snapshot: &SessionSnapshot) -> Result<Value> {
        let load = self.0.loads.fetch_add(1, Ordering::Relaxed);
        let bytes = snapshot.to_bytes()?;
        let mut text = format!("{}.{load}.", self.0.seal.expose());
        text.reserve_exact(BASE64URL_NOPAD.encode_len(bytes.len()));
        BASE64URL_NOPAD.encode_append(&bytes, &mut text);
        Ok(Value::String(text))
    }

    /// What `values` were made of; nothing when the entry that says so was removed with all others.
    fn base(&self, values: &Values) -> Result<Option<Arc<Base>>> {
        let Some(carried) = values.get(CARRIED) else { return Ok(None) };
        let parts = carried.as_str().and_then(|text| {
            let (load, snapshot) =
                text.strip_prefix(self.0.seal.expose())?.strip_prefix('.')?.split_once('.')?;
            Some((load.parse().ok()?, BASE64URL_NOPAD.decode(snapshot.as_bytes()).ok()?))
        });
        let (load, bytes) = parts.ok_or_else(foreign)?;
        if let Some(saved) = self.0.saved.get(&load) {
            return Ok(Some(saved));
        }
        let snapshot = self.manager().snapshot_from_bytes(bytes)?;
        let shown = shown(&snapshot.data());
        Ok(Some(Arc::new(Base { load, snapshot, shown })))
    }

    /// A framework may save a session several times; the entry that it carries stays that of the
    /// load.
    async fn remember(&self, load: u64, session: &Session, values: &Values) -> Result<()> {
        if let Some(snapshot) = session.snapshot().await? {
            let shown = without_carried(values);
            self.0.saved.put(load, Arc::new(Base { load, snapshot, shown }));
        }
        Ok(())
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::NotFound, "session", Operation::Save)
        .with_detail("the session was ended while this request was using it")
}

fn foreign() -> Error {
    Error::new(ErrorKind::Corrupt, "session", Operation::Save)
        .with_detail("an entry of the adapter was overwritten, or comes from another store")
}
