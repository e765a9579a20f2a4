//! What a server has counted.

use std::collections::BTreeMap;

use crate::sql::{ADMINISTRATOR, postgres};

/// What clients had a server do since its start, or between two looks.
///
/// | | MySQL and MariaDB | PostgreSQL |
/// | --- | --- | --- |
/// | counted by | `SHOW GLOBAL STATUS`, all connections | its log, all but the administrator's |
/// | kinds | `Com_*` in lower case: `select`, `begin`, `commit`, `set_option` | the first word: `select`, `begin`, `set`, `with` |
/// | a prepared statement | `stmt_prepare`, and `stmt_execute` besides its own kind | its own kind alone |
/// | several in one text | each | all as one, by the first word |
/// | a ping | `admin_commands` | `""`, as a statement without a word |
///
/// PostgreSQL logs every statement for it, and its log grows by that: a benchmark starts it with
/// `.argument("log_statement", "none")`, and then nothing is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statements {
    calls: BTreeMap<String, u64>,
    /// What a look itself adds, found by looking twice.
    own: Option<Box<Self>>,
}

impl Statements {
    pub(crate) const STATUS: &str = "SHOW GLOBAL STATUS LIKE 'Com\\_%'";

    /// From lines such as `Com_select\t7`.
    pub(crate) fn of_status(text: &str) -> Self {
        let counts = text.lines().filter_map(|line| {
            let (name, count) = line.strip_prefix("Com_")?.split_once('\t')?;
            Some((name.to_lowercase(), count.parse().ok()?))
        });
        Self { calls: counts.collect(), own: None }
    }

    /// From lines such as `user=app LOG:  execute name: SELECT ..`.
    pub(crate) fn of_log(log: &str) -> Self {
        let mut statements = Self::default();
        // Further lines of a statement begin with a tab.
        for statement in log.replace("\n\t", " ").lines().filter_map(statement_in) {
            *statements.calls.entry(first_word(statement)).or_default() += 1;
        }
        statements
    }

    /// With what a look itself adds: the difference between this one and the one before.
    pub(crate) fn after_look(mut self, before: &Self) -> Self {
        self.own = Some(Box::new(self.since(before)));
        self
    }

    /// How many statements of this kind there were.
    #[must_use]
    pub fn calls(&self, kind: &str) -> u64 {
        self.calls.get(kind).copied().unwrap_or_default()
    }

    /// Every kind that there was, and how often.
    #[must_use]
    pub fn all_calls(&self) -> &BTreeMap<String, u64> {
        &self.calls
    }

    /// How many statements were executed, of any kind. On MySQL a ping is none, nor is the making
    /// of a prepared statement.
    #[must_use]
    pub fn total(&self) -> u64 {
        let beside = |kind: &str| kind == "admin_commands" || kind.starts_with("stmt_");
        self.calls.iter().filter(|(kind, _)| !beside(kind)).map(|(_, calls)| calls).sum()
    }

    /// What came after the earlier look, without the looks themselves.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        // Each look is two queries: the first adds to the second, and both add to a later look.
        let own = |kind| earlier.own.as_deref().map_or(0, |own| own.calls(kind).saturating_mul(2));
        let calls = self.calls.iter().map(|(kind, calls)| {
            let counted = calls.saturating_sub(earlier.calls(kind));
            (kind.clone(), counted.saturating_sub(own(kind)))
        });
        Self { calls: calls.filter(|(_, calls)| *calls > 0).collect(), own: None }
    }
}

/// The statement that a line of PostgreSQL's log tells of, if it is a client's.
fn statement_in(line: &str) -> Option<&str> {
    let (prefix, _) = postgres::LOG_PREFIX.split_once('%')?;
    let (user, message) = line.strip_prefix(prefix)?.split_once(' ')?;
    let message = message.strip_prefix("LOG:  ")?;
    if user == ADMINISTRATOR {
        return None;
    }
    let executed = || message.strip_prefix("execute ")?.split_once(": ").map(|(_, sql)| sql);
    message.strip_prefix("statement: ").or_else(executed)
}

/// In lower case, without comments before it.
fn first_word(statement: &str) -> String {
    let mut rest = statement.trim_start();
    while let Some((_, after)) = rest.strip_prefix("/*").and_then(|text| text.split_once("*/")) {
        rest = after.trim_start();
    }
    let end = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_taken_off_what_mysql_counts() {
        let look = |select: u64, show: u64, execute: u64| {
            Statements::of_status(&format!(
                "Com_select\t{select}\nCom_show_status\t{show}\nCom_stmt_execute\t{execute}"
            ))
        };
        let earlier = look(4, 2, 0).after_look(&look(3, 1, 0));
        let later = look(9, 4, 3).after_look(&look(8, 3, 3));
        let statements = later.since(&earlier);
        assert_eq!((statements.calls("select"), statements.calls("stmt_execute")), (3, 3));
        assert_eq!((statements.all_calls().len(), statements.total()), (2, 3), "{statements:?}");
    }

    #[test]
    fn statements_of_clients_are_found_in_the_log_of_postgresql() {
        let log = "\
user= LOG:  database system is ready to accept connections
user=app LOG:  statement: BEGIN
user=app LOG:  execute sqlx_s_1: INSERT INTO log VALUES ($1)
user=app DETAIL:  parameters: $1 = 'user=app LOG:  statement: SELECT 1'
user=app LOG:  execute <unnamed>: /* one */
\tselect 1
\tuser=app LOG:  statement: SELECT 2
user=app ERROR:  syntax error
user=app STATEMENT:  SELECT
user=app LOG:  statement: /* a ping */
user=administrator LOG:  statement: SELECT 1
";
        let statements = Statements::of_log(log);
        let kinds = ["begin", "insert", "select", ""].map(|kind| statements.calls(kind));
        assert_eq!((kinds, statements.total()), ([1; 4], 4), "{statements:?}");
    }
}
