//! Stores on a PostgreSQL.

#![expect(clippy::expect_used, reason = "a test fails where its store cannot be opened")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use session_core::SessionStore;
use session_http::scenarios::{Place, Played, count};
use session_sql::{SqlConfig, SqlStore, SqlStoreBuilder};
use test_servers::sql::{Flavor, Server, clock};

use crate::place::{PATIENCE, fresh_name};

/// A table, with a clock of its own.
#[derive(Debug)]
pub(crate) struct Postgres {
    store: Arc<SqlStore>,
    server: &'static Server,
    name: String,
}

impl Postgres {
    pub(crate) async fn open(max_waiters: usize) -> Self {
        let server = Server::shared(Flavor::Postgres).await.expect("a server");
        let name = fresh_name();
        clock::install(server, &name).await.expect("a clock");
        let url = format!("{}?session.table={name}&{}", server.url(), clock::option(&name));
        let builder = SqlStoreBuilder::from(SqlConfig::from_url(&url).expect("a URL"))
            .connect_timeout(PATIENCE)
            .response_timeout(PATIENCE)
            .timeout(PATIENCE * 2)
            .max_waiters(max_waiters);
        let store = builder.open().await.expect("a store");
        store.migrate().await.expect("its tables");
        Self { store: Arc::new(store), server, name }
    }
}

#[async_trait]
impl Place for Postgres {
    fn store(&self) -> Arc<dyn SessionStore> {
        Arc::clone(&self.store) as Arc<dyn SessionStore>
    }

    async fn advance(&self, by: Duration) -> Played {
        clock::advance(self.server, &self.name, by).await.expect("the server answers");
        Ok(())
    }

    async fn records(&self) -> usize {
        count(&*self.store).await
    }
}
