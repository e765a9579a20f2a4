//! Where sessions are kept: servers that are started here, folders, and stores by URL.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use test_servers::{dynamodb, memcached, redis, sql};

use super::{kind::Kind, process};
use crate::measure::Result;

/// The tables in DynamoDB: ours, the bare client's, and the other crate's.
pub(crate) const TABLES: [&str; 3] = ["Sessions", "Bare", "Tower"];

/// What there is to know to open a store in a place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spot {
    pub(crate) kind: Kind,
    /// As our store reads it.
    pub(crate) url: String,
    /// Host and port, where a server listens.
    pub(crate) address: Option<String>,
    /// Where files go.
    pub(crate) folder: PathBuf,
}

impl Spot {
    /// The same place by way of another address.
    pub(crate) fn by_way_of(&self, address: &str) -> Self {
        let own = self.address.as_deref().unwrap_or_default();
        let url = if own.is_empty() { self.url.clone() } else { self.url.replace(own, address) };
        Self { url, address: Some(address.to_owned()), ..self.clone() }
    }

    pub(crate) fn address(&self) -> Result<&str> {
        self.address.as_deref().ok_or_else(|| "no address".into())
    }
}

/// A place, which is there until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) spot: Spot,
    /// Such as `Redis 7.0.15`.
    pub(crate) title: String,
    /// The process of the server, where it runs on this machine.
    pub(crate) process: Option<i32>,
    /// Whether it is ours alone, so that anything may be done to it.
    pub(crate) own: bool,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Redis(Box<redis::Server>),
    Memcached(Box<memcached::Server>),
    Sql(Box<sql::Server>),
    #[expect(dead_code, reason = "it runs until it is dropped")]
    DynamoDb(Box<dynamodb::Server>),
    Folder(TempDir),
    Nothing,
}

/// A server that caches what is measured, as one that people run does.
const MYSQL: &[(&str, &str)] = &[("innodb-buffer-pool-size", "512M"), ("max-connections", "300")];
const POSTGRES: &[(&str, &str)] = &[
    ("shared_buffers", "512MB"),
    ("max_connections", "300"),
    ("max_wal_size", "2GB"),
    ("log_statement", "none"),
];

impl Place {
    /// Starts a place of this kind; says why there is none, where the server is not installed.
    pub(crate) async fn start(kind: Kind) -> Result<std::result::Result<Self, String>> {
        let missing = missing(kind);
        if let Some(reason) = missing {
            return Ok(Err(reason));
        }
        Ok(Ok(match kind {
            Kind::Memory => Self::new(kind, "memory:".to_owned(), None, Held::Nothing, ""),
            Kind::Files => {
                let folder = tempfile::tempdir()?;
                let url = format!("files://{}", folder.path().join("ours").display());
                Self::new(kind, url, None, Held::Folder(folder), "")
            }
            Kind::Sqlite => {
                let folder = tempfile::tempdir()?;
                let url = format!("sqlite:{}", folder.path().join("ours.db").display());
                Self::new(kind, url, None, Held::Folder(folder), "")
            }
            Kind::Redis => on_redis(kind, redis::Flavor::Redis).await?,
            Kind::Valkey => on_redis(kind, redis::Flavor::Valkey).await?,
            Kind::Memcached => {
                let options = memcached::Options::new().memory(1024);
                let server = memcached::Server::start(&options).await?;
                let (url, address) = (server.url(), server.address());
                let version = memcached::Server::version()?;
                Self::new(kind, url, Some(address), Held::Memcached(server.into()), &version)
            }
            Kind::MariaDb => on_sql(kind, sql::Flavor::MariaDb, MYSQL).await?,
            Kind::MySql => on_sql(kind, sql::Flavor::MySql, MYSQL).await?,
            Kind::Postgres => on_sql(kind, sql::Flavor::Postgres, POSTGRES).await?,
            Kind::DynamoDb => on_dynamodb(kind).await?,
        }))
    }

    /// A place that somebody else keeps.
    pub(crate) fn at(url: &str) -> Result<Self> {
        let kind = Kind::of_url(url).ok_or("the URL of a store begins with its kind")?;
        let address = plain_address(url);
        let mut place = Self::new(kind, url.to_owned(), address, Held::Nothing, "by URL");
        place.own = kind == Kind::Memory;
        Ok(place)
    }

    fn new(kind: Kind, url: String, address: Option<String>, held: Held, version: &str) -> Self {
        let port = address.as_ref().and_then(|it| it.rsplit(':').next()?.parse().ok());
        let process = port.and_then(process::listening_on);
        let folder = match &held {
            Held::Folder(folder) => folder.path().to_owned(),
            _ => PathBuf::new(),
        };
        let title = format!("{} {version}", kind.title()).trim_end().to_owned();
        Self { spot: Spot { kind, url, address, folder }, title, process, own: true, held }
    }

    /// What the server itself counted so far, by the names of its commands.
    pub(crate) async fn calls(&self) -> Result<Option<Calls>> {
        Ok(match &self.held {
            Held::Redis(server) => Some(Calls::Redis(server.traffic().await?)),
            Held::Sql(server) if server.flavor().is_mysql() => {
                Some(Calls::Sql(server.statements().await?))
            }
            _ => None,
        })
    }

    /// Bytes that the server or the folder holds in all.
    pub(crate) async fn stored(&self) -> Result<Option<u64>> {
        Ok(match &self.held {
            Held::Redis(server) => {
                server.info().await?.get("used_memory").and_then(|bytes| bytes.parse().ok())
            }
            Held::Memcached(server) => Some(server.statistic("bytes").await?),
            Held::Folder(folder) => Some(size(folder.path())?),
            _ => None,
        })
    }
}

/// What a server counted.
#[derive(Debug)]
pub(crate) enum Calls {
    Redis(redis::Traffic),
    Sql(sql::Statements),
}

impl Calls {
    /// Each command or statement that came since, and how often.
    pub(crate) fn since(&self, earlier: &Self) -> Vec<(String, u64)> {
        let all = match (self, earlier) {
            (Self::Redis(now), Self::Redis(then)) => now.since(then).all_calls().clone(),
            (Self::Sql(now), Self::Sql(then)) => now.since(then).all_calls().clone(),
            _ => return Vec::new(),
        };
        all.into_iter().filter(|(name, _)| name != "stmt_execute").collect()
    }
}

fn missing(kind: Kind) -> Option<String> {
    match kind {
        Kind::Memory | Kind::Files | Kind::Sqlite => None,
        Kind::Redis => redis::Flavor::Redis.missing(),
        Kind::Valkey => redis::Flavor::Valkey.missing(),
        Kind::Memcached => memcached::Server::missing(&memcached::Options::new()),
        Kind::MariaDb => sql::Flavor::MariaDb.missing(),
        Kind::MySql => sql::Flavor::MySql.missing(),
        Kind::Postgres => sql::Flavor::Postgres.missing(),
        Kind::DynamoDb => dynamodb::Server::missing(),
    }
}

async fn on_redis(kind: Kind, flavor: redis::Flavor) -> Result<Place> {
    let server = redis::Server::start(&redis::Options::new(flavor)).await?;
    let (url, address, version) = (server.url(), server.address(), flavor.version()?);
    Ok(Place::new(kind, url, Some(address), Held::Redis(server.into()), &version))
}

async fn on_sql(kind: Kind, flavor: sql::Flavor, settings: &[(&str, &str)]) -> Result<Place> {
    let mut options = sql::Options::new(flavor);
    for (name, value) in settings {
        options = options.argument(name, value);
    }
    let server = sql::Server::start(&options).await?;
    let (url, address, version) = (server.url(), server.address(), flavor.version()?);
    Ok(Place::new(kind, url, Some(address), Held::Sql(server.into()), &version))
}

async fn on_dynamodb(kind: Kind) -> Result<Place> {
    let server = dynamodb::Server::start().await?;
    for table in TABLES {
        server.create_table(table).await?;
    }
    let address = server.address();
    let url = format!("dynamodb://{}?region=eu-central-1&endpoint=http://{address}", TABLES[0]);
    let version = format!("Local {}", dynamodb::Server::version()?);
    Ok(Place::new(kind, url, Some(address), Held::DynamoDb(server.into()), &version))
}

/// Host and port of a URL of one server without more.
fn plain_address(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let address = authority.rsplit('@').next()?;
    let plain = address.contains(':') && !address.contains(',');
    plain.then(|| address.to_owned())
}

fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // What is renamed or removed meanwhile is not counted.
        let Ok(facts) = entry.metadata() else { continue };
        bytes += if facts.is_dir() { size(&entry.path())? } else { facts.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_one_server_is_found_in_its_url() {
        let address = plain_address("redis://u:p@127.0.0.1:6379/0?a=b");
        assert_eq!(address.as_deref(), Some("127.0.0.1:6379"));
        assert_eq!(plain_address("redis+cluster://a:1,b:2"), None);
        assert_eq!(plain_address("memory:"), None);
    }

    #[test]
    fn a_spot_by_way_of_another_address_keeps_the_rest_of_its_url() {
        let url = "mysql://app:secret@127.0.0.1:10017/app";
        let spot = Place::at(url).unwrap().spot.by_way_of("127.0.0.1:9");
        assert_eq!(spot.url, "mysql://app:secret@127.0.0.1:9/app");
    }
}
