//! The DynamoDB store keeps the contract, on Amazon's DynamoDB Local: with the leases in the items, and aside.

mod lane;
#[cfg(feature = "php")]
mod php;

use std::process::ExitCode;

use session_conformance::Suite;
use session_dynamo::Leases;
use test_servers::dynamodb::Server;

use crate::lane::Lane;

fn main() -> ExitCode {
    let suite = Suite::new();
    let suite = match Server::missing() {
        None => suite.backend(Lane::new(Leases::InItem)).backend(Lane::new(Leases::Aside)),
        Some(reason) => suite.missing(lane::IN_ITEM, reason.clone()).missing(lane::ASIDE, reason),
    };
    #[cfg(feature = "php")]
    let suite = php::lane(suite);
    suite.run()
}
