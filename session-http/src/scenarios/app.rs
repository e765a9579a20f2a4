//! The application under test: what it does is in the path of the request.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Response, StatusCode};
use session_core::{Error, ErrorKind, Operation, ReadOnlySession, Result, Session};
use tokio::sync::Notify;

use crate::{
    ExclusiveSession, csrf,
    flash::{self, Flash},
    forget_me, remember_me,
    scenarios::bench::in_time,
};

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
/// | `/remember/SECONDS` | remembers the session for so long |
/// | `/forget/USER` | logs in without being remembered |
/// | `/csrf`, `/csrf/TOKEN` | answers a token, checks one |
/// | `/flash/TEXT`, `/flashes` | leaves a message, takes all of them |
/// | `/exclusively/…` | see [`handle_exclusive`](Self::handle_exclusive) |
/// | `/reading/NAME` | answers the entry's value or `none`, of the session taken read-only |
/// | `/guarded/…` | does the rest, if the request has a CSRF token |
#[derive(Debug, Clone, Default)]
pub struct TestApp {
    gate: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    arrived: Notify,
    go_on: Notify,
    kept: Mutex<Option<ExclusiveSession>>,
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
                    self.wait().await;
                    words.remove(0);
                }
                ["guarded", ..] => drop(words.remove(0)),
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
        Ok(answer(status, text))
    }

    /// Answers a request for `/exclusively/…`, whose handler took the session exclusively:
    ///
    /// | the rest of the path | does |
    /// | --- | --- |
    /// | `count` | adds one to the entry `count` and answers it |
    /// | `release` | the same, commits, and answers after it was told to go on |
    /// | `undo` | the same, and rolls it back |
    /// | `keep` | the same, and keeps the session beyond the response |
    /// | `flash/TEXT`, `flashes`, `csrf`, `logout` | as without `exclusively` |
    /// | `status/CODE/…`, `failing/…`, `wait/…` | as without `exclusively` |
    ///
    /// # Errors
    /// Those of the session, which the adapter must turn into a response.
    pub async fn handle_exclusive(
        &self,
        mut session: ExclusiveSession,
        path: &str,
    ) -> Result<Response<Bytes>> {
        let path = path.strip_prefix("/exclusively/").expect("the route of this handler");
        let mut words: Vec<&str> = path.split('/').collect();
        let mut status = StatusCode::OK;
        if let ["status", code, ..] = *words.as_slice() {
            status = code.parse().expect("a status code");
            words.drain(..2);
        }
        if words.first() == Some(&"wait") {
            self.wait().await;
            words.remove(0);
        }
        match *words.as_slice() {
            ["flash", text] => flash::push_to(&mut session, Flash::info(text))?,
            ["flashes"] => return Ok(answer(status, shown(&flash::take_from(&mut session)?))),
            ["csrf"] => {
                return Ok(answer(status, csrf::token_in(&mut session).await?));
            }
            ["logout"] => {
                session.delete().await?;
                return Ok(answer(status, "done".to_owned()));
            }
            _ => {}
        }
        let count = session.get::<u64>("count")?.unwrap_or_default() + 1;
        session.insert("count", count)?;
        match *words.as_slice() {
            ["release"] => {
                session.commit().await?;
                self.wait().await;
            }
            ["undo"] => session.rollback().await?,
            ["keep"] => *self.gate.kept.lock().expect("nobody panics") = Some(session),
            ["failing"] => {
                return Err(Error::new(ErrorKind::Backend, "session", Operation::Load));
            }
            _ => {}
        }
        Ok(answer(status, count.to_string()))
    }

    /// Answers a request for `/reading/…`, whose handler took the session read-only.
    ///
    /// # Errors
    /// Those of the session, which the adapter must turn into a response.
    pub async fn handle_read_only(
        &self,
        session: ReadOnlySession,
        path: &str,
    ) -> Result<Response<Bytes>> {
        let name = path.strip_prefix("/reading/").expect("the route of this handler");
        let value: Option<String> = session.get(name).await?;
        Ok(answer(StatusCode::OK, value.unwrap_or_else(|| "none".to_owned())))
    }

    /// Lets go of the session that `/exclusively/keep` kept.
    pub fn let_go(&self) {
        drop(self.gate.kept.lock().expect("nobody panics").take());
    }

    async fn wait(&self) {
        self.gate.arrived.notify_one();
        self.gate.go_on.notified().await;
    }

    /// Returns when a request for `/wait/…` has arrived.
    pub async fn arrived(&self) {
        in_time("a request for `/wait/…`", self.gate.arrived.notified()).await;
    }

    /// Lets that request go on.
    pub fn go_on(&self) {
        self.gate.go_on.notify_one();
    }
}

fn answer(status: StatusCode, text: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status;
    response
}

fn shown(messages: &[Flash]) -> String {
    messages.iter().map(|flash| flash.text.as_str()).collect::<Vec<_>>().join(",")
}

async fn act(session: &Session, words: &[&str]) -> Result<String> {
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    match *words {
        ["get", name] => return session.get(name).await.map(or_none),
        ["peek", name] => return session.read_only().get(name).await.map(or_none),
        ["set", name, value] => session.insert(name, value).await?,
        ["remove", name] => return session.remove(name).await.map(or_none),
        ["count"] => return count(session).await.map(|count| count.to_string()),
        ["exclusive"] => return exclusive(session).await.map(|count| count.to_string()),
        ["login", user] => {
            session.login(user).await?;
            session.insert("user", user).await?;
        }
        ["cycle"] => session.cycle_id().await?,
        ["logout"] => session.delete().await?,
        ["remember", seconds] => {
            let idle = Duration::from_secs(seconds.parse().expect("a number"));
            remember_me(session, idle).await?;
        }
        ["forget", user] => {
            session.login(user).await?;
            forget_me(session).await?;
        }
        ["csrf"] => return csrf::token(session).await,
        ["csrf", token] => csrf::check(session, token).await?,
        ["flash", text] => flash::push(session, Flash::info(text)).await?,
        ["flashes"] => return Ok(shown(&flash::take(session).await?)),
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
