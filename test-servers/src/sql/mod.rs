//! MariaDB, Oracle's MySQL, and PostgreSQL, with PgBouncer in front of it or without.
//!
//! ```no_run
//! # async fn example() -> test_servers::Result<()> {
//! use test_servers::sql::{Flavor, Options, Server};
//!
//! let server = Server::start(&Options::mariadb().argument("sql_mode", "")).await?;
//! let url = server.database("one_test").await?;
//! let before = server.statements().await?;
//! // .. a client works with `url`, or with the first database at `server.url()` ..
//! let statements = server.statements().await?.since(&before);
//! assert_eq!(statements.calls("insert"), 0);
//! server.set_read_only(true).await?;
//! server.kill();
//! server.restart().await?;
//! // A test that breaks nothing can do with a database on a server that it shares.
//! let url = Server::shared(Flavor::MySql).await?.fresh_database().await?;
//! # Ok(()) }
//! ```

mod administrator;
mod client;
pub mod clock;
mod data;
mod flavor;
mod mysql;
mod options;
mod pgbouncer;
mod postgres;
mod server;
mod shared;
mod statements;

pub use crate::certificates::Certificates;
pub use flavor::Flavor;
pub use options::Options;
pub use pgbouncer::{PgBouncer, PgBouncerOptions};
pub use server::Server;
pub use statements::Statements;

/// Who does everything.
const ADMINISTRATOR: &str = "administrator";
const ADMINISTRATOR_PASSWORD: &str = "of-the-tests";
/// Who has the databases of the tests, and the name of the first of them.
const APPLICATION: &str = "app";
const APPLICATION_PASSWORD: &str = "secret";
