//! What a server says of itself.

use std::collections::HashMap;

use super::{Command, Request, Value};

/// What is known of the servers: what they said when the link was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Info {
    /// The version, or that of Redis with which the server is compatible.
    pub(crate) version: String,
    /// Whether `SET` can be told to compare the value first (`IFEQ`).
    pub(crate) compares: bool,
    /// What the server removes when its memory is full: `noeviction` or a policy.
    pub(crate) eviction: Option<String>,
    /// Whether the server is one of a cluster.
    pub(super) clustered: bool,
}

impl Info {
    /// What to ask. Servers before 7.0 take one section at a time.
    pub(super) fn request() -> Request {
        let commands = vec![Command::new("INFO", &[b"server"]), Command::new("INFO", &[b"memory"])];
        Request { key: Vec::new(), commands, replica: false }
    }

    pub(super) fn read(replies: &[Value]) -> Self {
        let texts: Vec<String> = replies.iter().filter_map(text).collect();
        let lines = texts.iter().flat_map(|text| text.lines());
        let fields: HashMap<&str, &str> = lines.filter_map(|line| line.split_once(':')).collect();
        let field = |name| fields.get(name).map(|value: &&str| value.trim().to_owned());
        let version = field("redis_version").unwrap_or_default();
        // Valkey names the version of Redis that it began as, too.
        let compares = field("valkey_version").map_or_else(
            || release(&version) >= Some((8, 4)),
            |version| release(&version) >= Some((8, 1)),
        );
        Self {
            version,
            compares,
            eviction: field("maxmemory_policy"),
            clustered: [field("redis_mode"), field("server_mode")]
                .into_iter()
                .flatten()
                .any(|mode| mode == "cluster"),
        }
    }

    /// Whether sessions may be removed before their time.
    pub(crate) fn evicts(&self) -> bool {
        self.eviction.as_deref().is_some_and(|policy| policy != "noeviction")
    }

    pub(super) fn has_sharded_channels(&self) -> bool {
        self.is_of_version_7()
    }

    /// Whether scripts may begin with flags.
    pub(crate) fn has_script_flags(&self) -> bool {
        self.is_of_version_7()
    }

    fn is_of_version_7(&self) -> bool {
        release(&self.version) >= Some((7, 0))
    }

    pub(super) fn warn(&self) {
        if self.evicts() {
            tracing::warn!(
                policy = self.eviction.as_deref(),
                "the server removes sessions before their time when its memory is full; \
                 set maxmemory-policy to noeviction"
            );
        }
    }
}

/// The first two numbers of a version.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

fn text(reply: &Value) -> Option<String> {
    match reply {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_and_the_policy_are_read() {
        let server = Value::BulkString(b"# Server\r\nredis_version:7.2.4\r\n".to_vec().into());
        let memory = Value::BulkString(b"maxmemory_policy:allkeys-lru\r\n".to_vec().into());
        let info = Info::read(&[server, memory]);
        assert_eq!(info.version, "7.2.4");
        assert!(info.evicts() && info.has_sharded_channels());
        assert!(!Info::default().evicts() && !Info::default().has_sharded_channels());
    }

    #[test]
    fn servers_that_compare_are_known_by_their_versions() {
        let compares =
            |text: &str| Info::read(&[Value::BulkString(text.to_owned().into())]).compares;
        assert!(compares("redis_version:7.2.4\r\nvalkey_version:8.1.0\r\n"));
        assert!(compares("redis_version:7.2.4\r\nvalkey_version:10.0.0\r\n"));
        assert!(!compares("redis_version:7.2.4\r\nvalkey_version:8.0.6\r\n"));
        assert!(compares("redis_version:8.4.0\r\n") && compares("redis_version:9.0.0\r\n"));
        assert!(!compares("redis_version:8.2.1\r\n") && !compares("redis_version:7.4.0\r\n"));
        assert!(!compares("") && !compares("redis_version:unstable\r\n"));
    }
}
