//! What the database is asked, in its own words.

use std::sync::Arc;

use super::PhpLayout;
use crate::url::Dialect;

/// The statements of a layout. The values stand in the order of the comments.
#[derive(Debug)]
pub(super) struct Statements {
    /// Nothing: begins a transaction.
    pub(super) begin: &'static str,
    /// Id: data, lifetime.
    pub(super) read: Arc<str>,
    /// As `read`; takes the row's lock, or fails.
    pub(super) read_locked: Arc<str>,
    /// Id, data, lifetime, time.
    pub(super) insert: Arc<str>,
    /// Data, lifetime, time, id, the data before.
    pub(super) update: Arc<str>,
    /// Data, lifetime, time, id, now: over a row that is no session any more, or not yet.
    pub(super) revive: Arc<str>,
    /// Lifetime, time, id, now, lifetime.
    pub(super) touch: Arc<str>,
    /// Id, the data before.
    pub(super) delete: Arc<str>,
    /// Now, a number of rows.
    pub(super) sweep: Arc<str>,
    /// Nothing: the lowest lifetime.
    pub(super) oldest: Arc<str>,
    /// Schema or nothing, table, column of the data: for how many bytes it has room. MySQL only.
    pub(super) room: Arc<str>,
    /// Name: whether it was taken.
    pub(super) lock: Arc<str>,
    /// Name.
    pub(super) unlock: Arc<str>,
    /// The table, as Symfony makes it.
    pub(super) table: String,
}

impl Statements {
    pub(super) fn new(layout: &PhpLayout) -> Self {
        let words = Words(layout);
        let say = |text: &str| words.say(text);
        let read = "SELECT :data, :lifetime FROM :table WHERE :id = ?id";
        let over = "UPDATE :table SET :data = ?, :lifetime = ?, :time = ? WHERE :id = ?id";
        let (begin, for_update, sweep) = match layout.sql.dialect {
            // It has no locks of rows: the transaction has the database.
            Dialect::Sqlite => (
                "BEGIN IMMEDIATE",
                "",
                "rowid IN (SELECT rowid FROM :table WHERE :lifetime < ? LIMIT ?)",
            ),
            Dialect::MySql => ("START TRANSACTION", " FOR UPDATE NOWAIT", ":lifetime < ? LIMIT ?"),
            Dialect::Postgres => (
                "BEGIN",
                " FOR UPDATE NOWAIT",
                "ctid IN (SELECT ctid FROM :table WHERE :lifetime < ? LIMIT ? FOR UPDATE SKIP LOCKED)",
            ),
        };
        let (lock, unlock) = words.locks();
        Self {
            begin,
            read: say(read),
            read_locked: say(&format!("{read}{for_update}")),
            insert: say("INSERT INTO :table (:id, :data, :lifetime, :time) VALUES (?id, ?, ?, ?)"),
            update: say(&format!("{over} AND :data = ?")),
            revive: say(&format!("{over} AND (:lifetime < ? OR LENGTH(:data) = 0)")),
            touch: say("UPDATE :table SET :lifetime = ?, :time = ? \
                 WHERE :id = ?id AND :lifetime >= ? AND :lifetime <= ?"),
            delete: say("DELETE FROM :table WHERE :id = ?id AND :data = ?"),
            sweep: say(&format!("DELETE FROM :table WHERE {sweep}")),
            oldest: say("SELECT MIN(:lifetime) FROM :table"),
            room: say("SELECT CHARACTER_OCTET_LENGTH FROM information_schema.COLUMNS \
                 WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ? AND COLUMN_NAME = ?"),
            lock: say(lock),
            unlock: say(unlock),
            table: words.table(),
        }
    }
}

struct Words<'a>(&'a PhpLayout);

impl Words<'_> {
    /// A text in the words of the engine: with the layout's names, and a placeholder for each `?`, which
    /// for an id is `?id`.
    fn say(&self, text: &str) -> Arc<str> {
        let text = self.named(text);
        let mut parts = text.split('?');
        let mut said = parts.next().unwrap_or_default().to_owned();
        for (part, at) in parts.zip(1_u32..) {
            let (placeholder, rest) = match part.strip_prefix("id") {
                Some(rest) => (self.id(at), rest),
                None => (self.value(at), part),
            };
            said.extend([&placeholder, rest]);
        }
        said.into()
    }

    fn named(&self, text: &str) -> String {
        let layout = self.0;
        [
            (":table", &layout.sql.table),
            (":id", &layout.id_column),
            (":data", &layout.data_column),
            (":lifetime", &layout.lifetime_column),
            (":time", &layout.time_column),
        ]
        .into_iter()
        .fold(text.to_owned(), |text, (mark, name)| text.replace(mark, name))
    }

    fn value(&self, at: u32) -> String {
        if self.0.sql.dialect == Dialect::Postgres { format!("${at}") } else { "?".to_owned() }
    }

    /// An id, which comes as bytes.
    fn id(&self, at: u32) -> String {
        match self.0.sql.dialect {
            Dialect::MySql => "?".to_owned(),
            Dialect::Postgres => format!("convert_from(${at}::bytea, 'UTF8')"),
            Dialect::Sqlite => "CAST(? AS TEXT)".to_owned(),
        }
    }

    const fn locks(&self) -> (&'static str, &'static str) {
        match self.0.sql.dialect {
            Dialect::MySql => ("SELECT GET_LOCK(?, 0)", "SELECT RELEASE_LOCK(?)"),
            // A cast has a colon as well, but no name of the layout's follows it.
            Dialect::Postgres => (
                "SELECT pg_try_advisory_lock(?::bigint)::int",
                "SELECT pg_advisory_unlock(?::bigint)::int",
            ),
            Dialect::Sqlite => ("SELECT 0", "SELECT 0"),
        }
    }

    /// The table, as Symfony makes it.
    fn table(&self) -> String {
        let (key, blob, number, end) = match self.0.sql.dialect {
            Dialect::MySql => ("VARBINARY(128)", "BLOB", "INTEGER UNSIGNED", " ENGINE = InnoDB"),
            Dialect::Postgres => ("VARCHAR(128)", "BYTEA", "INTEGER", ""),
            Dialect::Sqlite => ("TEXT", "BLOB", "INTEGER", ""),
        };
        self.named(&format!(
            "CREATE TABLE :table (:id {key} NOT NULL PRIMARY KEY, :data {blob} NOT NULL, \
             :lifetime {number} NOT NULL, :time {number} NOT NULL){end}; \
             CREATE INDEX :lifetime_idx ON :table (:lifetime)"
        ))
    }
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::*;
    use crate::SqlConfig;

    #[test]
    fn texts_have_the_names_of_the_layout_and_numbered_values() {
        let config = SqlConfig::from_url("postgres://u@h/d?session.table=a.b").unwrap();
        let mut layout = PhpLayout::new(config);
        layout.time_column = "at".to_owned();
        let statements = Statements::new(&layout);
        assert_eq!(
            &*statements.update,
            "UPDATE a.b SET sess_data = $1, sess_lifetime = $2, at = $3 \
             WHERE sess_id = convert_from($4::bytea, 'UTF8') AND sess_data = $5"
        );
        assert_eq!(&*statements.lock, "SELECT pg_try_advisory_lock($1::bigint)::int");
    }
}
