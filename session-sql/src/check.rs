//! Whether the tables are as they must be.

use std::fmt;

use catalog::{Column, Found, Index, Role};

use crate::{
    Engine, SqlConfig,
    link::{Fault, Link},
};

mod catalog;

/// Something that is wrong with a table. Its `Display` says what, and what is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    text: String,
    /// Whether making what is missing mends it.
    missing: bool,
}

impl Problem {
    const fn missing(text: String) -> Self {
        Self { text, missing: true }
    }

    const fn wrong(text: String) -> Self {
        Self { text, missing: false }
    }

    /// Whether making what is missing mends it.
    pub(crate) const fn is_missing(&self) -> bool {
        self.missing
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What is in a column.
#[derive(Debug, Clone, Copy)]
enum Content {
    /// So many bytes.
    Bytes(u8),
    /// So many bytes at most.
    UpTo(u8),
    Int,
    Data,
}

/// A table as it must be.
struct Expected {
    /// What its name has after that of the table of the sessions.
    suffix: &'static str,
    key: &'static str,
    columns: &'static [(&'static str, Content, Null)],
    /// Those that PostgreSQL has besides.
    on_postgres: &'static [(&'static str, Content, Null)],
    indexes: &'static [(&'static [&'static str], &'static str)],
}

impl Expected {
    fn columns_of(
        &self,
        engine: Engine,
    ) -> impl Iterator<Item = &'static (&'static str, Content, Null)> {
        let more = if engine == Engine::Postgres { self.on_postgres } else { &[] };
        self.columns.iter().chain(more)
    }
}

/// Whether a column takes null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Null {
    Yes,
    No,
}

const TABLES: [Expected; 2] = [
    Expected {
        suffix: "",
        key: "digest",
        columns: &[
            ("digest", Content::Bytes(32), Null::No),
            ("commits", Content::UpTo(84), Null::No),
            ("deadline", Content::Int, Null::No),
            ("holder", Content::Bytes(16), Null::Yes),
            ("lease_until", Content::Int, Null::No),
            ("absolute_deadline", Content::Int, Null::No),
            ("principal", Content::Bytes(32), Null::Yes),
            ("data", Content::Data, Null::No),
        ],
        on_postgres: &[("wanted_until", Content::Int, Null::No)],
        indexes: &[
            (&["deadline"], ""),
            // The engines that can leave out sessions of nobody.
            (&["principal", "digest"], "principal is not null"),
        ],
    },
    Expected {
        suffix: "_epochs",
        key: "principal",
        columns: &[("principal", Content::Bytes(32), Null::No), ("epoch", Content::Int, Null::No)],
        on_postgres: &[],
        indexes: &[],
    },
];

/// All that is wrong with the tables.
pub(crate) async fn problems(link: &Link, config: &SqlConfig) -> Result<Vec<Problem>, Fault> {
    let engine = link.server().engine;
    let mut problems = Vec::new();
    for expected in &TABLES {
        let table = format!("{}{}", config.table, expected.suffix);
        let found = catalog::find(link, &table).await?;
        problems.extend(compare(engine, &table, expected, &found));
    }
    Ok(problems)
}

fn compare(engine: Engine, table: &str, expected: &Expected, found: &Found) -> Vec<Problem> {
    let Some(first) = found.columns.first() else {
        let text = format!("table `{table}` is missing, or the user has no right to it");
        return vec![Problem::missing(text)];
    };
    let mut problems = Vec::new();
    if matches!(engine, Engine::MySql | Engine::MariaDb) && first.storage != "InnoDB" {
        problems.push(format!("table `{table}` is kept by {}; expected InnoDB", first.storage));
    }
    for (name, content, null) in expected.columns_of(engine) {
        let found = found.columns.iter().find(|column| column.name == *name);
        problems.extend(column(table, name, content.kind(engine), *null, found));
    }
    problems.extend(strangers(engine, table, expected, &found.columns));
    problems.extend(key(table, expected.key, &found.indexes));
    problems.extend(unique(table, &found.indexes));
    let wrong = problems.into_iter().map(Problem::wrong);
    wrong.chain(indexes(table, expected, &found.indexes).map(Problem::missing)).collect()
}

impl Content {
    /// The type as the catalog of the engine writes it.
    fn kind(self, engine: Engine) -> String {
        match (engine, self) {
            (Engine::MySql | Engine::MariaDb, Self::Bytes(length)) => format!("binary({length})"),
            (Engine::MySql | Engine::MariaDb, Self::UpTo(length)) => format!("varbinary({length})"),
            (Engine::MySql | Engine::MariaDb, Self::Data) => "longblob".to_owned(),
            (Engine::Sqlite, Self::Int) => "integer".to_owned(),
            (Engine::Sqlite, _) => "blob".to_owned(),
            (_, Self::Int) => "bigint".to_owned(),
            (Engine::Postgres, _) => "bytea".to_owned(),
        }
    }
}

fn column(
    table: &str,
    name: &str,
    kind: String,
    null: Null,
    found: Option<&Column>,
) -> Vec<String> {
    let Some(found) = found else {
        return vec![format!("column `{name}` of `{table}` is missing; expected {kind}")];
    };
    let mut problems = Vec::new();
    if found.kind != kind {
        let collation = match &*found.collation {
            "" => String::new(),
            collation => format!(" with collation {collation}"),
        };
        let is = &found.kind;
        problems.push(format!("column `{name}` of `{table}` is {is}{collation}; expected {kind}"));
    }
    match (found.nullable, null) {
        (true, Null::No) => {
            problems.push(format!("column `{name}` of `{table}` takes null; expected not null"));
        }
        (false, Null::Yes) => {
            problems.push(format!("column `{name}` of `{table}` takes no null; expected null"));
        }
        _ => {}
    }
    problems
}

/// Columns that nobody fills.
fn strangers(engine: Engine, table: &str, expected: &Expected, columns: &[Column]) -> Vec<String> {
    let known = |name: &str| expected.columns_of(engine).any(|(known, ..)| *known == name);
    let strange = columns.iter().filter(|column| !column.optional && !known(&column.name));
    let problem = |Column { name, .. }: &Column| {
        format!("column `{name}` of `{table}` is not the store's; expected null or a default")
    };
    strange.map(problem).collect()
}

fn key(table: &str, expected: &str, indexes: &[Index]) -> Option<String> {
    let Some(index) = indexes.iter().find(|index| index.role == Role::Primary) else {
        return Some(format!("table `{table}` has no primary key; expected ({expected})"));
    };
    let columns = index.columns.join(", ");
    (columns != expected)
        .then(|| format!("the primary key of `{table}` is ({columns}); expected ({expected})"))
}

/// The indexes that are missing.
fn indexes(table: &str, expected: &Expected, indexes: &[Index]) -> impl Iterator<Item = String> {
    let serves = |index: &Index, columns: &[&str], condition: &str| {
        let plain = plain(&index.condition);
        index.columns.iter().zip(columns).filter(|(is, wanted)| is == wanted).count()
            == columns.len()
            && (plain.is_empty() || plain == condition)
    };
    let missing = expected.indexes.iter().filter(move |(columns, condition)| {
        !indexes.iter().any(|index| serves(index, columns, condition))
    });
    missing.map(move |(columns, _)| {
        format!("table `{table}` has no index on ({})", columns.join(", "))
    })
}

/// Indexes that would refuse sessions.
fn unique(table: &str, indexes: &[Index]) -> Vec<String> {
    let unique = indexes.iter().filter(|index| index.role == Role::Unique);
    let problem = |Index { name, columns, .. }: &Index| {
        let columns = columns.join(", ");
        format!("index `{name}` of `{table}` is unique; sessions may have the same ({columns})")
    };
    unique.map(problem).collect()
}

/// A condition as it is compared: without parentheses, in lower case.
fn plain(condition: &str) -> String {
    let words = condition.split(|letter: char| letter.is_whitespace() || "()\"`;".contains(letter));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ").to_lowercase()
}
