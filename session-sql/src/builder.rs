//! Setting up a store.

use crate::SqlConfig;

/// Sets up a [`SqlStore`](crate::SqlStore).
#[derive(Debug)]
pub struct SqlStoreBuilder {
    config: SqlConfig,
}

impl From<SqlConfig> for SqlStoreBuilder {
    fn from(config: SqlConfig) -> Self {
        Self { config }
    }
}
