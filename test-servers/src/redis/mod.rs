//! Redis and Valkey.
//!
//! ```no_run
//! # async fn example() -> test_servers::Result<()> {
//! use test_servers::redis::{Options, Server};
//!
//! let server = Server::start(&Options::valkey()).await?;
//! server.command(&["SET", "key", "value"]).await?;
//! let before = server.traffic().await?;
//! // .. a client works with `server.url()` ..
//! let traffic = server.traffic().await?.since(&before);
//! assert_eq!(traffic.calls("evalsha"), 0);
//! server.kill();
//! server.start_again().await?;
//! # Ok(()) }
//! ```

mod cli;
mod cluster;
mod cluster_nodes;
mod flavor;
mod options;
mod sentinels;
mod server;
mod shared;
mod stats;

pub use crate::certificates::Certificates;
pub use cluster::Cluster;
pub use cluster_nodes::NodeView;
pub use flavor::Flavor;
pub use options::{Options, Persistence, User};
pub use sentinels::Sentinels;
pub use server::Server;
pub use stats::Traffic;
