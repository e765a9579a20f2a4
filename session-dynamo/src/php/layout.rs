//! Where the AWS SDK for PHP keeps a session, as plain data.

use std::time::Duration;

use session_core::{Result, Sweeping};

use crate::{DynamoConfig, config::wrong};

/// The layout of the sessions of `Aws\DynamoDb\SessionHandler`, as its settings decide it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhpLayout {
    /// The table, the way to it, and the limits. Its prefix and its attributes do not count here.
    pub dynamo: DynamoConfig,
    /// What keys begin with, before a `_`: PHP's `session.name`. Default: `PHPSESSID`.
    pub session_name: String,
    /// The attribute of the key. Default: `id`.
    pub hash_key: String,
    /// The attribute of the session's bytes. Default: `data`.
    pub data_attribute: String,
    /// Of which type that attribute is written; both are read. Default: [`PhpData::Text`].
    pub data_type: PhpData,
    /// The attribute of the end of a session's life. Default: `expires`.
    pub lifetime_attribute: String,
    /// How sessions are locked; `None` where PHP does not lock, which is its default.
    pub lock: Option<PhpLock>,
}

impl PhpLayout {
    /// The table that PHP uses without further settings.
    pub const TABLE: &'static str = "sessions";

    /// Sessions as PHP keeps them without further settings: without locks.
    #[must_use]
    pub fn new(dynamo: DynamoConfig) -> Self {
        Self {
            dynamo,
            session_name: "PHPSESSID".to_owned(),
            hash_key: "id".to_owned(),
            data_attribute: "data".to_owned(),
            data_type: PhpData::Text,
            lifetime_attribute: "expires".to_owned(),
            lock: None,
        }
    }

    /// With locks.
    #[must_use]
    pub const fn with_lock(mut self, lock: PhpLock) -> Self {
        self.lock = Some(lock);
        self
    }

    /// With this type of the session's bytes.
    #[must_use]
    pub const fn with_data_type(mut self, data_type: PhpData) -> Self {
        self.data_type = data_type;
        self
    }

    /// The key of the session of this id.
    pub(super) fn key(&self, id: &str) -> String {
        format!("{}_{id}", self.session_name).trim_matches('_').to_owned()
    }

    pub(super) fn check(&self) -> Result<()> {
        let names = [&self.hash_key, &self.data_attribute, &self.lifetime_attribute];
        let odd = |name: &&String| name.is_empty() || name.len() > 255 || *name == LOCK;
        let demands = [
            (!names.iter().any(odd), "an attribute's name is 1 to 255 bytes long and not `lock`"),
            (
                self.hash_key != self.data_attribute
                    && self.hash_key != self.lifetime_attribute
                    && self.data_attribute != self.lifetime_attribute,
                "the attributes need three names",
            ),
            (!self.session_name.is_empty(), "PHP's session.name is not empty"),
            (
                self.lock.is_none_or(|lock| !lock.pause.is_zero()),
                "without a pause, waiters would leave the table no rest",
            ),
            (
                self.dynamo.sweeping == Sweeping::ByServer,
                "PHP's sessions are swept by the table's own expiry, or by PHP",
            ),
        ];
        demands.into_iter().find(|(met, _)| !met).map_or(Ok(()), |(_, demand)| Err(wrong(demand)))
    }
}

/// The attribute of the lock; PHP has no setting for it.
pub(super) const LOCK: &str = "lock";

/// Of which type the session's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PhpData {
    /// A string, which must be UTF-8: `data_attribute_type` `string`.
    #[default]
    Text,
    /// Bytes: `data_attribute_type` `binary`.
    Binary,
}

/// How PHP locks a session: by an attribute of its item, without an owner and without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhpLock {
    /// The longest pause between two tries. PHP's are random, too. Default: 50 ms.
    pub pause: Duration,
}

impl PhpLock {
    /// As PHP locks without further settings.
    #[must_use]
    pub const fn new() -> Self {
        Self { pause: Duration::from_millis(50) }
    }

    /// With this pause.
    #[must_use]
    pub const fn with_pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }
}

impl Default for PhpLock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_trimmed_of_underscores_at_both_ends() {
        let mut layout = PhpLayout::new(DynamoConfig::new("sessions"));
        assert_eq!(layout.key("abc"), "PHPSESSID_abc");
        assert_eq!(layout.key("_x_"), "PHPSESSID__x");
        layout.session_name = "MYAPP".to_owned();
        assert_eq!(layout.key("abc"), "MYAPP_abc");
    }

    #[test]
    fn attributes_that_would_be_one_are_refused() {
        let layout = PhpLayout::new(DynamoConfig::new("sessions"));
        layout.check().unwrap();
        for name in ["id", "expires", "lock", ""] {
            let layout = PhpLayout { data_attribute: name.to_owned(), ..layout.clone() };
            layout.check().unwrap_err();
        }
    }
}
