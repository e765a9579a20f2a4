//! A server of an application: the session handle on a store, with the wire between them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use session_core::{
    Clock, CookieChange, Document, DocumentState, Format, Key, KeyHasher, Lifetime, NativeFormat,
    Session, SessionId, SessionManager, SessionManagerBuilder, Timestamp,
};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    client::{Client, HOUR, LONG},
    context::Cx,
    outcome::{Failure, Outcome, ensure, ensure_eq},
    together::finish,
    wire::Wire,
};

/// A server: what it opens sessions with, and the wire that leads to the store.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) sessions: SessionManager,
    pub(crate) wire: Wire,
}

/// The sessions' idle lifetime, unless the case sets another.
pub(crate) const IDLE: Duration = HOUR;
/// Their absolute lifetime, on stores that keep one.
pub(crate) const ABSOLUTE: Duration = HOUR.saturating_mul(5);
/// How long a commit goes on trying: for ever, as a case sees it, but for a hang.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(45);

impl Server {
    /// A server with settings under which nothing ends during a case.
    pub(crate) fn new(cx: &Cx, client: &Client) -> Result<Self, Failure> {
        Self::with(cx, client, |settings| settings)
    }

    /// A server with some settings of its own.
    pub(crate) fn with(
        cx: &Cx,
        client: &Client,
        set: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder,
    ) -> Result<Self, Failure> {
        let wire = Wire::new(client.store());
        let settings = SessionManager::builder(wire.clone())
            .clock(CaseClock(Arc::clone(cx)))
            .lifetime(lifetime(cx, IDLE, ABSOLUTE))
            .lock_lease(LONG)
            .commit_timeout(COMMIT_TIMEOUT);
        Ok(Self { sessions: set(settings).build()?, wire })
    }

    /// The first and the second server.
    pub(crate) async fn both(cx: &Cx) -> Result<[Self; 2], Failure> {
        Self::both_with(cx, |settings| settings).await
    }

    /// The first and the second server, with some settings of their own.
    pub(crate) async fn both_with(
        cx: &Cx,
        set: impl Fn(SessionManagerBuilder) -> SessionManagerBuilder,
    ) -> Result<[Self; 2], Failure> {
        Ok([Self::with(cx, &cx.a, &set)?, Self::with(cx, &cx.b().await?, &set)?])
    }

    /// A request that presents `id`.
    pub(crate) fn open(&self, id: &SessionId) -> Session {
        self.sessions.open(Some(id.clone()))
    }

    /// A request without a cookie.
    pub(crate) fn open_new(&self) -> Session {
        self.sessions.open(None)
    }

    /// Starts a session that is a user's, and returns its id.
    pub(crate) async fn log_in(&self, name: &str) -> Result<SessionId, Failure> {
        let session = self.open_new();
        session.login(name).await?;
        new_id(&session)
    }

    /// Starts a session with the entry `user`, and returns its id.
    pub(crate) async fn start(&self) -> Result<SessionId, Failure> {
        let session = self.open_new();
        session.insert("user", "ada").await?;
        session.save().await?;
        new_id(&session)
    }
}

/// A lifetime, without the absolute limit where the store keeps none.
pub(crate) fn lifetime(cx: &Cx, idle: Duration, absolute: Duration) -> Lifetime {
    Lifetime::new(idle, cx.has().meta.is_yes().then_some(absolute))
}

/// The clock of the servers goes with the store's.
#[derive(Debug)]
struct CaseClock(Cx);

impl Clock for CaseClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// The id that a response sets.
#[track_caller]
pub(crate) fn new_id(session: &Session) -> Result<SessionId, Failure> {
    match session.cookie_change() {
        CookieChange::Set { id, .. } => Ok(id),
        other => Err(Failure::new(format_args!("expected a new id, found {other:?}"))),
    }
}

/// The key of an id.
pub(crate) fn key(id: &SessionId) -> Key {
    KeyHasher::plain().key(id)
}

/// Checks that a session has an entry of this value, or none.
pub(crate) async fn ensure_entry<T>(session: &Session, name: &str, value: Option<T>) -> Outcome
where
    T: serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    ensure_eq!(session.get::<T>(name).await?, value, "the entry {name:?}");
    Ok(())
}

/// Checks that an id leads to no session.
pub(crate) async fn ensure_no_session(server: &Server, id: &SessionId) -> Outcome {
    let session = server.open(id);
    ensure_eq!(session.facts().await?, None, "a session that is no more");
    ensure_eq!(session.names().await?, Vec::<String>::new(), "its entries");
    Ok(())
}

/// Runs `count` requests alternately on the servers. Each is prepared; when all are, they are all
/// let go at the same moment. Returns what they return, in the order of their numbers.
pub(crate) async fn requests<P, T, F, G>(
    servers: &[Server],
    count: usize,
    prepare: impl Fn(usize, Server) -> F,
    go: impl Fn(usize, P) -> G + Clone + Send + 'static,
) -> Result<Vec<T>, Failure>
where
    P: Send + 'static,
    T: Send + 'static,
    F: Future<Output = Result<P, Failure>> + Send + 'static,
    G: Future<Output = Result<T, Failure>> + Send + 'static,
{
    let start = Arc::new(Barrier::new(count));
    let mut tasks = JoinSet::new();
    for (n, server) in servers.iter().cycle().take(count).enumerate() {
        let (prepared, go, start) = (prepare(n, server.clone()), go.clone(), Arc::clone(&start));
        tasks.spawn(async move {
            let prepared = prepared.await?;
            start.wait().await;
            go(n, prepared).await.map(|value| (n, value))
        });
    }
    let mut values = finish(tasks).await?;
    values.sort_by_key(|(n, _)| *n);
    Ok(values.into_iter().map(|(_, value)| value).collect())
}

/// The keys of all sessions that are stored, aliases not counted, if the store enumerates.
pub(crate) async fn live_sessions(cx: &Cx) -> Result<Option<Vec<Key>>, Failure> {
    let Some(enumeration) = cx.a.enumeration() else { return Ok(None) };
    let (mut live, mut cursor) = (Vec::new(), None);
    loop {
        let page = enumeration.keys(cursor.as_ref(), 100).await?;
        for key in page.keys {
            if let Some(Document { header, .. }) = document(cx, &key).await? {
                live.extend((header.state == DocumentState::Live).then_some(key));
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(Some(live));
        }
    }
}

/// What is stored under a key, taken apart.
pub(crate) async fn document(cx: &Cx, key: &Key) -> Result<Option<Document>, Failure> {
    let Some(record) = cx.a.get(key).await? else { return Ok(None) };
    Ok(Some(NativeFormat::default().decode(&record.payload)?))
}

/// Checks that the store holds exactly these sessions, aliases not counted.
pub(crate) async fn ensure_live(cx: &Cx, ids: &[&SessionId]) -> Outcome {
    let Some(live) = live_sessions(cx).await? else { return Ok(()) };
    let wanted: BTreeSet<_> = ids.iter().map(|id| *key(id).digest()).collect();
    let live: BTreeSet<_> = live.iter().map(|key| *key.digest()).collect();
    ensure!(live == wanted, "{} sessions are stored instead of {}", live.len(), wanted.len());
    Ok(())
}
