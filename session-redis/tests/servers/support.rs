//! What most tests start from.

use std::time::Duration;

use session_core::{
    Key, KeyHasher, LockRequest, OpToken, ReadOptions, Record, Result, Revision, SessionId,
    SessionStore, Write,
};
use session_redis::RedisStore;
use test_servers::redis::{Options, Server};

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
/// More than any step takes: a hang is a failure, slowness is not.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// A server and a store on it.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) store: RedisStore,
}

impl World {
    pub(crate) async fn start() -> test_servers::Result<Self> {
        Self::with(&Options::redis()).await
    }

    pub(crate) async fn with(options: &Options) -> test_servers::Result<Self> {
        let server = Server::start(options).await?;
        let store = open(&server).await;
        Ok(Self { server, store })
    }
}

/// One more server of the fleet. Nothing is sent again because an answer is slow.
pub(crate) async fn open(server: &Server) -> RedisStore {
    let builder = RedisStore::builder(&server.url()).unwrap().timeout(SOON);
    builder.response_timeout(SOON).connect_timeout(SOON).open().await.unwrap()
}

pub(crate) fn new_key() -> Key {
    KeyHasher::plain().key(&SessionId::generate().unwrap())
}

pub(crate) fn op() -> OpToken {
    OpToken::generate().unwrap()
}

/// Tries for `wait` to get a lock that lasts.
pub(crate) fn request(wait: Duration) -> LockRequest {
    LockRequest::new(op(), HOUR, wait)
}

pub(crate) async fn create(store: &RedisStore, key: &Key, payload: &[u8]) -> Revision {
    store.create(key, Write::new(payload.to_vec(), HOUR), op(), None).await.unwrap()
}

pub(crate) async fn load(store: &RedisStore, key: &Key) -> Result<Option<Record>> {
    store.load(key, ReadOptions::latest()).await
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(SOON, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}: not within {SOON:?}");
}
