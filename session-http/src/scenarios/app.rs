//! The application under test: what it does is in the path of the request.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode};
use session_core::{Error, ErrorKind, Operation, Result, Session};
use tokio::sync::Notify;

/// An application that uses its session as the path says:
///
/// | path | does |
/// | --- | --- |
/// | `/untouched` | nothing |
/// | `/get/NAME`, `/peek/NAME` | answers the entry's value or `none`; `peek` in read-only mode |
/// | `/set/NAME/VALUE` | inserts the entry |
/// | `/remove/NAME` | removes the entry |
/// | `/count`, `/exclusive` | adds one to the entry `count` and answers it; by `update` or under the lock |
/// | `/login/USER`, `/cycle`, `/logout` | logs in, rotates the id, ends the session |
/// | `/status/CODE/…` | does the rest, then answers with that status |
/// | `/swallow/…` | does the rest, and answers `swallowed` if the session fails |
/// | `/failing/…` | does the rest, then fails with a session error |
/// | `/wait/…` | does the rest after it was told to go on |
#[derive(Debug, Clone, Default)]
pub struct TestApp {
    gate: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    arrived: Notify,
    go_on: Notify,
}

impl TestApp {
    /// Answers a request for `path`.
    ///
    /// # Errors
    /// Those of the session, which the adapter must turn into a response.
    pub async fn handle(&self, session: Session, path: &str) -> Result<Response<Bytes>> {
        let (mut status, mut swallows, mut fails) = (StatusCode::OK, false, false);
        let mut words: Vec<&str> = path.trim_matches('/').split('/').collect();
        loop {
            match *words.as_slice() {
                ["status", code, ..] => {
                    status = code.parse().expect("a status code");
                    words.drain(..2);
                }
                ["swallow", ..] => {
                    swallows = true;
                    words.remove(0);
                }
                ["failing", ..] => {
                    fails = true;
                    words.remove(0);
                }
                ["wait", ..] => {
                    // The session is read before, so that it is in flight.
                    session.get::<String>("any").await?;
                    self.gate.arrived.notify_one();
                    self.gate.go_on.notified().await;
                    words.remove(0);
                }
                _ => break,
            }
        }
        let text = match act(&session, &words).await {
            Err(_) if swallows => "swallowed".to_owned(),
            outcome => outcome?,
        };
        if fails {
            return Err(Error::new(ErrorKind::Backend, "session", Operation::Load));
        }
        let mut response = Response::new(Bytes::from(text));
        *response.status_mut() = status;
        Ok(response)
    }

    /// Returns when a request for `/wait/…` has arrived.
    pub async fn arrived(&self) {
        self.gate.arrived.notified().await;
    }

    /// Lets that request go on.
    pub fn go_on(&self) {
        self.gate.go_on.notify_one();
    }
}

async fn act(session: &Session, words: &[&str]) -> Result<String> {
    let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    match *words {
        ["get", name] => return session.get(name).await.map(shown),
        ["peek", name] => return session.read_only().get(name).await.map(shown),
        ["set", name, value] => session.insert(name, value).await?,
        ["remove", name] => return session.remove(name).await.map(shown),
        ["count"] => return count(session).await.map(|count| count.to_string()),
        ["exclusive"] => return exclusive(session).await.map(|count| count.to_string()),
        ["login", user] => {
            session.login(user).await?;
            session.insert("user", user).await?;
        }
        ["cycle"] => session.cycle_id().await?,
        ["logout"] => session.delete().await?,
        _ => {}
    }
    Ok("done".to_owned())
}

async fn count(session: &Session) -> Result<u64> {
    session
        .update(|data| {
            let count = data.get::<u64>("count")?.unwrap_or_default() + 1;
            data.insert("count", count)?;
            Ok(count)
        })
        .await
}

async fn exclusive(session: &Session) -> Result<u64> {
    let mut locked = session.lock(Duration::from_secs(10)).await?;
    let count = locked.get::<u64>("count")?.unwrap_or_default() + 1;
    tokio::task::yield_now().await;
    locked.insert("count", count)?;
    locked.commit().await?;
    Ok(count)
}
