//! The application under test, with the session of a foreign framework: what it does is in the path.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;
use session_core::{MemoryStore, SessionManager};
use session_http::scenarios::TestApp;
use tokio::sync::Barrier;

/// How many requests meet at `/together/…`.
pub(crate) const TOGETHER: usize = 50;

/// The session, the call or the value failed: what a handler answers with 500.
#[derive(Debug)]
pub(crate) struct Failed;

pub(crate) type Result<T> = std::result::Result<T, Failed>;

/// The session of a framework.
pub(crate) trait Handle {
    fn get(&self, name: &str) -> impl Future<Output = Result<Option<Value>>>;
    fn insert(&self, name: &str, value: Value) -> impl Future<Output = Result<()>>;
    fn remove(&self, name: &str) -> impl Future<Output = Result<Option<Value>>>;
    fn clear(&self) -> impl Future<Output = ()>;
    fn cycle(&self) -> impl Future<Output = Result<()>>;
    fn end(&self) -> impl Future<Output = Result<()>>;
}

/// Answers as [`TestApp`] does, as far as a foreign session can, and in addition:
///
/// | path | does |
/// | --- | --- |
/// | `/together/…` | reads the session, waits for 49 others that did, and does the rest |
/// | `/add/NAME` | inserts the entry, and adds one to the entry `count` |
/// | `/clear/…` | removes all entries and does the rest |
#[derive(Debug, Clone)]
pub(crate) struct App {
    gate: TestApp,
    together: Arc<Barrier>,
}

impl App {
    pub(crate) fn new(gate: TestApp) -> Self {
        Self { gate, together: Arc::new(Barrier::new(TOGETHER)) }
    }

    pub(crate) async fn answer(&self, session: &impl Handle, path: &str) -> (StatusCode, String) {
        let mut status = StatusCode::OK;
        match self.handle(session, path, &mut status).await {
            Ok(text) => (status, text),
            Err(Failed) => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        }
    }

    async fn handle(
        &self,
        session: &impl Handle,
        path: &str,
        status: &mut StatusCode,
    ) -> Result<String> {
        let (mut words, mut fails): (Vec<&str>, _) =
            (path.trim_matches('/').split('/').collect(), false);
        loop {
            match *words.as_slice() {
                ["status", code, ..] => {
                    *status = code.parse().unwrap();
                    words.remove(0);
                }
                ["failing", ..] => fails = true,
                ["wait", ..] => {
                    session.get("any").await?;
                    self.pass_the_gate().await;
                }
                ["together", ..] => {
                    session.get("any").await?;
                    self.together.wait().await;
                }
                ["clear", ..] => session.clear().await,
                _ => break,
            }
            words.remove(0);
        }
        let text = act(session, &words).await?;
        if fails { Err(Failed) } else { Ok(text) }
    }

    /// The gate is behind a session of our own.
    async fn pass_the_gate(&self) {
        let session = SessionManager::new(MemoryStore::new()).unwrap().open(None);
        self.gate.handle(session, "/wait").await.unwrap();
    }
}

async fn act(session: &impl Handle, words: &[&str]) -> Result<String> {
    match *words {
        ["get" | "peek", name] => return shown(session.get(name).await?),
        ["set", name, value] => session.insert(name, value.into()).await?,
        ["remove", name] => return shown(session.remove(name).await?),
        ["count" | "exclusive"] => return count(session).await,
        ["add", name] => {
            session.insert(name, name.into()).await?;
            return count(session).await;
        }
        ["login", user] => {
            session.cycle().await?;
            session.insert("user", user.into()).await?;
        }
        ["cycle"] => session.cycle().await?,
        ["logout"] => session.end().await?,
        _ => {}
    }
    Ok("done".to_owned())
}

fn shown(value: Option<Value>) -> Result<String> {
    let Some(value) = value else { return Ok("none".to_owned()) };
    value.as_str().map(str::to_owned).ok_or(Failed)
}

/// What foreign applications do: they read, and write.
async fn count(session: &impl Handle) -> Result<String> {
    let count = session.get("count").await?.and_then(|count| count.as_u64()).unwrap_or_default();
    session.insert("count", (count + 1).into()).await?;
    Ok((count + 1).to_string())
}
