//! The Redis store keeps the contract, on five real servers, and PHP's layout what it declares.

mod lane;
mod monitor;
#[cfg(feature = "php")]
mod php;

use std::process::ExitCode;

use session_conformance::Suite;

use crate::lane::{Kind, Lane};

fn main() -> ExitCode {
    let suite = [
        ("redis", Kind::Redis),
        ("valkey", Kind::Valkey),
        ("redis-tls", Kind::Tls),
        ("redis-sentinel", Kind::Sentinel),
        ("valkey-cluster", Kind::Cluster),
    ]
    .into_iter()
    .fold(Suite::new(), |suite, (name, kind)| match kind.missing() {
        None => suite.backend(Lane::new(name, kind)),
        Some(reason) => suite.missing(name, reason),
    });
    #[cfg(feature = "php")]
    let suite = php::lanes(suite);
    suite.run()
}
