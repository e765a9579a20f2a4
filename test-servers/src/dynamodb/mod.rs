//! DynamoDB, as Amazon's own DynamoDB Local, which keeps everything in memory; and a proxy in front of
//! it that throttles, fails and loses answers, none of which it does itself. With `SESSION_DYNAMODB_ADDRESS`
//! it is another implementation, which is started by hand.
//!
//! ```no_run
//! # async fn example() -> test_servers::Result<()> {
//! use test_servers::dynamodb::{Fate, Front, Server};
//!
//! let server = Server::shared().await?;
//! let front = Front::start(&server.address()).await?;
//! front.rule(|request| match request.operation.as_str() {
//!     "UpdateItem" => Fate::LoseAnswer,
//!     _ => Fate::Pass,
//! });
//! // .. a client works with `front.url()` ..
//! let sent = front.sent();
//! # Ok(()) }
//! ```

mod front;
mod http;
mod server;

pub use front::{Fate, Front, Request};
pub use server::Server;
