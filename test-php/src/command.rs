//! What a worker is told, and what it answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a worker is told to do with its session.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Command {
    /// Starts a session, and holds its lock where the layout has one; without an id, a new one.
    Start {
        /// The id.
        id: Option<String>,
        /// How long our side waits for the lock; PHP waits as its settings say.
        wait_ms: Option<u64>,
        /// For how long our side takes the lock.
        lease_ms: Option<u64>,
    },
    /// Sets a variable.
    Set {
        /// Its name.
        name: String,
        /// Its value: a number or a text.
        value: Value,
    },
    /// Removes all variables.
    Empty,
    /// Writes what has changed, or only says that the session is alive, and gives the lock back.
    Close,
    /// Gives the lock back and writes nothing.
    Abort,
    /// Removes the session.
    Destroy,
    /// Gives the session another id.
    Regenerate {
        /// Whether what is stored under the former one goes.
        delete: bool,
    },
    /// Removes what has expired; the answer's number says how many.
    Gc,
    /// Starts the session, counts a variable up, and closes it, over and over, until that many have
    /// succeeded. The answer's number says how many were tried.
    Count {
        /// The id.
        id: String,
        /// The name of the variable.
        name: String,
        /// How often.
        times: u64,
    },
}

impl Command {
    /// Starts the session `id`.
    #[must_use]
    pub fn start(id: &str) -> Self {
        Self::Start { id: Some(id.to_owned()), wait_ms: None, lease_ms: None }
    }

    /// Starts a new session.
    #[must_use]
    pub const fn start_new() -> Self {
        Self::Start { id: None, wait_ms: None, lease_ms: None }
    }

    /// Sets a variable.
    #[must_use]
    pub fn set(name: &str, value: impl Into<Value>) -> Self {
        Self::Set { name: name.to_owned(), value: value.into() }
    }
}

/// What a worker has done.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Answer {
    /// Whether PHP's function returned true, or our store no error.
    pub ok: bool,
    /// The session's id; empty when there is no session.
    pub id: String,
    /// Its variables.
    pub vars: BTreeMap<String, Value>,
    /// PHP's warnings, or the kind of our store's error.
    pub notes: Vec<String>,
    /// What was counted.
    #[serde(default)]
    pub number: u64,
}
