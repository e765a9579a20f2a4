//! Where the AWS SDK for PHP keeps a session, as plain data.

use std::time::Duration;

use session_core::{
    Result, Sweeping,
    settings::{self, Setting},
};

use crate::{BACKEND, DynamoConfig, config::wrong};

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

    /// Reads a URL like `dynamodb://Sessions?region=eu-central-1&locking=true`: of the handler's options those
    /// that decide where a session is and how it is locked, by PHP's names for them, and all that
    /// [`DynamoConfig::from_url`] takes.
    ///
    /// | key | value | default |
    /// | --- | --- | --- |
    /// | `session.name` | what keys begin with | `PHPSESSID` |
    /// | `hash_key` | the attribute of the key | `id` |
    /// | `data_attribute` | the attribute of the session's bytes | `data` |
    /// | `data_attribute_type` | `string` or `binary` | `string` |
    /// | `session_lifetime_attribute` | the attribute of the end of its life | `expires` |
    /// | `locking` | `true` or `false` | `false` |
    /// | `max_lock_retry_microtime` | the longest pause between two tries, with `locking` before it | `50000` |
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config), which names the key at fault but never a value.
    pub fn from_url(url: &str) -> Result<Self> {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let is_phps = |pair: &&str| {
            let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
            SETTINGS.iter().any(|setting| setting.name() == name)
        };
        let (phps, ours): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_phps);
        let mut layout =
            Self::new(DynamoConfig::from_url(&format!("{address}?{}", ours.join("&")))?);
        settings::read(BACKEND, SETTINGS, &phps.join("&"), &mut layout)?;
        layout.check()?;
        Ok(layout)
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

    /// The key of the session of this id. None of an id that ends with a `_`, which PHP cuts off: its key
    /// would be that of another id.
    pub(super) fn key(&self, id: &str) -> Option<String> {
        let key = format!("{}_{id}", self.session_name);
        (!id.ends_with('_')).then(|| key.trim_start_matches('_').to_owned())
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
            (
                !self.session_name.trim_start_matches('_').is_empty(),
                "PHP's session.name is more than `_`, which PHP cuts off",
            ),
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

const NAME: &str = "a name";

const SETTINGS: &[Setting<PhpLayout>] = &[
    Setting::new("session.name", NAME, |layout, value| {
        layout.session_name = value.to_owned();
        Some(())
    }),
    Setting::new("hash_key", NAME, |layout, value| {
        layout.hash_key = value.to_owned();
        Some(())
    }),
    Setting::new("data_attribute", NAME, |layout, value| {
        layout.data_attribute = value.to_owned();
        Some(())
    }),
    Setting::new("data_attribute_type", "string or binary", |layout, value| {
        layout.data_type = match value {
            "string" => PhpData::Text,
            "binary" => PhpData::Binary,
            _ => return None,
        };
        Some(())
    }),
    Setting::new("session_lifetime_attribute", NAME, |layout, value| {
        layout.lifetime_attribute = value.to_owned();
        Some(())
    }),
    Setting::new("locking", "true or false", |layout, value| {
        layout.lock = value.parse::<bool>().ok()?.then(PhpLock::new);
        Some(())
    }),
    Setting::new("max_lock_retry_microtime", "a number, after locking=true", |layout, value| {
        layout.lock.as_mut()?.pause = Duration::from_micros(value.parse().ok()?);
        Some(())
    }),
];

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
    fn a_key_begins_with_the_name_and_no_two_ids_have_one() {
        let mut layout = PhpLayout::new(DynamoConfig::new("sessions"));
        assert_eq!(layout.key("abc").unwrap(), "PHPSESSID_abc");
        assert_eq!(layout.key("_x").unwrap(), "PHPSESSID__x");
        assert_eq!(layout.key("_x_"), None);
        layout.session_name = "__MYAPP".to_owned();
        assert_eq!(layout.key("abc").unwrap(), "MYAPP_abc");
    }

    #[test]
    fn a_url_has_the_handlers_options_by_their_names() {
        let url = "dynamodb://T?region=r&session.name=APP&hash_key=k&data_attribute=d\
                   &data_attribute_type=binary&session_lifetime_attribute=e&session.timeout=2s\
                   &locking=true&max_lock_retry_microtime=70000";
        let layout = PhpLayout::from_url(url).unwrap();
        let mut dynamo = DynamoConfig::new("T");
        (dynamo.region, dynamo.timeout) = (Some("r".to_owned()), Duration::from_secs(2));
        let names = ["APP", "k", "d", "e"].map(ToOwned::to_owned);
        let [session_name, hash_key, data_attribute, lifetime_attribute] = names;
        let lock = Some(PhpLock::new().with_pause(Duration::from_millis(70)));
        let data_type = PhpData::Binary;
        assert_eq!(
            layout,
            PhpLayout {
                dynamo,
                session_name,
                hash_key,
                data_attribute,
                data_type,
                lifetime_attribute,
                lock
            }
        );
        assert_eq!(
            PhpLayout::from_url("dynamodb:").unwrap(),
            PhpLayout::new(DynamoConfig::default())
        );
    }

    #[test]
    fn what_a_url_may_not_say_is_refused_by_name() {
        let refused = [
            ("consistent_read=secret", "consistent_read"),
            ("data_attribute_type=secret", "data_attribute_type"),
            ("max_lock_retry_microtime=7", "max_lock_retry_microtime"),
            ("locking=secret", "locking"),
            ("session.sweeping=needed", "swept"),
            ("max_lock_wait_time=7", "max_lock_wait_time"),
            ("min_lock_retry_microtime=7", "min_lock_retry_microtime"),
            ("session_lifetime=7", "session_lifetime"),
        ];
        for (query, name) in refused {
            let error = PhpLayout::from_url(&format!("dynamodb:?{query}")).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("secret"), "{error}");
        }
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
