//! What stands between: nothing, or a pooler.

use std::fmt::Write as _;

use sqlx::{
    Connection, Executor, Row,
    postgres::{PgConnectOptions, PgConnection},
};

use crate::statement::Arg;

/// A setting of our own, which only who has a session of the server for himself finds there again.
const MARK: &str = "session_sql.mark";
const ASK: &str = "SELECT current_setting('session_sql.mark', true)";

/// It is for the pooler to give a statement another name, by which it finds it on every connection.
const UNNAMED: &str = "SELECT count(*) FROM pg_prepared_statements \
     WHERE statement LIKE '%pg_prepared_statements%' AND name LIKE 'sqlx%'";

/// Asks for a mark with log-in.
pub(super) fn marked(options: &PgConnectOptions) -> (PgConnectOptions, String) {
    let mark = format!("{:016x}", fastrand::u64(..));
    (options.clone().options([(MARK, mark.as_str())]), mark)
}

/// Whether the mark has come to the server.
pub(super) async fn is_direct(
    connection: &mut PgConnection,
    mark: &str,
) -> Result<bool, sqlx::Error> {
    let row = connection.fetch_one(sqlx::raw_sql(ASK)).await?;
    let found: Option<String> = row.try_get_unchecked(0)?;
    Ok(found.is_some_and(|found| found == mark))
}

/// Whether statements can be prepared by name, which the client takes from numbers: a pooler that
/// does not look into them gives one's number to another's statement. Asked in a transaction, in
/// which all goes to the same session of the server.
pub(super) async fn tracks_statements(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    connection.execute(sqlx::raw_sql("BEGIN")).await?;
    let asked = sqlx::query(UNNAMED).fetch_one(&mut *connection).await;
    if asked.is_ok() {
        connection.clear_cached_statements().await?;
    }
    connection.execute(sqlx::raw_sql("ROLLBACK")).await?;
    match asked {
        Ok(row) => Ok(row.try_get::<i64, _>(0)? == 0),
        // There is one of that name already.
        Err(sqlx::Error::Database(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The text with its values in the places of `$1` and so on. They are numbers, and bytes that are
/// written in hexadecimal digits, so that nothing needs to be quoted.
pub(super) fn with_values(text: &str, values: &[Arg<'_>]) -> String {
    let mut parts = text.split('$');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = part.split_at(digits);
        let at = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        match at.and_then(|at| values.get(at)) {
            Some(value) => push(&mut filled, value),
            None => {
                filled.push('$');
                filled.push_str(number);
            }
        }
        filled.push_str(rest);
    }
    filled
}

fn push(text: &mut String, value: &Arg<'_>) {
    match value {
        Arg::Int(int) => drop(write!(text, "'{int}'::bigint")),
        Arg::Bytes(bytes) => {
            text.push_str("decode('");
            let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
            text.reserve(bytes.len() * 2);
            text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
            text.push_str("', 'hex')");
        }
        Arg::Null => text.push_str("NULL::bytea"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_places_of_their_numbers() {
        let text = "UPDATE t SET a = $2, b = $1::bytea WHERE c = $11 AND d > $3";
        let mut values = [Arg::Int(0); 11];
        values[0] = Arg::Bytes(b"\x00'\xff");
        values[1] = Arg::Int(i64::MIN);
        values[2] = Arg::Null;
        assert_eq!(
            with_values(text, &values),
            "UPDATE t SET a = '-9223372036854775808'::bigint, b = decode('0027ff', 'hex')::bytea \
             WHERE c = '0'::bigint AND d > NULL::bytea"
        );
        assert_eq!(with_values("SELECT $1, '$'", &[]), "SELECT $1, '$'");
    }
}
