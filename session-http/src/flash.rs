//! Messages that are shown once, on the next page: "Saved." after a redirect.
//!
//! ```
//! use session_core::{Result, Session};
//! use session_http::flash::{self, Flash};
//!
//! async fn save_form(session: &Session) -> Result<&'static str> {
//!     flash::push(session, Flash::success("Saved.")).await?;
//!     Ok("303 See Other")
//! }
//!
//! async fn page(session: &Session) -> Result<String> {
//!     let messages = flash::take(session).await?;
//!     Ok(messages.iter().map(|flash| format!("<p>{}</p>", flash.text)).collect())
//! }
//! ```
//!
//! Messages are text: escape them for the page. In exclusive mode use [`push_to`] and [`take_from`],
//! which work on the session that is held.

use serde::{Deserialize, Serialize};
use session_core::{ErrorKind, Result, Session, SessionData};

use crate::events;

/// The entry that messages wait in.
const ENTRY: &str = "_flash";
/// More messages than this nobody reads; the oldest go.
const MAX_WAITING: usize = 32;

/// A message that is shown once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Flash {
    /// What kind of message it is.
    pub level: Level,
    /// What it says.
    pub text: String,
}

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// Something to know.
    Info,
    /// Something worked.
    Success,
    /// Something to look at.
    Warning,
    /// Something failed.
    Error,
}

impl Flash {
    /// A message.
    pub fn new(level: Level, text: impl Into<String>) -> Self {
        Self { level, text: text.into() }
    }

    /// Something to know.
    pub fn info(text: impl Into<String>) -> Self {
        Self::new(Level::Info, text)
    }

    /// Something worked.
    pub fn success(text: impl Into<String>) -> Self {
        Self::new(Level::Success, text)
    }

    /// Something to look at.
    pub fn warning(text: impl Into<String>) -> Self {
        Self::new(Level::Warning, text)
    }

    /// Something failed.
    pub fn error(text: impl Into<String>) -> Self {
        Self::new(Level::Error, text)
    }
}

/// Leaves a message for the next page that [`take`]s it. It is saved at once, with what was changed
/// before, so that parallel requests do not overwrite each other's.
///
/// At most 32 messages wait; with more, the oldest are dropped.
///
/// # Errors
/// Those of [`Session::update`].
pub async fn push(session: &Session, flash: Flash) -> Result<()> {
    session.update(|data| push_to(data, flash.clone())).await
}

/// Takes the messages that wait, the oldest first. Each is taken by one request only. Where none
/// waits, nothing is written. Messages that this release cannot read, left by a newer one, are
/// dropped.
///
/// # Errors
/// Those of [`Session::update`].
pub async fn take(session: &Session) -> Result<Vec<Flash>> {
    if !session.contains(ENTRY).await? {
        return Ok(Vec::new());
    }
    session.update(take_from).await
}

/// [`push`] for a session that is held exclusively, or within an update.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) when the message cannot be encoded.
pub fn push_to(data: &mut SessionData, flash: Flash) -> Result<()> {
    let mut waiting = take_from(data)?;
    waiting.push(flash);
    let too_many = waiting.len().saturating_sub(MAX_WAITING);
    waiting.drain(..too_many);
    data.insert(ENTRY, waiting)
}

/// [`take`] for a session that is held exclusively, or within an update.
///
/// # Errors
/// As [`push_to`].
pub fn take_from(data: &mut SessionData) -> Result<Vec<Flash>> {
    match data.remove(ENTRY) {
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            events::messages_dropped(&error);
            data.insert(ENTRY, Vec::<Flash>::new())?;
            data.remove::<Vec<Flash>>(ENTRY)?;
            Ok(Vec::new())
        }
        waiting => Ok(waiting?.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use session_core::{MemoryStore, SessionManager};

    use super::*;

    #[tokio::test]
    async fn messages_of_a_newer_release_are_dropped_and_fail_no_page() {
        let manager = SessionManager::new(MemoryStore::new()).unwrap();
        let session = manager.open(None);
        session.insert(ENTRY, "of another shape").await.unwrap();
        assert_eq!(take(&session).await.unwrap(), []);
        assert!(!session.contains(ENTRY).await.unwrap());
        session.insert(ENTRY, "of another shape").await.unwrap();
        session.save().await.unwrap();
        push(&session, Flash::info("Saved.")).await.unwrap();
        assert_eq!(take(&session).await.unwrap(), [Flash::info("Saved.")]);
    }
}
