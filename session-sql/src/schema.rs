//! The tables, and how they are made.

use std::borrow::Cow;

use session_core::{ErrorKind, Operation, Result};

use crate::{
    Engine, SqlConfig, SqlStore,
    check::{self, Problem},
    link::{Fault, Link},
};

impl Engine {
    /// The statements that make the tables, called `sessions` and `sessions_epochs`. Where these are
    /// already, they do nothing.
    #[must_use]
    pub const fn schema(self) -> &'static str {
        match self {
            Self::MySql | Self::MariaDb => include_str!("../schema/mysql.sql"),
            Self::Postgres => include_str!("../schema/postgres.sql"),
            Self::Sqlite => include_str!("../schema/sqlite.sql"),
        }
    }
}

impl SqlStore {
    /// Makes the tables if they are missing.
    ///
    /// It needs the right to create tables only where there are none, changes nothing in tables that
    /// are as they must be, and may run in several processes at once. It repairs no table; on
    /// PostgreSQL and SQLite it makes a missing index, which holds up writers of a large table.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the tables are not [as they must be](Self::check)
    /// afterwards, and when the user may not create any.
    pub async fn migrate(&self) -> Result<()> {
        let (link, config) = (&self.0.link, &self.0.config);
        let problems = migrate(link, config).await;
        let problems = problems.map_err(|fault| self.fault(fault))?;
        let Some(first) = problems.first() else { return Ok(()) };
        let more = match problems.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more problems"),
        };
        Err(self.error(ErrorKind::Config, Operation::Open).with_detail(format!("{first}{more}")))
    }

    /// What is wrong with the tables: columns, their types and collations, keys, indexes, the storage
    /// engine. Nothing when all is right.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) or [`Timeout`](ErrorKind::Timeout) when the database
    /// does not answer.
    pub async fn check(&self) -> Result<Vec<Problem>> {
        let problems = check::problems(&self.0.link, &self.0.config).await;
        problems.map_err(|fault| self.fault(fault))
    }

    fn fault(&self, fault: Fault) -> session_core::Error {
        fault.into_error(self.engine().name(), Operation::Open, false)
    }
}

/// Makes what is missing, and says what is wrong then.
async fn migrate(link: &Link, config: &SqlConfig) -> Result<Vec<Problem>, Fault> {
    let mut problems = check::problems(link, config).await?;
    // What is wrong says more than what making it would meet.
    problems.sort_by_key(Problem::is_missing);
    if problems.first().is_none_or(|first| !first.is_missing()) {
        return Ok(problems);
    }
    link.define(&render(link.server().engine.schema(), &config.table)).await?;
    check::problems(link, config).await
}

/// The statements of a schema for another table. Indexes are called by the last part of its name.
fn render(schema: &str, table: &str) -> String {
    let name = table.rsplit('.').next().unwrap_or(table);
    let line = |line: &str| {
        if line.starts_with("--") {
            return String::new();
        }
        let words = line.split_inclusive(|letter: char| !is_of_name(letter));
        words.map(|word| rename(word, table, name)).collect::<String>() + "\n"
    };
    schema.lines().map(line).collect()
}

fn rename<'a>(word: &'a str, table: &str, name: &str) -> Cow<'a, str> {
    let plain = word.trim_end_matches(|letter: char| !is_of_name(letter));
    match plain {
        "sessions" => word.replacen(plain, table, 1).into(),
        "sessions_epochs" => word.replacen("sessions", table, 1).into(),
        "sessions_deadline" | "sessions_principal" => word.replacen("sessions", name, 1).into(),
        _ => word.into(),
    }
}

const fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGINES: [Engine; 4] = [Engine::MySql, Engine::MariaDb, Engine::Postgres, Engine::Sqlite];

    #[test]
    fn every_name_follows_the_table() {
        for engine in ENGINES {
            let text = render(engine.schema(), "app.web");
            assert!(!text.contains("sessions") && !text.contains("--"), "{text}");
            for name in ["app.web (", "app.web_epochs (", " web_deadline ", " web_principal "] {
                assert!(text.contains(name), "{name} in {text}");
            }
            assert!(!text.contains("app.web_deadline"), "{text}");
        }
    }

    #[test]
    fn the_schema_files_are_for_the_default_table() {
        for engine in ENGINES {
            let lines = engine.schema().lines().filter(|line| !line.starts_with("--"));
            let statements: String = lines.map(|line| format!("{line}\n")).collect();
            assert_eq!(
                render(engine.schema(), "sessions").replace('\n', ""),
                statements.replace('\n', "")
            );
        }
    }
}
