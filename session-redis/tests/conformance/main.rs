//! The Redis store keeps the contract.

mod server;

use std::process::ExitCode;

use session_conformance::Suite;

use crate::server::Server;

fn main() -> ExitCode {
    Suite::new().backend(Server::new("redis", "redis://127.0.0.1:16379")).run()
}
