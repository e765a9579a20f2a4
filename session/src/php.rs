//! Stores for the sessions of PHP, from PHP's own settings.
//!
//! ```no_run
//! use session::php::Ini;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let file = std::fs::read_to_string("/etc/php/8.2/fpm/php.ini")?;
//! let ini = Ini::parse(&file, |name| std::env::var(name).ok())?;
//! let store = session::php::connect(&ini).await?;
//! # drop(store);
//! # Ok(())
//! # }
//! ```
//!
//! Every parameter is honoured, or refused by its name.

#[cfg(feature = "dynamodb")]
mod dynamodb;
#[cfg(feature = "memcached")]
mod memcached;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod pdo;
#[cfg(feature = "redis")]
mod redis;

use std::{env, sync::Arc};

#[doc(no_inline)]
pub use session_php::{Ini, PhpFormat, Refusal, SavePath, SerializeHandler};
use session_php::{PhpVersion, Settings};

use crate::core::{Error, ErrorKind, Operation, Result, SessionStore};

/// Opens the store that PHP's settings describe: `session.save_handler`, `session.save_path`,
/// `session.gc_maxlifetime` and those of the handler.
///
/// | `session.save_handler` | feature | store |
/// | --- | --- | --- |
/// | `files` | `files` | [`session_files::php::PhpStore`](https://docs.rs/session-files) |
/// | `memcached` | `memcached` | [`session_memcached::php::PhpStore`](https://docs.rs/session-memcached) |
/// | `redis`, `rediscluster` | `redis` | [`session_redis::php::PhpStore`](https://docs.rs/session-redis) |
/// | `user`, with a DSN of PDO's as `session.save_path` | `mysql`, `postgres`, `sqlite` | [`session_sql::php::PhpStore`](https://docs.rs/session-sql) |
/// | `user`, with a URL like `dynamodb://Sessions?region=…` as `session.save_path` | `dynamodb` | [`session_dynamo::php::PhpStore`](https://docs.rs/session-dynamo) |
///
/// `user` is what PHP calls handlers that a program sets. Of these two are known. Symfony's
/// `PdoSessionHandler` as it is without arguments: with transactional locks on the table `sessions`; for
/// others of its options fill the store's layout. And the `SessionHandler` of the AWS SDK, whose options
/// are the keys of the URL.
///
/// How long to wait for a lock, and for how long to hold it, is asked for with each lock; what PHP's
/// settings say of that is in the [`SavePath`].
///
/// # Errors
/// [`Config`](ErrorKind::Config), which names the parameter that cannot be honoured, or the feature
/// that is missing; otherwise those of the store.
pub async fn connect(ini: &Ini) -> Result<Arc<dyn SessionStore>> {
    let path = SavePath::of(ini).map_err(|refusal| wrong(refusal.to_string()))?;
    let settings = Settings::from_pairs(PhpVersion::V8_2, ini.iter());
    let settings = settings.map_err(|refused| wrong(refused.to_string()))?;
    let seconds = u64::try_from(settings.gc_maxlifetime)
        .map_err(|_negative| wrong("session.gc_maxlifetime: it is negative"))?;
    open(path, std::time::Duration::from_secs(seconds)).await
}

/// Opens the store that the environment describes: `PHP_SESSION_SAVE_HANDLER` and
/// `PHP_SESSION_SAVE_PATH`, with PHP's defaults for all else.
///
/// # Errors
/// As [`connect`].
pub async fn connect_from_env() -> Result<Arc<dyn SessionStore>> {
    connect(&settings_of(|name| env::var(name).ok())).await
}

fn settings_of(variable: impl Fn(&str) -> Option<String>) -> Ini {
    let pairs = [
        ("session.save_handler", "PHP_SESSION_SAVE_HANDLER"),
        ("session.save_path", "PHP_SESSION_SAVE_PATH"),
    ];
    let set =
        |(setting, name): (&str, &str)| variable(name).map(|value| (setting.to_owned(), value));
    pairs.into_iter().filter_map(set).collect()
}

async fn open(path: SavePath, lifetime: std::time::Duration) -> Result<Arc<dyn SessionStore>> {
    match path {
        #[cfg(feature = "files")]
        SavePath::Files(path) => {
            use session_files::php::{PhpLayout, PhpStore};
            let directory = path.directory.map_or_else(env::temp_dir, Into::into);
            let layout = PhpLayout::new(directory)
                .with_depth(path.depth)
                .with_mode(path.mode)
                .with_lifetime(lifetime);
            Ok(Arc::new(PhpStore::open(layout).await?))
        }
        #[cfg(feature = "memcached")]
        SavePath::Memcached(path) => memcached::open(path).await,
        #[cfg(feature = "redis")]
        SavePath::Redis(path) => redis::open(path).await,
        #[cfg(feature = "redis")]
        SavePath::RedisCluster(path) => redis::open_cluster(path).await,
        #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
        SavePath::Pdo(path) => pdo::open(path).await,
        #[cfg(feature = "dynamodb")]
        SavePath::DynamoDb(path) => dynamodb::open(path).await,
        other => {
            let _ = (other, lifetime);
            Err(wrong("session.save_handler: its store needs a feature of the crate `session`"))
        }
    }
}

fn wrong(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, "session", Operation::Open).with_detail(detail)
}

#[cfg(all(test, feature = "files"))]
mod tests {
    use super::*;
    use crate::core::{KeyHasher, OpToken, SessionId, Write};

    #[tokio::test]
    async fn two_variables_are_enough() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("a")).unwrap();
        let ini = settings_of(|name| match name {
            "PHP_SESSION_SAVE_HANDLER" => Some("files".to_owned()),
            "PHP_SESSION_SAVE_PATH" => Some(format!("1;0640;{}", directory.path().display())),
            _ => None,
        });
        let store = connect(&ini).await.unwrap();
        let key = KeyHasher::plain().key(&SessionId::parse("abc").unwrap());
        let write = Write::new("x|i:1;", std::time::Duration::from_secs(1_440));
        store.create(&key, write, OpToken::generate().unwrap(), None).await.unwrap();
        assert_eq!(std::fs::read(directory.path().join("a/sess_abc")).unwrap(), b"x|i:1;");
    }

    #[tokio::test]
    async fn what_cannot_be_honoured_is_refused_by_name() {
        let refused = [
            ("session.save_handler", "tape"),
            ("session.save_path", "-1;/tmp"),
            ("session.gc_maxlifetime", "-5"),
        ];
        for (name, value) in refused {
            let error = connect(&Ini::from_iter([(name, value)])).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(
                error.to_string().contains(name) && !error.to_string().contains(value),
                "{error}"
            );
        }
    }
}
