//! What holds on each server.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicU32, Ordering},
    time::Instant,
};

use test_servers::{
    proxy::Proxy,
    reason_to_ignore,
    sql::{Flavor, Options, Server as Started},
};

use tokio::sync::OnceCell;

use super::*;

/// Defines a test for each flavor that is compiled in: with a server of its `own`, which it breaks, or
/// with a database on one that it shares. MySQL is not to be had everywhere.
macro_rules! on_each {
    ($($whose:ident $name:ident($started:ident, $url:ident) $body:block)*) => { $(
        mod $name {
            use super::*;

            async fn run($started: &Started, $url: &str) {
                // Not each looks at both.
                let _ = ($started, $url);
                $body
            }

            #[cfg(feature = "mysql")]
            #[tokio::test]
            async fn mariadb() {
                let (started, url) = $whose(Flavor::MariaDb).await;
                run(&started, &url).await;
            }

            #[cfg(feature = "mysql")]
            #[tokio::test]
            async fn mysql() {
                let ignored = reason_to_ignore(&["mysql"], Flavor::MySql.missing()).unwrap();
                if let Some(reason) = ignored {
                    return eprintln!("not run: {reason}");
                }
                let (started, url) = $whose(Flavor::MySql).await;
                run(&started, &url).await;
            }

            #[cfg(feature = "postgres")]
            #[tokio::test]
            async fn postgres() {
                let (started, url) = $whose(Flavor::Postgres).await;
                run(&started, &url).await;
            }
        }
    )* };
}

mod outages;

async fn own(flavor: Flavor) -> (Started, String) {
    let started = Started::start(&Options::new(flavor)).await.unwrap();
    let url = started.url();
    (started, url)
}

async fn shared(flavor: Flavor) -> (&'static Started, String) {
    static STARTED: [OnceCell<Started>; 3] = [const { OnceCell::const_new() }; 3];
    static DATABASES: AtomicU32 = AtomicU32::new(0);
    let place = Flavor::ALL.iter().position(|other| *other == flavor).unwrap();
    let start = async || Started::start(&Options::new(flavor)).await.unwrap();
    let started = STARTED[place].get_or_init(start).await;
    let name = format!("link_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    (started, started.database(&name).await.unwrap())
}

on_each! {
    shared statements_mean_the_same(started, url) {
        statements::mean_the_same(&open(&config(url)).await).await;
    }

    own a_statement_is_one_round_trip(started, url) {
        let link = open(&one_connection(url)).await;
        let add = counting(&link).await;
        let select = reads("SELECT n FROM counts WHERE k = 1");
        link.run(&add, &[Arg::Int(1)]).await.unwrap();
        link.run(&select, &[]).await.unwrap();
        let before = started.statements().await.unwrap();
        for _ in 0..50 {
            link.run(&add, &[Arg::Int(1)]).await.unwrap();
            link.run(&select, &[]).await.unwrap();
        }
        let since = started.statements().await.unwrap().since(&before);
        assert_eq!(since.total(), 100, "{since:?}");
        assert_eq!((since.calls("update"), since.calls("select")), (50, 50), "{since:?}");
        if started.flavor().is_mysql() {
            let prepared = (since.calls("stmt_prepare"), since.calls("stmt_execute"));
            assert_eq!(prepared, (0, 100), "{since:?}");
            assert_eq!(since.calls("admin_commands"), 0, "a ping: {since:?}");
        }
    }

    own a_connection_is_set_up_by_one_text_at_most(started, url) {
        let link = open(&one_connection(url)).await;
        let before = started.statements().await.unwrap();
        started.kill_clients().await.unwrap();
        link.run(&reads("SELECT 1"), &[]).await.unwrap();
        let since = started.statements().await.unwrap().since(&before);
        if started.flavor().is_mysql() {
            assert_eq!((since.calls("set_option"), since.calls("stmt_prepare")), (2, 1), "{since:?}");
        } else {
            // Whether it is alone with its session, and the statement.
            assert_eq!((since.calls("select"), since.total()), (2, 2), "{since:?}");
        }
    }

    shared the_session_is_set_up_whatever_the_server_says(started, url) {
        let link = open(&one_connection(url)).await;
        let ask = |what: &'static str| {
            let link = &link;
            async move {
                match only(&link.run(&reads(what), &[]).await.unwrap()) {
                    Value::Bytes(text) => String::from_utf8(text.clone()).unwrap(),
                    other => panic!("{other:?}"),
                }
            }
        };
        match link.server().engine {
            Engine::Postgres => {
                assert_eq!(ask("SELECT current_setting('statement_timeout')").await, "1800ms");
                assert_eq!(ask("SELECT current_setting('lock_timeout')").await, "1800ms");
                assert_eq!(ask("SELECT current_setting('transaction_isolation')").await, "read committed");
                assert_eq!(ask("SELECT current_setting('application_name')").await, "session-sql");
                assert_eq!(ask("SELECT current_setting('TimeZone')").await, "UTC");
            }
            engine => {
                let isolation = if engine == Engine::MariaDb { "SELECT @@tx_isolation" } else { "SELECT @@transaction_isolation" };
                assert_eq!(ask(isolation).await, "READ-COMMITTED");
                assert_eq!(ask("SELECT @@sql_mode").await, "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION");
                assert_eq!(ask("SELECT @@time_zone").await, "+00:00");
                let limit = if engine == Engine::MariaDb { "SELECT CAST(@@max_statement_time AS CHAR)" } else { "SELECT CAST(@@max_execution_time AS CHAR)" };
                assert!(["1.800000", "1800"].contains(&ask(limit).await.as_str()));
                assert_eq!(ask("SELECT CAST(@@innodb_lock_wait_timeout AS CHAR)").await, "1");
            }
        }
    }

    shared the_answer_of_a_cancelled_statement_reaches_nobody(started, url) {
        let mut config = one_connection(url);
        (config.response_timeout, config.timeout) = (SOON, SOON * 2);
        let link = open(&config).await;
        let slow = reads(sleep(&link));
        let began = Instant::now();
        assert!(tokio::time::timeout(Duration::from_millis(100), link.run(&slow, &[Arg::Int(60)])).await.is_err());
        let echo = reads(echo(&link));
        for n in 0..20 {
            let answer = within(link.run(&echo, &[Arg::Int(n)])).await.unwrap();
            assert_eq!((only(&answer), answer.resent), (&Value::Int(n), false));
        }
        assert!(began.elapsed() < SOON / 2, "it waited for what nobody wants");
    }

    shared callers_that_go_away_at_any_moment_disturb_no_other(started, url) {
        let mut config = config(url);
        config.max_connections = 3;
        let link = Arc::new(open(&config).await);
        let callers = (0..30).map(|caller| {
            let link = Arc::clone(&link);
            tokio::spawn(async move {
                let echo = reads(echo(&link));
                for n in 0..20 {
                    let n = caller * 1_000 + n;
                    let patience = Duration::from_micros(fastrand::u64(0..2_000));
                    if caller % 2 == 0 {
                        let _gone = tokio::time::timeout(patience, link.run(&echo, &[Arg::Int(n)])).await;
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
    }

    shared many_callers_share_one_connection(started, url) {
        let link = Arc::new(open(&one_connection(url)).await);
        many_callers(&link).await;
    }

    own what_is_wrong_with_the_login_is_told_at_once(started, url) {
        let open = |url: String| async move {
            let fault = within(Link::open(&config(&url))).await.unwrap_err();
            let error = fault.into_error("sql", session_core::Operation::Open, false);
            assert!(!format!("{error} {error:?}").contains("wrong-secret"), "{error:?}");
            error.kind()
        };
        let began = Instant::now();
        assert_eq!(open(url.replace(":secret@", ":wrong-secret@")).await, ErrorKind::Config);
        assert_eq!(open(url.replace("/app", "/nowhere").replacen("/nowhere:", "/app:", 1)).await, ErrorKind::Config);
        let tls = if started.flavor().is_mysql() { "?ssl-mode=REQUIRED" } else { "?sslmode=require" };
        if started.flavor() != Flavor::MySql {
            assert_eq!(open(format!("{url}{tls}")).await, ErrorKind::Config);
        }
        assert!(began.elapsed() < SOON / 3);
        let port = format!(":{}/", started.port());
        assert_eq!(open(url.replace(&port, ":1/")).await, ErrorKind::Unavailable);
    }

    shared connections_are_replaced_and_those_that_are_not_needed_closed(started, url) {
        let mut config = config(url);
        (config.max_connections, config.max_lifetime) = (4, Duration::from_millis(1));
        let mut link = open(&config).await;
        let mut seen = HashSet::new();
        for _ in 0..5 {
            seen.insert(connection(&link).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(seen.len(), 5);
        config.max_lifetime = SOON;
        link = open(&config).await;
        let deadline = tokio::time::Instant::now() + SOON;
        let at_once = futures_util::future::join_all((0..4).map(|_| link.pool.take(deadline))).await;
        for lease in at_once {
            lease.unwrap().keep();
        }
        assert!(format!("{:?}", link.pool).contains("idle: 4"), "{:?}", link.pool);
        link.pool.rests.surplus = Duration::ZERO;
        // Each call closes one.
        for _ in 0..3 {
            connection(&link).await;
        }
        assert!(format!("{link:?} {:?}", link.pool).contains("idle: 1"), "{:?}", link.pool);
    }

    shared statements_survive_a_change_of_their_table(started, url) {
        let link = open(&config(url)).await;
        counting(&link).await;
        let all = reads("SELECT * FROM counts");
        let on_each = || futures_util::future::join_all((0..4).map(|_| link.run(&all, &[])));
        on_each().await;
        link.define("ALTER TABLE counts ADD COLUMN m BIGINT NULL").await.unwrap();
        for answer in within(on_each()).await {
            assert_eq!(answer.unwrap().rows[0].len(), 3);
        }
    }

    shared two_may_define_the_same_at_once(started, url) {
        let links = (0..4).map(|_| { let url = started.url(); async move { open(&config(&url)).await } });
        let links = futures_util::future::join_all(links).await;
        let table = "CREATE TABLE IF NOT EXISTS same (k BIGINT NOT NULL PRIMARY KEY);";
        let all = links.iter().map(|link| link.define(table));
        for defined in futures_util::future::join_all(all).await {
            defined.unwrap();
        }
    }
}

/// The store looks at the limit first; it may have been lowered since.
#[cfg(feature = "mysql")]
#[tokio::test]
async fn what_is_larger_than_the_server_takes_is_told() {
    let options = Options::mariadb().argument("max_allowed_packet", "1M");
    let started = Started::start(&options).await.unwrap();
    let link = open(&config(&started.url())).await;
    assert_eq!(link.server().max_packet, Some(1 << 20));
    let large = vec![7; 2 << 20];
    let length = reads("SELECT LENGTH(?)");
    let fault = within(link.run(&length, &[Arg::Bytes(&large)])).await.unwrap_err();
    assert_eq!(fault.kind(), ErrorKind::TooLarge, "{fault:?}");
    let answer = within(link.run(&length, &[Arg::Bytes(b"small")])).await.unwrap();
    assert!(!answer.resent, "the server had closed the connection");
}

/// It has the same code as a statement whose table has changed.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn what_the_server_cannot_do_is_told_at_once() {
    let (started, url) = shared(Flavor::Postgres).await;
    let proxy = Proxy::start(&started.address()).await.unwrap();
    let link = open(&config(&through(&proxy, started, &url))).await;
    counting(&link).await;
    let before = proxy.accepted();
    let cannot = reads("SELECT MAX(n) FROM counts FOR UPDATE");
    let fault = within(link.run(&cannot, &[])).await.unwrap_err();
    assert_eq!((fault.kind(), proxy.accepted() - before), (ErrorKind::Backend, 1), "{fault:?}");
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_schema_may_take_longer_than_a_statement() {
    let (_, url) = shared(Flavor::Postgres).await;
    let mut config = one_connection(&url);
    config.response_timeout = Duration::from_secs(1);
    let mut link = open(&config).await;
    link.limits.call = Duration::from_millis(1_500);
    within(link.define("SELECT pg_sleep(2)")).await.unwrap();
    link.limits.call = SOON;
    let limit = link.run(&reads("SELECT current_setting('statement_timeout')"), &[]).await;
    assert_eq!(only(&limit.unwrap()), &Value::Bytes(b"900ms".to_vec()));
}

/// What a statement reads after a wait is then the time before.
#[cfg(feature = "mysql")]
#[tokio::test]
async fn a_server_whose_time_stands_still_is_known() {
    // MySQL is not to be had everywhere.
    let mysql = Some(Flavor::MySql).filter(|flavor| flavor.missing().is_none());
    for flavor in [Flavor::MariaDb].into_iter().chain(mysql) {
        let options = Options::new(flavor).argument("sysdate-is-now", "1");
        let started = Started::start(&options).await.unwrap();
        let link = open(&config(&started.url())).await;
        assert!(link.server().time_stands, "{link:?}");
        let (_, url) = shared(flavor).await;
        assert!(!open(&config(&url)).await.server().time_stands);
    }
}

fn one_connection(url: &str) -> SqlConfig {
    let mut config = config(url);
    config.max_connections = 1;
    config
}

fn through(proxy: &Proxy, started: &Started, url: &str) -> String {
    url.replace(&started.address(), &proxy.address())
}

fn sleep(link: &Link) -> &'static str {
    if link.server().engine == Engine::Postgres {
        "SELECT 1 FROM pg_sleep($1::bigint)"
    } else {
        "SELECT SLEEP(?)"
    }
}

/// Which connection is used.
async fn connection(link: &Link) -> i64 {
    let id = reads(match link.server().engine {
        Engine::Postgres => "SELECT pg_backend_pid()",
        _ => "SELECT CAST(CONNECTION_ID() AS SIGNED)",
    });
    match only(&within(link.run(&id, &[])).await.unwrap()) {
        Value::Int(id) => *id,
        other => panic!("{other:?}"),
    }
}

fn echo(link: &Link) -> &'static str {
    if link.server().engine == Engine::Postgres {
        "SELECT $1::bigint"
    } else {
        "SELECT CAST(? AS SIGNED)"
    }
}
