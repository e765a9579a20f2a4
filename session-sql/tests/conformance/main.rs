//! The SQL store keeps the contract, on real databases, and the layout of Symfony's PDO handler what it
//! declares.

mod lane;
#[cfg(all(feature = "mysql", feature = "php", feature = "postgres", feature = "sqlite"))]
mod php;
mod writes;

use std::process::ExitCode;

use session_conformance::Suite;

use crate::lane::{Kind, Lane};

fn main() -> ExitCode {
    sqlx::any::install_default_drivers();
    let suite = [
        ("mariadb", Kind::MariaDb),
        ("mysql", Kind::MySql),
        ("postgres", Kind::Postgres),
        ("postgres-bouncer", Kind::PostgresBouncer),
        ("postgres-clock", Kind::PostgresClock),
        ("sqlite", Kind::Sqlite),
    ]
    .into_iter()
    .fold(Suite::new(), |suite, (name, kind)| match kind.missing() {
        None => suite.backend(Lane::new(name, kind)),
        Some(reason) => suite.missing(name, reason),
    });
    #[cfg(all(feature = "mysql", feature = "php", feature = "postgres", feature = "sqlite"))]
    let suite = php::lanes(suite);
    suite.run()
}
