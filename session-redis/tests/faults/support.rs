//! What most cases start from.

use std::time::Duration;

use session_redis::{RedisStore, RedisStoreBuilder};
use test_load::eventually_done;
use test_servers::redis::Server;

/// Longer than anything takes that works: where time plays no part.
pub(crate) const PATIENT: Duration = Duration::from_secs(60);

/// A store whose operations end by `timeout`, and that soon gives up a server that is silent.
pub(crate) fn builder(url: &str, timeout: Duration) -> RedisStoreBuilder {
    let builder = RedisStore::builder(url).unwrap().timeout(timeout);
    let short = Duration::from_millis(500).min(timeout);
    builder.response_timeout(short).connect_timeout(short)
}

pub(crate) async fn open(url: &str, timeout: Duration) -> RedisStore {
    open_by(|| builder(url, timeout)).await
}

/// Opens, again where a busy machine took longer than the store waits.
pub(crate) async fn open_by(builder: impl Fn() -> RedisStoreBuilder + Send + Sync) -> RedisStore {
    eventually_done(|| builder().open()).await
}

/// What a primary must suffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Killed,
    Stopped,
}

/// Kills a primary when it has acknowledged commits that its replica will never get.
pub(crate) async fn kill_ahead_of(
    replica: &Server,
    primary: &Server,
    commits: impl AsyncFnOnce(),
) -> test_servers::Result<()> {
    replica.stop()?;
    primary.command(&["CLIENT", "KILL", "TYPE", "replica"]).await?;
    commits().await;
    primary.kill();
    replica.resume()
}
