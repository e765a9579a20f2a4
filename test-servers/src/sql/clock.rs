//! A clock of PostgreSQL that can be moved, by itself for each schema: functions with the names of the
//! server's own, in a schema that is looked through before the server's.

use std::time::Duration;

use crate::{Result, sql::Server};

/// Makes the schema and its clock, if they are not there yet.
///
/// # Errors
/// When the server refuses it.
pub async fn install(server: &Server, schema: &str) -> Result<()> {
    let function = |name: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION {schema}.{name}() RETURNS timestamptz \
             LANGUAGE sql VOLATILE AS \
             'SELECT pg_catalog.{name}() + (SELECT offset_by FROM {schema}.shift)';"
        )
    };
    let (clock, statement) = (function("clock_timestamp"), function("statement_timestamp"));
    server
        .execute(&format!(
            "SELECT pg_advisory_lock(1); CREATE SCHEMA IF NOT EXISTS {schema}; \
             CREATE TABLE IF NOT EXISTS {schema}.shift (one int PRIMARY KEY, offset_by interval); \
             INSERT INTO {schema}.shift VALUES (1, '0') ON CONFLICT DO NOTHING; \
             {clock} {statement} \
             GRANT USAGE, CREATE ON SCHEMA {schema} TO PUBLIC; \
             GRANT SELECT ON {schema}.shift TO PUBLIC;"
        ))
        .await
}

/// What makes a connection go by the clock of a schema, for the query of its URL.
#[must_use]
pub fn option(schema: &str) -> String {
    format!("options=-csearch_path%3D{schema}%2Cpg_catalog")
}

/// Moves the clock of a schema forward.
///
/// # Errors
/// When the server refuses it.
pub async fn advance(server: &Server, schema: &str, by: Duration) -> Result<()> {
    shift(server, schema, '+', by).await
}

/// Moves the clock of a schema back.
///
/// # Errors
/// When the server refuses it.
pub async fn step_back(server: &Server, schema: &str, by: Duration) -> Result<()> {
    shift(server, schema, '-', by).await
}

async fn shift(server: &Server, schema: &str, sign: char, by: Duration) -> Result<()> {
    let millis = by.as_millis();
    server
        .execute(&format!(
            "UPDATE {schema}.shift SET offset_by = offset_by {sign} interval '{millis} ms'"
        ))
        .await
}
