//! A store by its URL.

use std::sync::Arc;

use crate::core::{Error, ErrorKind, MemoryStore, Operation, Result, SessionStore};

/// The name of this crate in errors.
const FACADE: &str = "session";

/// A kind of store: what its URLs begin with, up to a `+`, and the feature that brings it.
struct Kind {
    schemes: &'static [&'static str],
    feature: &'static str,
}

const KINDS: &[Kind] = &[
    Kind { schemes: &["dynamodb"], feature: "dynamodb" },
    Kind { schemes: &["files"], feature: "files" },
    Kind { schemes: &["memcached", "memcacheds"], feature: "memcached" },
    Kind { schemes: &["redis", "rediss", "valkey", "valkeys", "unix"], feature: "redis" },
    Kind { schemes: &["mysql", "mariadb"], feature: "mysql" },
    Kind { schemes: &["postgres", "postgresql"], feature: "postgres" },
    Kind { schemes: &["sqlite"], feature: "sqlite" },
];

/// Opens the store that a URL names, for `SessionManager::new`.
///
/// | URL | store |
/// | --- | --- |
/// | `memory:` | the memory of this process |
/// | `files:///var/lib/sessions` | a directory |
/// | `dynamodb://Sessions?region=…`; `dynamodb:` with table and region of the environment | DynamoDB |
/// | `memcached://…`, `memcacheds://…` | Memcached |
/// | `redis://…`, `rediss://…`, `redis+cluster://…`, `redis+sentinel://…`, `redis+unix://…`; `valkey` likewise; `unix://…` | Redis or Valkey |
/// | `mysql://…`, `mariadb://…`, `postgres://…`, `postgresql://…`, `sqlite:…` | a database, whose tables are made if they are missing |
///
/// Query keys that begin with `session.` are settings of the store; each store's documentation lists
/// them. To set up a store in other ways, use its own builder.
///
/// # Errors
/// [`Config`](ErrorKind::Config) when the URL is wrong, and when its store is not compiled in: the
/// error names the feature to enable. Otherwise those of the store; no error quotes the URL, which may
/// hold a password.
pub async fn connect(url: &str) -> Result<Arc<dyn SessionStore>> {
    if url == "memory:" {
        return Ok(Arc::new(MemoryStore::new()));
    }
    match feature_of(url) {
        #[cfg(feature = "dynamodb")]
        Some("dynamodb") => Ok(Arc::new(session_dynamo::DynamoStore::open(url).await?)),
        #[cfg(feature = "files")]
        Some("files") => {
            let config = session_files::FilesConfig::from_url(url)?;
            Ok(Arc::new(session_files::FilesStoreBuilder::from(config).open().await?))
        }
        #[cfg(feature = "memcached")]
        Some("memcached") => Ok(Arc::new(session_memcached::MemcachedStore::open(url).await?)),
        #[cfg(feature = "redis")]
        Some("redis") => Ok(Arc::new(session_redis::RedisStore::open(url).await?)),
        #[cfg(feature = "mysql")]
        Some("mysql") => database(url).await,
        #[cfg(feature = "postgres")]
        Some("postgres") => database(url).await,
        #[cfg(feature = "sqlite")]
        Some("sqlite") => database(url).await,
        Some(feature) => {
            Err(wrong(format!("this URL needs the feature `{feature}` of the crate `session`")))
        }
        None => Err(wrong(format!("a URL of a store begins with one of memory:, {}", schemes()))),
    }
}

#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
async fn database(url: &str) -> Result<Arc<dyn SessionStore>> {
    let store = session_sql::SqlStore::open(url).await?;
    store.migrate().await?;
    Ok(Arc::new(store))
}

/// The feature that brings the store of a URL.
fn feature_of(url: &str) -> Option<&'static str> {
    let (scheme, _) = url.split_once(':')?;
    let scheme = scheme.split_once('+').map_or(scheme, |(scheme, _)| scheme);
    let known = |kind: &&Kind| kind.schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme));
    KINDS.iter().find(known).map(|kind| kind.feature)
}

fn schemes() -> String {
    let schemes: Vec<_> = KINDS.iter().flat_map(|kind| kind.schemes).copied().collect();
    schemes.join(":, ") + ":"
}

fn wrong(detail: String) -> Error {
    Error::new(ErrorKind::Config, FACADE, Operation::Open).with_detail(detail)
}

#[cfg(all(
    test,
    feature = "dynamodb",
    feature = "files",
    feature = "memcached",
    feature = "redis",
    feature = "mysql"
))]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_of_every_store_is_known() {
        let of = |schemes: &[&'static str]| -> Vec<_> {
            schemes.iter().map(|scheme| feature_of(&format!("{scheme}:x"))).collect()
        };
        let dynamodb = of(session_dynamo::DynamoConfig::URL_SCHEMES);
        assert!(dynamodb.iter().all(|f| *f == Some("dynamodb")));
        assert!(of(session_files::FilesConfig::URL_SCHEMES).iter().all(|f| *f == Some("files")));
        let memcached = of(session_memcached::MemcachedConfig::URL_SCHEMES);
        assert!(memcached.iter().all(|f| *f == Some("memcached")));
        assert!(of(session_redis::RedisConfig::URL_SCHEMES).iter().all(|f| *f == Some("redis")));
        let databases = [Some("mysql"), Some("postgres"), Some("sqlite")];
        assert!(of(session_sql::SqlConfig::URL_SCHEMES).iter().all(|f| databases.contains(f)));
        let known = KINDS.iter().map(|kind| kind.schemes.len()).sum::<usize>();
        assert_eq!(known, 14, "a scheme that no store takes");
    }
}
