//! The link on real databases, while they are broken.

use std::{error::Error as _, time::Duration};

use session_core::ErrorKind;

use super::*;

#[cfg(feature = "sqlite")]
mod pool;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod servers;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod statements;

/// More than any step takes: a hang is a failure, slowness is not.
const SOON: Duration = Duration::from_secs(90);

fn reads(text: &str) -> Statement {
    Statement { reads: true, ..Statement::plain(text.into()) }
}

fn writes(text: &str) -> Statement {
    Statement { reads: false, ..Statement::plain(text.into()) }
}

/// Patient: on a busy machine logging in takes its time.
fn config(url: &str) -> SqlConfig {
    let mut config = SqlConfig::from_url(url).unwrap();
    (config.connect_timeout, config.timeout) = (SOON / 3, SOON / 2);
    config
}

async fn open(config: &SqlConfig) -> Link {
    within(Link::open(config)).await.unwrap()
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it hangs")
}

/// Waits until the server is reached again.
async fn until_it_answers(link: &Link) {
    let ask = || async { Ok(link.run(&reads("SELECT 1"), &[]).await.ok().map(drop)) };
    test_servers::until("answer", SOON, ask).await.unwrap();
}

/// Waits until the pool that writes no longer says so of itself.
async fn until_it_is_not(link: &Link, words: &str) {
    let look = || async { Ok((!format!("{:?}", link.pool).contains(words)).then_some(())) };
    test_servers::until("other state", SOON, look).await.unwrap();
}

/// A value in an answer of one row and one column.
fn only(answer: &Answer) -> &Value {
    &answer.rows[0][0]
}

/// The text as an engine writes it, with `?` for a value.
fn text(engine: Engine, text: &str) -> String {
    if engine != Engine::Postgres {
        return text.to_owned();
    }
    let mut parts = text.split('?');
    let first = parts.next().unwrap().to_owned();
    parts.enumerate().fold(first, |all, (at, part)| format!("{all}${}{part}", at + 1))
}

/// A table `counts` of keys and numbers, and how a number is raised in it.
async fn counting(link: &Link) -> Statement {
    link.define(
        "CREATE TABLE IF NOT EXISTS counts (k BIGINT NOT NULL PRIMARY KEY, n BIGINT NOT NULL);",
    )
    .await
    .unwrap();
    let insert = writes(&text(link.server().engine, "INSERT INTO counts (k, n) VALUES (?, 0)"));
    link.run(&insert, &[Arg::Int(1)]).await.unwrap();
    writes(&text(link.server().engine, "UPDATE counts SET n = n + 1 WHERE k = ?"))
}

async fn count(link: &Link) -> i64 {
    match only(&link.run(&reads("SELECT n FROM counts WHERE k = 1"), &[]).await.unwrap()) {
        Value::Int(n) => *n,
        other => panic!("{other:?}"),
    }
}

/// Fifty callers who count at once.
async fn many_callers(link: &Arc<Link>) {
    let add = counting(link).await;
    let before = count(link).await;
    let callers = (0..50).map(|_| {
        let (link, add) = (Arc::clone(link), add.clone());
        tokio::spawn(async move {
            for _ in 0..4 {
                assert_eq!(link.run(&add, &[Arg::Int(1)]).await.unwrap().affected, 1);
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        within(caller).await.unwrap();
    }
    assert!(count(link).await >= before + 200);
}
