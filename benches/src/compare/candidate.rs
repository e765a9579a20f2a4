//! Who is compared in each place.

use std::sync::Arc;

use ::redis::Client;
use axum_session_redispool::SessionRedisPool;
use axum_session_sqlx::{SessionMySqlPool, SessionPgPool};
use fred::{
    interfaces::{HashesInterface, KeysInterface},
    prelude::{Builder, ClientLike, Config, ConnectionConfig, TcpConfig},
};
use redis_pool::SingleRedisPool;
use ruts::store::postgres::PostgresStoreBuilder;
use serde::{Deserialize, Serialize};
#[cfg(feature = "dynamodb-peer")]
use tower_sessions_dynamodb_store::{DynamoDBStore, DynamoDBStoreKey, DynamoDBStoreProps};
use tower_sessions_sqlx_store::{
    MySqlStore, PostgresStore,
    sqlx::{mysql::MySqlPoolOptions, postgres::PgPoolOptions},
};

use super::{
    bare::{self, Bare, CONNECTIONS},
    kind::Kind,
    libraries::{Actix, Axum, Ours, Php, Ruts, core_014, core_015},
    library::Library,
    place::{Spot, TABLES},
};
use crate::{machine::versions, measure::Result};

type RutsOnRedis = ruts::store::redis::RedisStore<fred::clients::Client>;

/// On which side a candidate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Side {
    Ours,
    /// A whole library of somebody else.
    Peer,
    /// The server's client crate and nothing else.
    Bare,
}

/// A library on a place.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) facts: Facts,
    pub(crate) library: Arc<dyn Library>,
}

/// What is told about a candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// As it is called in tables: short, and unique with the kind.
    pub(crate) name: String,
    pub(crate) side: Side,
    pub(crate) kind: Kind,
    /// The version of what is measured.
    pub(crate) version: String,
    /// What a reader has to know of it.
    pub(crate) note: String,
}

impl Facts {
    /// A name that is unique in the whole run.
    pub(crate) fn full_name(&self) -> String {
        format!("{} on {}", self.name, self.kind.title())
    }
}

/// Why a library that one may miss is not here.
pub(crate) const LEFT_OUT: &[(&str, &str)] = &[
    ("pavex_session", "pins a matchit that does not resolve together with axum 0.8"),
    ("rocket-session-store", "blocks, and opens a connection for each operation"),
    ("async-session", "unmaintained since 2021, on async-std"),
    ("rsession", "writes every session on every request under a new id, and clears by FLUSHALL"),
    ("PHP with DynamoDB", "the AWS SDK for PHP is in no package registry that the harness uses"),
    #[cfg(not(feature = "dynamodb-peer"))]
    ("tower-sessions with DynamoDB", "left out of short runs, as it takes long to build"),
];

/// Makes the candidates of one place.
struct Maker<'a> {
    spot: &'a Spot,
    bytes: usize,
    made: Vec<Candidate>,
}

/// All candidates of a place, or ours alone and the bare client.
pub(crate) async fn at(spot: &Spot, bytes: usize, peers: bool) -> Result<Vec<Candidate>> {
    let mut maker = Maker { spot, bytes, made: Vec::new() };
    maker.ours().await?;
    if peers {
        maker.peers().await?;
    }
    maker.bare().await?;
    Ok(maker.made)
}

impl Maker<'_> {
    fn add(&mut self, side: Side, name: &str, version: String, note: &str, library: impl Library) {
        let facts = Facts {
            name: name.to_owned(),
            side,
            kind: self.spot.kind,
            version,
            note: note.to_owned(),
        };
        self.made.push(Candidate { facts, library: Arc::new(library) });
    }

    fn peer(&mut self, name: &str, krate: &str, note: &str, library: impl Library) {
        self.add(Side::Peer, name, format!("{krate} {}", versions(krate)), note, library);
    }

    async fn ours(&mut self) -> Result<()> {
        let spot = self.spot;
        let store = if spot.kind == Kind::DynamoDb && spot.address.is_some() {
            let store = session::dynamo::DynamoStore::builder(&spot.url)?;
            let store: Arc<dyn session::SessionStore> =
                Arc::new(store.client(bare::dynamodb_client(spot.address()?)).open().await?);
            store
        } else {
            session::connect(&spot.url).await?
        };
        let library = Ours::new(store, self.bytes)?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.add(Side::Ours, "session", version, "", library);
        Ok(())
    }

    async fn peers(&mut self) -> Result<()> {
        match self.spot.kind {
            Kind::Memory => self.on_memory(),
            Kind::Files => self.on_files()?,
            Kind::Redis | Kind::Valkey => self.on_redis().await?,
            Kind::Memcached => self.on_memcached()?,
            Kind::MariaDb | Kind::MySql => self.on_mysql().await?,
            Kind::Postgres => self.on_postgres().await?,
            #[cfg(feature = "dynamodb-peer")]
            Kind::DynamoDb => self.on_dynamodb()?,
            #[cfg(not(feature = "dynamodb-peer"))]
            Kind::DynamoDb => {}
            Kind::Sqlite => {}
        }
        Ok(())
    }

    fn on_memory(&mut self) {
        let memory = tower_sessions_memory_store::MemoryStore::default();
        let library = core_014::Tower::new(memory, self.bytes);
        self.peer("tower-sessions memory", "tower-sessions-memory-store", TOWER, library);
        let moka = tower_sessions_moka_store::MokaStore::new(None);
        let library = core_014::Tower::new(moka, self.bytes);
        self.peer("tower-sessions moka", "tower-sessions-moka-store", TOWER, library);
    }

    fn on_files(&mut self) -> Result<()> {
        let folder = |name: &str| {
            let folder = self.spot.folder.join(name);
            std::fs::create_dir_all(&folder).map(|()| folder)
        };
        let [plain, based, php] = [folder("plain")?, folder("based")?, folder("php")?];
        let store = tower_sessions_file_store::FileSessionStorage::new_in_folder(plain);
        let library = core_015::Tower::new(store, self.bytes);
        let note = "rewrites files in place: who reads meanwhile finds a part";
        self.peer("file-store", "tower-sessions-file-store", note, library);
        let store = tower_sessions_file_based_store::FileStore::in_dir(based)?;
        let library = core_015::Tower::new(store, self.bytes);
        self.peer("file-based-store", "tower-sessions-file-based-store", TOWER, library);
        self.php("files", &format!("session.save_path={}", php.display()), &[]);
        Ok(())
    }

    async fn on_redis(&mut self) -> Result<()> {
        let address = self.spot.address()?;
        let config = Config::from_url(&format!("redis://{address}"))?;
        let mut builder = Builder::from_config(config);
        builder.with_connection_config(nodelay);
        let client = builder.build()?;
        client.init().await?;
        let store = tower_sessions_redis_store::RedisStore::new(client.clone());
        let library = core_014::Tower::new(store, self.bytes);
        self.peer("tower-sessions", "tower-sessions-redis-store", TOWER, library);
        if let Some(store) = ruts_on_redis(&client).await? {
            self.peer("ruts", "ruts", RUTS, Ruts::new(store, self.bytes));
        }

        let url = format!("redis://{address}/?protocol=resp3");
        let library = Actix::new(&url, self.bytes).await?;
        self.peer("actix-session", "actix-session", ACTIX, library);

        let pool = SingleRedisPool::from(Client::open(url)?);
        let library = Axum::new(SessionRedisPool::from(pool), self.bytes).await?;
        self.peer("axum_session", "axum_session_redispool", AXUM, library);

        let path = format!("session.save_path=tcp://{address}");
        let locks = ["redis.session.locking_enabled=1", "redis.session.lock_retries=3000"];
        self.php("redis", &path, &locks);
        Ok(())
    }

    fn on_memcached(&mut self) -> Result<()> {
        let path = format!("session.save_path={}", self.spot.address()?);
        self.php("memcached", &path, &["memcached.sess_lock_retries=400"]);
        Ok(())
    }

    async fn on_mysql(&mut self) -> Result<()> {
        let (url, most) = (&self.spot.url, u32::try_from(CONNECTIONS)?);
        let pool = MySqlPoolOptions::new().max_connections(most).connect(url).await?;
        let store = MySqlStore::new(pool).with_schema_name("app")?;
        store.migrate().await?;
        let library = core_014::Tower::new(store, self.bytes);
        self.peer("tower-sessions", "tower-sessions-sqlx-store", TOWER, library);
        let pool = sqlx::mysql::MySqlPoolOptions::new().max_connections(most).connect(url).await?;
        let library = Axum::new(SessionMySqlPool::from(pool), self.bytes).await?;
        self.peer("axum_session", "axum_session_sqlx", AXUM, library);
        Ok(())
    }

    async fn on_postgres(&mut self) -> Result<()> {
        let (url, most) = (&self.spot.url, u32::try_from(CONNECTIONS)?);
        let pool = PgPoolOptions::new().max_connections(most).connect(url).await?;
        let store = PostgresStore::new(pool.clone());
        store.migrate().await?;
        let library = core_014::Tower::new(store, self.bytes);
        self.peer("tower-sessions", "tower-sessions-sqlx-store", TOWER, library);
        let store = PostgresStoreBuilder::new(pool).create_table(true).build().await?;
        self.peer("ruts", "ruts", RUTS, Ruts::new(store, self.bytes));
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(most).connect(url).await?;
        let library = Axum::new(SessionPgPool::from(pool), self.bytes).await?;
        self.peer("axum_session", "axum_session_sqlx", AXUM, library);
        Ok(())
    }

    #[cfg(feature = "dynamodb-peer")]
    fn on_dynamodb(&mut self) -> Result<()> {
        let client = bare::dynamodb_client(self.spot.address()?);
        let key = DynamoDBStoreKey { name: "id".to_owned(), prefix: None, suffix: None };
        let props = DynamoDBStoreProps {
            table_name: TABLES[2].to_owned(),
            partition_key: key,
            ..DynamoDBStoreProps::default()
        };
        let library = core_014::Tower::new(DynamoDBStore::new(client, props), self.bytes);
        let note = "reads are eventually consistent: half the units, and a log-in may not be seen";
        self.peer("tower-sessions", "tower-sessions-dynamodb-store", note, library);
        Ok(())
    }

    fn php(&mut self, handler: &str, path: &str, more: &[&str]) {
        let extension = (handler != "files").then_some(handler);
        if test_servers::php::missing(&extension.into_iter().collect::<Vec<_>>()).is_some() {
            return;
        }
        let own = [
            format!("session.save_handler={handler}"),
            path.to_owned(),
            "session.use_cookies=0".to_owned(),
            "session.use_strict_mode=1".to_owned(),
            "session.cache_limiter=".to_owned(),
            "session.gc_probability=0".to_owned(),
        ];
        let settings = own.into_iter().chain(more.iter().map(|it| (*it).to_owned())).collect();
        let library = Php::new(settings, self.bytes);
        let version = format!("PHP {}, handler {handler}", php_version());
        self.add(Side::Peer, "PHP", version, PHP, library);
    }

    async fn bare(&mut self) -> Result<()> {
        let (spot, bytes) = (self.spot, self.bytes);
        let sqlite = || format!("sqlite:{}", spot.folder.join("bare.db").display());
        let folder = || bare::Files::new(spot.folder.join("bare"));
        match spot.kind {
            Kind::Memory => self.limit("a map", "std", Bare::new(bare::Memory::default(), bytes)),
            Kind::Files => self.limit("files", "std", Bare::new(folder()?, bytes)),
            Kind::Redis | Kind::Valkey => {
                let Some(address) = &spot.address else { return Ok(()) };
                let values = bare::Redis::connect(address).await?;
                self.limit("bare client", "redis", Bare::new(values, bytes));
            }
            Kind::Memcached => {
                let Some(address) = &spot.address else { return Ok(()) };
                let values = bare::Memcached::connect(address).await?;
                self.limit("bare client", "async-memcached", Bare::new(values, bytes));
            }
            Kind::MariaDb | Kind::MySql => {
                let values = bare::mysql(&spot.url.replace("mariadb:", "mysql:")).await?;
                self.limit("bare client", "sqlx", Bare::new(values, bytes));
            }
            Kind::Postgres => {
                let values = bare::postgres(&spot.url).await?;
                self.limit("bare client", "sqlx", Bare::new(values, bytes));
            }
            // By URL there is no folder to put another file into.
            Kind::Sqlite if spot.folder.as_os_str().is_empty() => {}
            Kind::Sqlite => {
                let values = bare::sqlite(&sqlite()).await?;
                self.limit("bare client", "sqlx", Bare::new(values, bytes));
            }
            Kind::DynamoDb => {
                let Some(address) = &spot.address else { return Ok(()) };
                let values = bare::DynamoDb::new(address, TABLES[1]);
                self.limit("bare client", "aws-sdk-dynamodb", Bare::new(values, bytes));
            }
        }
        Ok(())
    }

    fn limit(&mut self, name: &str, krate: &str, library: impl Library) {
        let version = match krate {
            "std" => "standard library".to_owned(),
            // Others bring older ones.
            krate => {
                let all = versions(krate);
                format!("{krate} {}", all.rsplit(", ").next().unwrap_or_default())
            }
        };
        self.add(Side::Bare, name, version, "", library);
    }
}

const TOWER: &str = "its own session handle, over this store of its";
const ACTIX: &str = "driven by its store, with the calls that its middleware makes";
const AXUM: &str = "driven by its database pool: the copy that each process keeps for an hour, and \
                    that others do not see change, is left out";
const RUTS: &str = "every entry is stored, read and written by itself: entries do not overwrite each \
                    other; a count does";
const PHP: &str = "up to 16 processes, asked through pipes; every request locks";

fn nodelay(connection: &mut ConnectionConfig) {
    connection.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
}

/// None where the server has no life for single fields of a hash: Redis has it from 7.4 on, Valkey from 9.0.
async fn ruts_on_redis(client: &fred::clients::Client) -> Result<Option<RutsOnRedis>> {
    let (key, field) = ("harness:probe", "field");
    client.hset::<(), _, _>(key, (field, "")).await?;
    let knows = client.hexpire::<(), _, _>(key, 1, None, field).await.is_ok();
    client.del::<(), _>(key).await?;
    let store = ruts::store::redis::RedisStore::new(Arc::new(client.clone()));
    Ok(if knows { Some(store.await?) } else { None })
}

fn php_version() -> String {
    let output = std::process::Command::new("php").arg("-r").arg("echo PHP_VERSION;").output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
