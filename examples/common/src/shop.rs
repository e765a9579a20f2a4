//! What the shop is asked, and what it answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use session::{
    core::SessionFacts,
    http::{Diagnostics, KeyRing},
};

/// Each item of the cart is an entry of its own, so that parallel requests do not meet.
pub const ITEM: &str = "cart:";

/// The longest that a request waits for the session to be its own.
pub const MAX_WAIT: Duration = Duration::from_secs(30);

const MAX_HOLD: Duration = Duration::from_secs(10);
const MAX_TEXT: usize = 80;

/// Without blanks around it, if it is of a sensible length.
fn sensible(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty() && text.len() <= MAX_TEXT)
}

/// `POST /login`.
#[derive(Debug, Deserialize)]
pub struct LogIn {
    user: String,
}

impl LogIn {
    /// Who it is, if he says so.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        sensible(&self.user)
    }
}

/// `POST /cart`.
#[derive(Debug, Deserialize)]
pub struct Item {
    item: String,
}

impl Item {
    /// The entry of the session that stands for the item.
    #[must_use]
    pub fn entry(&self) -> Option<String> {
        sensible(&self.item).map(|item| format!("{ITEM}{item}"))
    }
}

/// The items among the entries of a session.
#[must_use]
pub fn items(names: &[String]) -> Vec<String> {
    names.iter().filter_map(|name| name.strip_prefix(ITEM)).map(Into::into).collect()
}

/// `POST /exclusive`.
#[derive(Debug, Deserialize)]
pub struct Hold {
    #[serde(default)]
    ms: u64,
}

impl Hold {
    /// For how long the session is to be held.
    #[must_use]
    pub fn time(&self) -> Duration {
        Duration::from_millis(self.ms).min(MAX_HOLD)
    }
}

/// `GET /test/index`.
#[derive(Debug, Deserialize)]
pub struct Name {
    name: Option<String>,
}

impl Name {
    /// The name to store, if there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref().and_then(sensible)
    }
}

/// Who has logged in.
#[derive(Debug, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "handlers make it")]
pub struct User<'a> {
    /// As he said.
    pub user: &'a str,
}

/// What is known of a visitor.
#[derive(Debug, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "handlers make it")]
pub struct Me {
    /// Nobody who has not logged in.
    pub user: Option<String>,
    /// How far he counted.
    pub count: u64,
    /// The items that he chose.
    pub cart: Vec<String>,
    /// Which instance answers.
    pub instance: String,
    /// The kind of store.
    pub store: &'static str,
}

/// What is in the cart.
#[derive(Debug, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "handlers make it")]
pub struct Cart {
    /// All items.
    pub cart: Vec<String>,
}

/// How far was counted.
#[derive(Debug, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "handlers make it")]
pub struct Count {
    /// One more than before.
    pub count: u64,
}

/// The name that is stored in a session, and where it was looked up.
#[derive(Debug, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "handlers make it")]
pub struct Named {
    /// The last that was given.
    pub name: Option<String>,
    /// What logs may call the session.
    pub session: Option<String>,
    /// Which instance answers.
    pub instance: String,
}

/// The ids of the keys of an instance, and how often it met another key.
#[derive(Debug, Serialize)]
pub struct Keys {
    instance: String,
    keys: Vec<String>,
    refused: u64,
    unknown_key: Option<String>,
}

impl Keys {
    /// Of the instance with this name and ring, which has seen this.
    #[must_use]
    pub fn of(instance: &str, ring: Option<&KeyRing>, seen: Diagnostics) -> Self {
        Self {
            instance: instance.to_owned(),
            keys: ring.into_iter().flat_map(KeyRing::ids).map(|id| id.to_string()).collect(),
            refused: seen.unknown_key,
            unknown_key: seen.last_unknown_key.map(|id| id.to_string()),
        }
    }
}

/// What a visitor may know of his session; times in milliseconds.
#[derive(Debug, Serialize)]
pub struct Facts {
    log_id: String,
    created_at: u64,
    authenticated_at: Option<u64>,
    ends_at: Option<u64>,
    idle_for: Option<u64>,
}

impl From<SessionFacts> for Facts {
    fn from(facts: SessionFacts) -> Self {
        let millis = |left: Duration| u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        Self {
            log_id: facts.log_id.to_string(),
            created_at: facts.created_at.as_millis(),
            authenticated_at: facts.authenticated_at.map(|at| at.as_millis()),
            ends_at: facts.absolute_deadline.map(|at| at.as_millis()),
            idle_for: facts.remaining.duration().map(millis),
        }
    }
}
