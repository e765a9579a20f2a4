//! The Memcached store keeps the contract, on real servers, and PHP's layout what it declares.

mod lane;
#[cfg(feature = "php")]
mod php;
mod watch;

use std::process::ExitCode;

use session_conformance::Suite;

use crate::lane::{Kind, Lane};

fn main() -> ExitCode {
    let suite = [
        ("memcached", Kind::One),
        ("memcached-classic", Kind::Classic),
        ("memcached-ring", Kind::Ring),
        ("memcached-tls", Kind::Tls),
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
