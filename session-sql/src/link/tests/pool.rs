//! The pool, on SQLite.

use super::*;

#[tokio::test]
async fn statements_mean_the_same_in_memory() {
    statements::mean_the_same(&open(&config("sqlite::memory:")).await).await;
}

#[tokio::test]
async fn statements_mean_the_same_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    statements::mean_the_same(&open(&in_file(&directory)).await).await;
}

#[tokio::test]
async fn a_file_is_kept_as_the_settings_say() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = in_file(&directory);
    for (synchronous, number) in [("", 1), ("&synchronous=full", 2), ("&synchronous=off", 0)] {
        config.url = format!("{}{synchronous}", in_file(&directory).url);
        let link = open(&config).await;
        let ask = async |pragma| link.run(&reads(pragma), &[]).await.unwrap();
        assert_eq!(only(&ask("PRAGMA journal_mode").await), &Value::Bytes(b"wal".to_vec()));
        assert_eq!(only(&ask("PRAGMA synchronous").await), &Value::Int(number));
        assert_eq!(only(&ask("PRAGMA busy_timeout").await), &Value::Int(1_000));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_what_there_is() {
    let directory = tempfile::tempdir().unwrap();
    for mut config in [config("sqlite::memory:"), in_file(&directory)] {
        for connections in [1, 2, 10] {
            config.max_connections = connections;
            many_callers(&Arc::new(open(&config).await)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_go_away_disturb_no_other() {
    let directory = tempfile::tempdir().unwrap();
    for config in [config("sqlite::memory:"), in_file(&directory)] {
        let link = Arc::new(open(&config).await);
        let add = counting(&link).await;
        let callers = (0..30).map(|caller| {
            let (link, add) = (Arc::clone(&link), add.clone());
            tokio::spawn(async move {
                for n in 0..50 {
                    let n = caller * 1_000 + n;
                    let patience = Duration::from_micros(fastrand::u64(0..500));
                    let echo = Statement { reads: n % 3 == 0, ..reads("SELECT ?") };
                    if caller % 2 == 0 {
                        let add = link.run(&add, &[Arg::Int(1)]);
                        let _gone = tokio::time::timeout(patience, add).await;
                    } else {
                        let answer = within(link.run(&echo, &[Arg::Int(n)])).await.unwrap();
                        assert_eq!(only(&answer), &Value::Int(n));
                    }
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
        many_callers(&link).await;
    }
}

#[tokio::test]
async fn who_comes_when_too_many_wait_is_refused_at_once() {
    let link = open(&config("sqlite::memory:")).await;
    let _taken = link.pool.take(tokio::time::Instant::now() + SOON).await.unwrap();
    // Nobody's time is over before all have come.
    tokio::time::pause();
    let select = reads("SELECT 1");
    let all = (0..1_100).map(|_| link.run(&select, &[]));
    let all = within(futures_util::future::join_all(all)).await;
    let kinds: Vec<_> = all.into_iter().map(|ran| ran.unwrap_err().kind()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == ErrorKind::Unavailable).count(), 76);
    assert_eq!(kinds.iter().filter(|kind| **kind == ErrorKind::Timeout).count(), 1_024);
}

#[tokio::test]
async fn who_waits_for_a_connection_for_too_long_is_told() {
    let link = open(&config("sqlite::memory:")).await;
    let _taken = link.pool.take(tokio::time::Instant::now() + SOON).await.unwrap();
    tokio::time::pause();
    let fault = within(link.run(&reads("SELECT 1"), &[])).await.unwrap_err();
    assert_eq!(fault.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn past_its_deadline_nothing_is_sent() {
    let link = open(&config("sqlite::memory:")).await;
    let add = counting(&link).await;
    let now = tokio::time::Instant::now();
    let fault = link.run_until(now, &add, &[Arg::Int(1)]).await.unwrap_err();
    let error = fault.into_error("sql", session_core::Operation::Save, true);
    assert!(error.kind() == ErrorKind::Timeout && !error.maybe_applied(), "{error:?}");
    assert_eq!(count(&link).await, 0);
    link.run_until(now + SOON, &add, &[Arg::Int(1)]).await.unwrap();
    assert_eq!(count(&link).await, 1);
}

#[tokio::test]
async fn a_lock_of_somebody_else_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = in_file(&directory);
    config.response_timeout = Duration::from_secs(1);
    let link = Arc::new(open(&config).await);
    let add = counting(&link).await;
    let other = open(&config).await;
    other.define("BEGIN IMMEDIATE").await.unwrap();
    let adding = tokio::spawn({
        let link = Arc::clone(&link);
        async move { link.run(&add, &[Arg::Int(1)]).await }
    });
    until_it_is_not(&link, "again: 0,").await;
    // Readers wait for nobody.
    assert_eq!(count(&link).await, 0);
    assert!(!adding.is_finished());
    other.define("COMMIT").await.unwrap();
    let answer = within(adding).await.unwrap().unwrap();
    assert_eq!((answer.affected, answer.resent), (1, false));
}

#[tokio::test]
async fn a_lock_that_stays_is_told_and_so_is_what_may_still_be_done() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = in_file(&directory);
    (config.response_timeout, config.timeout) =
        (Duration::from_secs(1), Duration::from_millis(1_200));
    let link = open(&config).await;
    let add = counting(&link).await;
    let other = open(&config).await;
    other.define("BEGIN IMMEDIATE").await.unwrap();
    let fault = within(link.run(&add, &[Arg::Int(1)])).await.unwrap_err();
    let error = fault.into_error("sql", session_core::Operation::Save, true);
    assert!(error.is_retryable() && error.source().is_some(), "{error:?}");
    other.define("COMMIT").await.unwrap();
    // It stands in line behind what this side gave up on.
    within(link.run(&add, &[Arg::Int(1)])).await.unwrap();
    let done = count(&link).await - 1;
    assert!(done == 0 || (done == 1 && error.maybe_applied()), "{done}: {error:?}");
}

#[tokio::test]
async fn a_write_whose_answer_cannot_be_read_may_have_been_done() {
    let mut link = open(&config("sqlite::memory:")).await;
    let add = counting(&link).await;
    let add = writes(&format!("{} RETURNING n", add.text));
    link.limits.reply = 0;
    let fault = link.run(&add, &[Arg::Int(1)]).await.unwrap_err();
    link.limits.reply = 1_000;
    assert_eq!(count(&link).await, 1);
    let error = fault.into_error("sql", session_core::Operation::Save, true);
    assert!(error.maybe_applied() && error.kind() == ErrorKind::Backend, "{error:?}");
}

#[tokio::test]
async fn a_database_in_memory_outlives_every_failure() {
    let mut config = config("sqlite::memory:");
    config.max_lifetime = Duration::from_millis(1);
    let mut link = open(&config).await;
    let add = counting(&link).await;
    link.run(&add, &[Arg::Int(1)]).await.unwrap();
    link.limits.reply = 0;
    let fault = link.run(&reads("SELECT 1"), &[]).await.unwrap_err();
    assert_eq!(fault.kind(), ErrorKind::Backend);
    link.limits.reply = 1_000;
    assert_eq!(count(&link).await, 1);
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_told_at_once() {
    let fault = within(Link::open(&config("sqlite:/nowhere/at/all/a.db"))).await.unwrap_err();
    assert_eq!(fault.kind(), ErrorKind::Config);
}

fn in_file(directory: &tempfile::TempDir) -> SqlConfig {
    config(&format!("sqlite:{}/a.db", directory.path().display()))
}
