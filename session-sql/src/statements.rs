//! All statements, for one engine and one table.

use crate::{Engine, statement::Statement};

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("statements/", $name, ".sql"))
    };
}

/// The statements of a store. What they do stands in their files.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) load: Statement,
    pub(crate) slot: Statement,
    pub(crate) create: Statement,
    /// Whether `create` leaves what has expired to `replace`.
    pub(crate) create_only_inserts: bool,
    /// For each of the first three conditions on the lock.
    pub(crate) replace: [Statement; 3],
    /// For each condition on the lock.
    pub(crate) save: [Statement; 4],
    /// The same, as another incarnation.
    pub(crate) restart: [Statement; 4],
    pub(crate) touch: Statement,
    pub(crate) delete_any: Statement,
    pub(crate) delete_incarnation: Statement,
    /// For each of the first three conditions on the lock.
    pub(crate) delete_revision: [Statement; 3],
    pub(crate) lock: Statement,
    /// The same; who does not get it is told when it is free. Where there are messages.
    pub(crate) lock_or_mark: Option<Statement>,
    pub(crate) placeholder: Statement,
    pub(crate) held: Statement,
    pub(crate) renew: Statement,
    pub(crate) release: Statement,
    pub(crate) oldest: Statement,
    pub(crate) sweep: Statement,
    pub(crate) list: Statement,
    pub(crate) keys: Statement,
    pub(crate) epoch: Statement,
    pub(crate) first_epoch: Statement,
    pub(crate) next_epoch: Statement,
    pub(crate) ping: Statement,
    /// Where it is said that locks are free.
    pub(crate) channel: String,
}

/// The lock is free; an index into the conditions on the lock.
pub(crate) const FREE: usize = 0;
/// It is the caller's, who keeps it.
pub(crate) const KEEP: usize = 1;
/// It is the caller's, who gives it back.
pub(crate) const RELEASE: usize = 2;
/// Whoever has the lock loses it.
pub(crate) const ANY: usize = 3;

/// A condition on the lock, and what becomes of the lock.
struct Lock {
    condition: &'static str,
    assignments: &'static str,
    tell: &'static str,
}

const UNLOCK: &str = "holder = NULL, lease_until = 0,";

const LOCKS: [Lock; 4] = [
    // One that lapses is asked for by those who wait for it.
    Lock { condition: "(lease_until = 0 OR lease_until <= {now})", assignments: UNLOCK, tell: "" },
    Lock { condition: "holder = :lease", assignments: "", tell: "" },
    Lock { condition: "holder = :lease", assignments: UNLOCK, tell: "{tell}" },
    Lock { condition: "1 = 1", assignments: UNLOCK, tell: "{tell}" },
];

impl Lock {
    fn fill(&self, source: &str) -> String {
        let source = source.replace("{lock}", self.condition).replace("{unlock}", self.assignments);
        format!("{source}\n{}", self.tell)
    }
}

/// How an engine says things.
struct Dialect {
    /// The time at which the expression is evaluated, which in a statement that waited for a row is
    /// after the wait. In milliseconds.
    now: &'static str,
    /// A time no later than that, and the same throughout the statement.
    start: &'static str,
    /// What a record has beside its payload, and the time.
    head: &'static str,
    least: &'static str,
    greatest: &'static str,
    /// This commit, and those before it in this incarnation.
    commits: &'static str,
    create: &'static str,
    lock: &'static str,
    lock_or_mark: Option<&'static str>,
    /// At the end of a statement that frees a lock which may be waited for.
    tell: &'static str,
    sweep: &'static str,
}

/// Where an insertion finds a row that is no record and has no lock, it takes its place.
const UPSERT: &str = concat!(
    file!("create"),
    "ON CONFLICT (digest) DO UPDATE SET commits = excluded.commits, deadline = excluded.deadline, \
     holder = excluded.holder, lease_until = excluded.lease_until, \
     absolute_deadline = excluded.absolute_deadline, principal = excluded.principal, \
     data = excluded.data \
     WHERE {name}.deadline <= {now} AND {name}.lease_until <= {now}"
);

/// In one column: with each execution MySQL describes every column, which costs more than its value.
const PACKED: &str = "CONCAT_WS(',', deadline, absolute_deadline, {now}, commits, principal)";

const PLAIN: &str = "deadline, absolute_deadline, {now}, commits, principal";

const MYSQL: Dialect = Dialect {
    // Of a time zone that is set for each connection, to UTC.
    now: "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)",
    start: "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
    head: PACKED,
    least: "LEAST",
    greatest: "GREATEST",
    commits: "CONCAT(:to, SUBSTR(commits, 21, 48))",
    create: file!("create"),
    lock: file!("lock.mysql"),
    lock_or_mark: None,
    tell: "",
    sweep: file!("sweep.mysql"),
};

const MARIADB: Dialect = Dialect { lock: file!("lock.mariadb"), ..MYSQL };

const POSTGRES: Dialect = Dialect {
    now: "floor(date_part('epoch', clock_timestamp()) * 1000)::bigint",
    start: "floor(date_part('epoch', statement_timestamp()) * 1000)::bigint",
    head: PLAIN,
    least: "LEAST",
    greatest: "GREATEST",
    commits: ":to || substr(commits, 21, 48)",
    create: UPSERT,
    lock: file!("lock.postgres"),
    lock_or_mark: Some(file!("lock_or_mark.postgres")),
    tell: file!("tell.postgres"),
    sweep: file!("sweep.postgres"),
};

const SQLITE: Dialect = Dialect {
    // Read once in a statement, after the wait for the database.
    now: "CAST(round(unixepoch('subsec') * 1000) AS INTEGER)",
    start: "CAST(round(unixepoch('subsec') * 1000) AS INTEGER)",
    least: "min",
    greatest: "max",
    commits: "CAST(:to || substr(commits, 21, 48) AS BLOB)",
    lock: file!("lock.sqlite"),
    lock_or_mark: None,
    tell: "",
    sweep: file!("sweep.sqlite"),
    ..POSTGRES
};

impl Statements {
    pub(crate) fn new(engine: Engine, table: &str) -> Self {
        let dialect = match engine {
            Engine::MySql => MYSQL,
            Engine::MariaDb => MARIADB,
            Engine::Postgres => POSTGRES,
            Engine::Sqlite => SQLITE,
        };
        let render = |source: &str| Statement::new(engine, &dialect.fill(source, table));
        let under = |source: &str, lock: &Lock| render(&lock.fill(source));
        let [free, keep, release, any] = &LOCKS;
        let anew = |source: &str| set(source).replace("{commits}", ":to");
        let (save, replace) = (set(file!("save")), file!("replace"));
        let save = save.as_str();
        let delete = file!("delete_revision");
        Self {
            load: render(file!("load")).of_one_row(),
            slot: render(file!("slot")).of_one_row(),
            create: render(dialect.create),
            create_only_inserts: matches!(engine, Engine::MySql | Engine::MariaDb),
            replace: [free, keep, release].map(|lock| under(&anew(replace), lock)),
            save: [free, keep, release, any].map(|lock| under(save, lock)),
            restart: [free, keep, release, any].map(|lock| under(&anew(save), lock)),
            touch: render(file!("touch")),
            delete_any: render(file!("delete_any")),
            delete_incarnation: render(file!("delete_incarnation")),
            delete_revision: [
                under(delete, free),
                under(file!("empty"), keep),
                under(delete, release),
            ],
            lock: render(dialect.lock),
            lock_or_mark: dialect.lock_or_mark.map(render),
            placeholder: render(file!("placeholder")),
            held: render(file!("held")).of_one_row(),
            renew: render(file!("renew")),
            release: render(file!("release")),
            oldest: render(file!("oldest")).of_one_row(),
            sweep: render(dialect.sweep),
            list: render(file!("list")),
            keys: render(file!("keys")),
            epoch: render(file!("epoch")).of_one_row(),
            first_epoch: render(file!("first_epoch")),
            next_epoch: render(file!("next_epoch")),
            ping: render("SELECT 1").of_one_row(),
            channel: channel(table),
        }
    }
}

impl Dialect {
    /// Puts the table and what the engine says in the place of the names in braces.
    fn fill(&self, source: &str, table: &str) -> String {
        // What a column of it is called by, where another one is near.
        let name = table.rsplit('.').next().unwrap_or(table);
        source
            .replace("{expired}", without_comments(file!("expired")).as_str())
            .replace("{placeholder}", without_comments(file!("placeholder")).as_str())
            .replace("{tell}", without_comments(self.tell).as_str())
            .replace("{channel}", &channel(table))
            .replace("{head}", self.head)
            .replace("{commits}", self.commits)
            .replace("{least}", self.least)
            .replace("{greatest}", self.greatest)
            .replace("{now}", self.now)
            .replace("{start}", self.start)
            .replace("{table}", table)
            .replace("{name}", name)
            .replace("{epochs}", &format!("{table}_epochs"))
    }
}

/// The channel of a table. A name has 63 characters at most, which that of a table with its schema may
/// exceed.
fn channel(table: &str) -> String {
    format!("session_sql_{:08x}", crc32fast::hash(table.as_bytes()))
}

/// Puts in what a commit writes.
fn set(source: &str) -> String {
    source.replace("{set}", &without_comments(file!("set")))
}

fn without_comments(source: &str) -> String {
    let lines = source.lines().filter(|line| !line.starts_with("--"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_be_filled_in() {
        for engine in [Engine::MySql, Engine::MariaDb, Engine::Postgres, Engine::Sqlite] {
            let statements = Statements::new(engine, "app.sessions");
            let save = &statements.save[RELEASE];
            assert!(save.text.starts_with("UPDATE app.sessions SET commits = "), "{}", save.text);
            let all = format!("{statements:?}");
            for text in all.split("text: \"").skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(!text.contains(['{', '}']), "{text}");
                assert!(!text.replace("::", "").contains(':'), "{text}");
                let marks = text.matches(if engine == Engine::Postgres { '$' } else { '?' });
                assert!(marks.count() > 0 || !text.contains("digest ="), "{text}");
            }
        }
    }
}
