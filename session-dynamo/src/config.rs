//! The settings of a store, their form as a URL, and what the environment says of them.

use std::{env, time::Duration};

use percent_encoding::percent_decode_str;
use session_core::{
    Capabilities, Error, ErrorKind, Operation, Result, Sweeping,
    settings::{self, Setting, duration},
};

use crate::{BACKEND, item};

/// The limits of every time span.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(3_600);
const LONGEST_PREFIX: usize = 128;
/// The longest URL that is looked at.
const URL_LIMIT: usize = 65_536;

/// Where a table's leases are kept. It is fixed for a table: all servers need the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Leases {
    /// In the session's item: lock and read are one request, commit and unlock are one, and each is
    /// billed like a write of the whole session.
    #[default]
    InItem,
    /// In an item of its own: to lock and to unlock is a request and a unit each, whatever the
    /// size of the session. Who saves without a lease takes the lock for that one write.
    Aside,
}

/// The settings of a [`DynamoStore`](crate::DynamoStore).
///
/// Credentials are not among them: the AWS SDK finds them, as
/// [`open`](crate::DynamoStoreBuilder::open) tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DynamoConfig {
    /// The table. Default: what the environment variable `DYNAMODB_SESSION_TABLE_NAME` says.
    pub table: Option<String>,
    /// The region. Default: what the AWS SDK finds, in the environment variable `AWS_REGION` for
    /// instance.
    pub region: Option<String>,
    /// Where DynamoDB is, when it is not at AWS: `http://localhost:8000`. Default: what the
    /// environment variable `DYNAMODB_ENDPOINT_URL` says, or else the AWS SDK.
    pub endpoint: Option<String>,
    /// What keys begin with. Default: `session:`. Several applications can share a table.
    pub prefix: String,
    /// The attribute by which the table expires items. Default: `expires`.
    pub ttl_attribute: String,
    /// How long one operation may take, with everything that is tried again. Default: 5 s. Time
    /// spent waiting for a session's lock does not count.
    pub timeout: Duration,
    /// How long one request may take. Default: 1 s.
    pub attempt_timeout: Duration,
    /// How long one attempt to connect may take. Default: 1 s, which lets one lost packet be sent
    /// again.
    pub connect_timeout: Duration,
    /// How far the clocks of the application's servers may be apart. Default: 1 s. Every lease lasts
    /// that much longer in the eyes of others, so that a server whose clock is ahead does not take
    /// a lock too early.
    pub clock_skew: Duration,
    /// The largest payload in bytes. Default: 350,000; DynamoDB takes items of 409,600 bytes.
    pub max_payload: usize,
    /// The most waiters for one lock in one process. Default: 64.
    pub max_waiters: usize,
    /// Where leases are kept. Default: [`Leases::InItem`].
    pub leases: Leases,
    /// The table's index that lists the sessions of a principal. Default: none; then there are epochs,
    /// and no lists.
    pub principal_index: Option<String>,
    /// Who removes expired sessions. Default: [`Sweeping::ByServer`], the table itself, for which it
    /// needs its expiry turned on. With [`Sweeping::Needed`] a sweep does.
    pub sweeping: Sweeping,
    /// How many units of capacity a sweep consumes in a second, reads and writes together.
    /// Default: 50.
    pub sweep_rate: u32,
    /// How many segments of the table a sweep reads in turn, so that no part of it bears all the
    /// reads. Default: 4. It is to be the same on all servers that go on with each other's sweeps.
    pub sweep_segments: u8,
}

impl Default for DynamoConfig {
    fn default() -> Self {
        Self {
            table: None,
            region: None,
            endpoint: None,
            prefix: "session:".to_owned(),
            ttl_attribute: "expires".to_owned(),
            timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
            clock_skew: Duration::from_secs(1),
            max_payload: 350_000,
            max_waiters: Capabilities::new(BACKEND).max_waiters,
            leases: Leases::InItem,
            principal_index: None,
            sweeping: Sweeping::ByServer,
            sweep_rate: 50,
            sweep_segments: 4,
        }
    }
}

impl DynamoConfig {
    /// The schemes that [`from_url`](Self::from_url) takes.
    pub const URL_SCHEMES: &'static [&'static str] = &["dynamodb"];

    /// The default settings for this table.
    #[must_use]
    pub fn new(table: impl Into<String>) -> Self {
        Self { table: Some(table.into()), ..Self::default() }
    }

    /// Reads a URL like `dynamodb://Sessions?region=eu-central-1`.
    ///
    /// `dynamodb:` alone leaves table, region and endpoint to the environment.
    ///
    /// | key | value | default |
    /// | --- | --- | --- |
    /// | `region` | the region | of the AWS SDK: `AWS_REGION` |
    /// | `endpoint` | an `http` or `https` URL | `DYNAMODB_ENDPOINT_URL`, or else AWS |
    /// | `session.prefix` | what keys begin with | `session:` |
    /// | `session.ttl_attribute` | the attribute by which the table expires items | `expires` |
    /// | `session.timeout` | time for one operation, like `500ms` or `5s` | `5s` |
    /// | `session.attempt_timeout` | time for one request | `1s` |
    /// | `session.connect_timeout` | time for one attempt to connect | `1s` |
    /// | `session.clock_skew` | how far the servers' clocks may be apart | `1s` |
    /// | `session.max_payload` | bytes | `350000` |
    /// | `session.max_waiters` | waiters for one lock | `64` |
    /// | `session.leases` | `in_item`, or `aside`: for tables of large sessions | `in_item` |
    /// | `session.principal_index` | the index that lists a user's sessions | none |
    /// | `session.sweeping` | `by_server`: the table expires items; `needed`: a sweep removes them | `by_server` |
    /// | `session.sweep_rate` | units a second that a sweep consumes | `50` |
    /// | `session.sweep_segments` | parts of the table that a sweep reads in turn | `4` |
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config), which names the key at fault but never a value.
    pub fn from_url(url: &str) -> Result<Self> {
        let (table, query) = split(url).map_err(wrong)?;
        let mut config = Self { table, ..Self::default() };
        settings::read(BACKEND, SETTINGS, query, &mut config)?;
        config.check()?;
        Ok(config)
    }

    /// With what is not set taken from the environment: `DYNAMODB_SESSION_TABLE_NAME`,
    /// `DYNAMODB_ENDPOINT_URL`. [`open`](crate::DynamoStoreBuilder::open) does it.
    #[must_use]
    pub fn or_from_environment(self) -> Self {
        self.or_from(|name| env::var(name).ok())
    }

    fn or_from(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        self.table = self.table.or_else(|| variable("DYNAMODB_SESSION_TABLE_NAME"));
        self.endpoint = self.endpoint.or_else(|| variable("DYNAMODB_ENDPOINT_URL"));
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let unmet = self.demands().into_iter().find(|(met, _)| !met);
        unmet.map_or(Ok(()), |(_, demand)| Err(wrong(demand)))
    }

    fn demands(&self) -> [(bool, &'static str); 11] {
        let bounded = |time: &Duration| (SHORTEST..=LONGEST).contains(time);
        let times = [self.timeout, self.attempt_timeout, self.connect_timeout];
        let room = item::LARGEST_ITEM - item::OVERHEAD - LONGEST_PREFIX;
        let ours = [
            item::ID,
            item::FORMAT,
            item::HOLDER,
            item::UNTIL,
            item::WRITES,
            item::OVER,
            item::MARK,
        ];
        let is_ours = ours.iter().chain(&item::OF_RECORD).any(|name| *name == self.ttl_attribute);
        let web = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        [
            (
                self.table.as_deref().is_none_or(is_table),
                "the name of a table has 1 to 1,024 letters, digits and - _ . : /",
            ),
            (self.endpoint.as_ref().is_none_or(web), "the endpoint is an http or https URL"),
            (self.prefix.len() <= LONGEST_PREFIX, "the prefix is limited to 128 bytes"),
            (
                (1..=255).contains(&self.ttl_attribute.len()) && !is_ours,
                "session.ttl_attribute is 1 to 255 bytes long and not a name that the store uses itself",
            ),
            (
                self.principal_index.as_deref().is_none_or(is_index),
                "the name of an index has 3 to 255 letters, digits and - _ .",
            ),
            (times.iter().all(bounded), "timeouts are 1 ms to 1 hour"),
            (self.clock_skew <= LONGEST, "the clock skew is at most 1 hour"),
            (self.max_payload <= room, "payloads are limited to 408,960 bytes"),
            (self.max_waiters >= 1, "one waiter at least must be allowed"),
            (self.sweep_rate >= 1, "a sweep needs one unit a second at least"),
            (self.sweep_segments >= 1, "a table has one segment at least"),
        ]
    }
}

/// The table before the `?` of a URL, and what comes after it.
fn split(url: &str) -> std::result::Result<(Option<String>, &str), &'static str> {
    if url.len() > URL_LIMIT {
        return Err("the URL is longer than 65,536 bytes");
    }
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = address.split_once(':').ok_or("the URL has no scheme")?;
    if !DynamoConfig::URL_SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Err("the scheme of the URL is not known");
    }
    let name = rest.strip_prefix("//").unwrap_or(rest);
    let name = name.strip_suffix('/').unwrap_or(name);
    if name.contains('@') {
        return Err("the URL has a user; credentials are found by the AWS SDK");
    }
    let table = percent_decode_str(name).decode_utf8();
    let table = table.map_err(|_error| "the name of the table is not UTF-8")?;
    Ok((Some(table.into_owned()).filter(|table| !table.is_empty()), query))
}

fn is_index(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (3..=255).contains(&name.len()) && name.bytes().all(plain)
}

/// A name, or an ARN.
fn is_table(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    (1..=1_024).contains(&name.len()) && name.bytes().all(plain)
}

const TIME: &str = "a time like 500ms or 5s";
const NUMBER: &str = "a number";

const SETTINGS: &[Setting<DynamoConfig>] = &[
    Setting::new("region", "the name of a region", |config, value| {
        (!value.is_empty()).then(|| config.region = Some(value.to_owned()))
    }),
    Setting::new("endpoint", "an http or https URL", |config, value| {
        config.endpoint = Some(value.to_owned());
        Some(())
    }),
    Setting::new("session.prefix", "a text", |config, value| {
        config.prefix = value.to_owned();
        Some(())
    }),
    Setting::new("session.ttl_attribute", "a name", |config, value| {
        config.ttl_attribute = value.to_owned();
        Some(())
    }),
    Setting::new("session.timeout", TIME, |config, value| {
        duration(value).map(|time| config.timeout = time)
    }),
    Setting::new("session.attempt_timeout", TIME, |config, value| {
        duration(value).map(|time| config.attempt_timeout = time)
    }),
    Setting::new("session.connect_timeout", TIME, |config, value| {
        duration(value).map(|time| config.connect_timeout = time)
    }),
    Setting::new("session.clock_skew", TIME, |config, value| {
        duration(value).map(|time| config.clock_skew = time)
    }),
    Setting::new("session.max_payload", "a number of bytes", |config, value| {
        value.parse().ok().map(|number| config.max_payload = number)
    }),
    Setting::new("session.max_waiters", NUMBER, |config, value| {
        value.parse().ok().map(|number| config.max_waiters = number)
    }),
    Setting::new("session.leases", "in_item or aside", |config, value| {
        config.leases = match value {
            "in_item" => Leases::InItem,
            "aside" => Leases::Aside,
            _ => return None,
        };
        Some(())
    }),
    Setting::new("session.principal_index", "the name of an index", |config, value| {
        config.principal_index = Some(value.to_owned());
        Some(())
    }),
    Setting::new("session.sweeping", "by_server or needed", |config, value| {
        config.sweeping = match value {
            "by_server" => Sweeping::ByServer,
            "needed" => Sweeping::Needed,
            _ => return None,
        };
        Some(())
    }),
    Setting::new("session.sweep_rate", NUMBER, |config, value| {
        value.parse().ok().map(|number| config.sweep_rate = number)
    }),
    Setting::new("session.sweep_segments", "a number up to 255", |config, value| {
        value.parse().ok().map(|number| config.sweep_segments = number)
    }),
];

pub(crate) fn wrong(detail: &str) -> Error {
    Error::new(ErrorKind::Config, BACKEND, Operation::Open).with_detail(detail)
}

#[cfg(test)]
mod tests;
