//! What the server says on a channel.

use async_trait::async_trait;
use sqlx::{
    Acquire, Connection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};

use super::{super::connection::Feed, pooler};

pub(super) struct PgFeed(PgListener);

/// Listens to a channel. None behind a pooler, which would give the session that listens to others.
pub(super) async fn open(
    options: &PgConnectOptions,
    channel: &str,
) -> Result<Option<PgFeed>, sqlx::Error> {
    let (options, mark) = pooler::marked(options);
    // The client takes a connection that listens from a pool only.
    let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let pool = pool.connect_lazy_with(options);
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.ignore_pool_close_event(true);
    listener.eager_reconnect(false);
    if !pooler::is_direct(listener.acquire().await?, &mark).await? {
        return Ok(None);
    }
    listener.listen(channel).await?;
    Ok(Some(PgFeed(listener)))
}

#[async_trait]
impl Feed for PgFeed {
    async fn next(&mut self) -> Option<String> {
        let said = self.0.try_recv().await.ok().flatten()?;
        Some(said.payload().to_owned())
    }

    async fn lives(&mut self) -> bool {
        match self.0.acquire().await {
            Ok(connection) => connection.ping().await.is_ok(),
            Err(_) => false,
        }
    }
}
