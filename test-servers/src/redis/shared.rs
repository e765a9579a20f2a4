//! One server for many tests.

use tokio::sync::OnceCell;

use crate::{
    Result,
    redis::{Flavor, Options, Server},
};

static REDIS: OnceCell<Server> = OnceCell::const_new();
static VALKEY: OnceCell<Server> = OnceCell::const_new();

impl Server {
    /// The server of this flavor that all tests of the process share, started by the first of
    /// them without further options. It is for tests that take a prefix each and break nothing,
    /// and goes with the process.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn shared(flavor: Flavor) -> Result<&'static Self> {
        let server = match flavor {
            Flavor::Redis => &REDIS,
            Flavor::Valkey => &VALKEY,
        };
        server.get_or_try_init(|| async { Self::start(&Options::new(flavor)).await }).await
    }
}
