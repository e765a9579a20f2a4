//! The DynamoDB store keeps the contract, on Amazon's DynamoDB Local.

mod lane;

use std::process::ExitCode;

use session_conformance::Suite;
use test_servers::dynamodb::Server;

use crate::lane::Lane;

fn main() -> ExitCode {
    let suite = Suite::new();
    match Server::missing() {
        None => suite.backend(Lane::default()),
        Some(reason) => suite.missing(lane::NAME, reason),
    }
    .run()
}
