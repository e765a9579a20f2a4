//! What the database says of a table.

use crate::{
    Engine,
    link::{Fault, Link},
    statement::{Statement, Value},
};

/// A table as it is. One without columns is not there, or not to be seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) columns: Vec<Column>,
    pub(super) indexes: Vec<Index>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type in lower case, with its length.
    pub(super) kind: String,
    pub(super) nullable: bool,
    /// What the column is sorted by, if it is text.
    pub(super) collation: String,
    /// Whether a row can be made without a value for it.
    pub(super) optional: bool,
    /// The storage engine of the table, where there are several.
    pub(super) storage: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) columns: Vec<String>,
    /// Which rows are in it, if not all.
    pub(super) condition: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Primary,
    Unique,
    Plain,
}

/// Looks a table up.
pub(super) async fn find(link: &Link, table: &str) -> Result<Found, Fault> {
    let (columns, indexes) = match link.server().engine {
        Engine::MySql | Engine::MariaDb => {
            (include_str!("mysql_columns.sql"), include_str!("mysql_indexes.sql"))
        }
        Engine::Postgres => {
            (include_str!("postgres_columns.sql"), include_str!("postgres_indexes.sql"))
        }
        Engine::Sqlite => (include_str!("sqlite_columns.sql"), include_str!("sqlite_indexes.sql")),
    };
    let columns = rows(link, columns, table).await?.iter().map(column).collect();
    let mut found = Found { columns, indexes: Vec::new() };
    for [name, role, column, condition] in rows(link, indexes, table).await? {
        match found.indexes.last_mut().filter(|index| index.name == name) {
            Some(index) => index.columns.push(column),
            None => found.indexes.push(index(name, &role, column, condition)),
        }
    }
    Ok(found)
}

/// Runs a query that answers in texts. The name of a table is plain enough to stand in it.
async fn rows<const N: usize>(
    link: &Link,
    query: &str,
    table: &str,
) -> Result<Vec<[String; N]>, Fault> {
    let (schema, name) = match table.split_once('.') {
        Some((schema, name)) => (format!("'{schema}'"), name),
        None => ("DATABASE()".to_owned(), table),
    };
    let text = query.replace("{schema}", &schema).replace("{name}", name);
    let text = text.replace("{table}", table);
    let statement = Statement::plain(text.into());
    let answer = link.run(&statement, &[]).await?;
    Ok(answer.rows.into_iter().map(texts).collect())
}

fn texts<const N: usize>(row: Vec<Value>) -> [String; N] {
    let mut values = row.into_iter();
    std::array::from_fn(|_| match values.next() {
        Some(Value::Bytes(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::new(),
    })
}

fn column([name, kind, nullable, collation, optional, storage]: &[String; 6]) -> Column {
    Column {
        name: name.clone(),
        kind: without_width(kind),
        nullable: nullable == "YES",
        collation: collation.clone(),
        optional: optional == "YES",
        storage: storage.clone(),
    }
}

/// MariaDB gives whole numbers a width, which says nothing of what they hold.
fn without_width(kind: &str) -> String {
    match kind.split_once('(').filter(|(name, _)| name.ends_with("int")) {
        Some((name, rest)) => {
            format!("{name}{}", rest.split_once(')').map_or("", |(_, rest)| rest))
        }
        None => kind.to_owned(),
    }
}

fn index(name: String, role: &str, column: String, condition: String) -> Index {
    let role = match role {
        "primary" => Role::Primary,
        "unique" => Role::Unique,
        _ => Role::Plain,
    };
    Index { name, role, columns: vec![column], condition }
}
