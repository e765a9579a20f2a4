//! What the environment says.

use std::{env, fmt, sync::Arc};

use session_core::{MemoryStore, Result as SessionResult, SessionStore};
use session_files::{FilesConfig, FilesStore, FilesStoreBuilder};
use session_redis::{RedisConfig, RedisStore};
use session_sql::{SqlConfig, SqlStore};

/// Where sessions are kept when `SESSION_STORE` is not set, relative to the working directory.
const DEFAULT_DIRECTORY: &str = ".sessions";

pub(crate) struct Config {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) instance: String,
    pub(crate) store: Location,
}

/// Where the sessions are kept.
pub(crate) enum Location {
    Default,
    Files(String),
    Redis(String),
    Sql(String),
    Memory,
}

/// A variable that makes no sense.
#[derive(Debug)]
pub(crate) struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    pub(crate) fn from_env() -> Result<Self, ConfigError> {
        let or = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
        let port = or("PORT", "3000");
        Ok(Self {
            host: or("HOST", "127.0.0.1"),
            port: port.parse().map_err(|error| ConfigError(format!("PORT={port}: {error}")))?,
            instance: or("INSTANCE", "one"),
            store: Location::parse(env::var("SESSION_STORE").ok())?,
        })
    }
}

impl Location {
    fn parse(url: Option<String>) -> Result<Self, ConfigError> {
        let Some(url) = url else { return Ok(Self::Default) };
        match url.split_once(':').map_or("", |(scheme, _)| scheme) {
            "memory" if url == "memory:" => Ok(Self::Memory),
            scheme if FilesConfig::URL_SCHEMES.contains(&scheme) => Ok(Self::Files(url)),
            scheme if RedisConfig::URL_SCHEMES.contains(&scheme) => Ok(Self::Redis(url)),
            scheme if SqlConfig::URL_SCHEMES.contains(&scheme) => Ok(Self::Sql(url)),
            _ => Err(ConfigError(
                "SESSION_STORE must be like files:///DIRECTORY, redis://HOST, \
                 redis+cluster://HOST,HOST, \
                 mysql://USER@HOST/DATABASE, postgres://USER@HOST/DATABASE, sqlite:FILE or memory:"
                    .to_owned(),
            )),
        }
    }

    pub(crate) async fn open(&self) -> SessionResult<Arc<dyn SessionStore>> {
        Ok(match self {
            Self::Default => Arc::new(FilesStore::open(DEFAULT_DIRECTORY).await?),
            Self::Files(url) => {
                let config = FilesConfig::from_url(url)?;
                Arc::new(FilesStoreBuilder::from(config).open().await?)
            }
            Self::Redis(url) => Arc::new(RedisStore::open(url).await?),
            Self::Sql(url) => {
                let store = SqlStore::open(url).await?;
                store.migrate().await?;
                Arc::new(store)
            }
            Self::Memory => Arc::new(MemoryStore::new()),
        })
    }
}
