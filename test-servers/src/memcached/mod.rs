//! Memcached.
//!
//! ```no_run
//! # async fn example() -> test_servers::Result<()> {
//! use test_servers::memcached::{Options, Server};
//!
//! let server = Server::start(&Options::new()).await?;
//! server.command("set key 0 0 1\r\nx\r\n").await?;
//! // .. a client works with `server.url()` ..
//! server.flush().await?;
//! server.kill();
//! server.start_again().await?;
//! # Ok(()) }
//! ```

mod client;
mod options;
mod server;

pub use crate::certificates::Certificates;
pub use client::Client;
pub use options::Options;
pub use server::Server;
