//! A server for the suite: the store on it, and everything else that may be done to it.

use std::sync::Arc;

use async_trait::async_trait;
use session_conformance::{Backend, Namespace};
use session_core::{Result, SessionStore};
use session_redis::{RedisConfig, RedisStore};

#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    url: String,
}

impl Server {
    pub(crate) fn new(name: &'static str, url: &str) -> Self {
        Self { name, url: url.to_owned() }
    }
}

#[async_trait]
impl Backend for Server {
    fn name(&self) -> &str {
        self.name
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        let mut config = RedisConfig::new(&self.url);
        config.prefix = format!("{namespace}:");
        Ok(Arc::new(RedisStore::connect(config).await?))
    }
}
