//! A clock of PostgreSQL that can be moved, for each namespace by itself: functions with the names of
//! the server's own, in a schema that is looked through before the server's.

use std::time::Duration;

use session_conformance::Namespace;
use test_servers::sql::Server;

/// Makes the clock of a namespace.
pub(crate) async fn install(server: &Server, namespace: &Namespace) -> test_servers::Result<()> {
    let function = |name: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION {namespace}.{name}() RETURNS timestamptz \
             LANGUAGE sql VOLATILE AS \
             'SELECT pg_catalog.{name}() + (SELECT offset_by FROM {namespace}.shift)';"
        )
    };
    let (clock, statement) = (function("clock_timestamp"), function("statement_timestamp"));
    server
        .execute(&format!(
            "SELECT pg_advisory_lock(1); CREATE SCHEMA IF NOT EXISTS {namespace}; \
             CREATE TABLE IF NOT EXISTS {namespace}.shift (one int PRIMARY KEY, offset_by interval); \
             INSERT INTO {namespace}.shift VALUES (1, '0') ON CONFLICT DO NOTHING; \
             {clock} {statement} \
             GRANT USAGE, CREATE ON SCHEMA {namespace} TO PUBLIC; \
             GRANT SELECT ON {namespace}.shift TO PUBLIC;"
        ))
        .await
}

/// What makes a connection go by the clock of a namespace.
pub(crate) fn option(namespace: &Namespace) -> String {
    format!("options=-csearch_path%3D{namespace}%2Cpg_catalog")
}

/// Moves the clock of a namespace.
pub(crate) async fn shift(
    server: &Server,
    namespace: &Namespace,
    sign: char,
    by: Duration,
) -> test_servers::Result<()> {
    let millis = by.as_millis();
    server
        .execute(&format!(
            "UPDATE {namespace}.shift SET offset_by = offset_by {sign} interval '{millis} ms'"
        ))
        .await
}
