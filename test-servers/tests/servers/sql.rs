//! MariaDB, MySQL, PostgreSQL.

mod clients;
pub(crate) mod pooler;

use std::time::{Duration, Instant};

use clients::{Connection, Session, client};
use libtest_mimic::Trial;
use test_servers::{
    Result, TestResult,
    sql::{Flavor, Options, Server},
    trial, until,
};
use tokio::{net::TcpStream, time::timeout};

use crate::{LIMIT, orphans};

const SOON: Duration = Duration::from_millis(200);

pub(crate) fn trials() -> Vec<Trial> {
    macro_rules! of_all {
        ($($test:ident)*) => {
            vec![$(
                of(Flavor::MariaDb, &["mariadb"], stringify!($test), $test),
                of(Flavor::MySql, &["mysql"], stringify!($test), $test),
                of(Flavor::Postgres, &["postgres"], stringify!($test), $test),
            )*]
        };
    }
    of_all![
        a_server_answers
        the_password_is_taken_without_tls
        what_is_committed_is_there_after_a_kill
        what_is_committed_is_there_after_an_orderly_restart
        a_paused_server_is_silent_until_it_goes_on
        a_database_is_new_and_the_applications_own
        tests_share_a_server_and_no_database
        arguments_reach_the_server
        tls_is_enforced
        a_read_only_server_refuses_the_application_until_it_is_not
        statements_are_counted_without_the_looks
        pings_and_prepared_statements_are_told_apart
        killed_clients_are_counted_and_cut
        a_start_that_fails_quotes_the_log
        nothing_outlives_the_handle
        nothing_outlives_the_handle_of_a_paused_server
    ]
}

fn of<F: Future<Output = TestResult> + 'static>(
    flavor: Flavor,
    words: &'static [&'static str],
    name: &str,
    test: fn(Flavor) -> F,
) -> Trial {
    let missing = Server::missing(&Options::new(flavor).tls());
    trial(format!("{}::{name}", flavor.name()), words, missing, move || test(flavor))
}

const TABLE: &str = "CREATE TABLE things (id INT PRIMARY KEY)";

async fn a_server_answers(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    assert!(server.query("SELECT version()").await?.contains(&flavor.version()?));
    server.execute(&format!("{TABLE}; INSERT INTO things VALUES (1), (2)")).await?;
    assert_eq!(server.query("SELECT id, id + 1 FROM things ORDER BY id").await?, "1\t2\n2\t3");
    let refused = server.execute("SELECT * FROM nothings").await.unwrap_err().to_string();
    assert!(refused.contains("nothings"), "{refused}");

    let (printed, fine) = client(&server, &[], "SELECT 40 + 2");
    assert!(fine && printed.lines().any(|line| line == "42"), "{printed}");
    let scheme = if flavor.is_mysql() { "mysql" } else { "postgres" };
    assert_eq!(server.url(), format!("{scheme}://app:secret@{}/app", server.address()));
    Ok(())
}

/// MySQL wants it encrypted, or to know the password already.
async fn the_password_is_taken_without_tls(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    let plain: &[&str] = match flavor {
        Flavor::MariaDb => &["--skip-ssl"],
        Flavor::MySql => &["--ssl-mode=DISABLED"],
        _ => &[],
    };
    for _start in 0..2 {
        let (printed, fine) = client(&server, plain, "SELECT 40 + 2");
        assert!(fine && printed.contains("42"), "{printed}");
        server.kill();
        server.restart().await?;
    }
    Ok(())
}

async fn what_is_committed_is_there_after_a_kill(flavor: Flavor) -> TestResult {
    for options in [Options::new(flavor), Options::new(flavor).durable()] {
        let server = Server::start(&options).await?;
        let port = server.port();
        server.execute(TABLE).await?;
        let (printed, fine) = client(&server, &[], "INSERT INTO things VALUES (7)");
        assert!(fine, "{printed}");
        server.kill();
        assert!(!server.is_up() && server.process_id().is_none());
        assert!(TcpStream::connect(server.address()).await.is_err());
        server.restart().await?;
        assert_eq!(server.query("SELECT id FROM things").await?, "7");
        assert_eq!((server.port(), server.is_up()), (port, true));
    }
    Ok(())
}

async fn what_is_committed_is_there_after_an_orderly_restart(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    server.execute(&format!("{TABLE}; INSERT INTO things VALUES (7)")).await?;
    let first = server.process_id();
    server.restart().await?;
    assert_ne!(server.process_id(), first);
    assert_eq!(server.query("SELECT id FROM things").await?, "7");
    server.stop().await?;
    assert!(!server.is_up() && server.stop().await.is_err());
    Ok(())
}

async fn a_paused_server_is_silent_until_it_goes_on(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    let mut slow = std::pin::pin!(server.query("SELECT 1"));
    server.pause()?;
    assert!(!server.is_up() && server.process_id().is_some());
    assert!(timeout(SOON, &mut slow).await.is_err(), "it answered");
    server.resume()?;
    assert_eq!(slow.await?, "1");
    assert!(server.is_up());

    // One that is at work stops as well, in a process of its own or not.
    for work in [2, 10, 50].map(|rounds| rounds * SOON) {
        if is_paused_at_work(&server, flavor, work).await? {
            return Ok(());
        }
    }
    Err("it was never paused in time".into())
}

/// Whether the pause came before the end of the work, and so before its answer.
async fn is_paused_at_work(server: &Server, flavor: Flavor, work: Duration) -> Result<bool> {
    let sleep = if flavor.is_mysql() { "SLEEP" } else { "pg_sleep" };
    let sql = format!("SELECT {sleep}({})", work.as_secs_f64());
    let (began, mut slow) = (Instant::now(), std::pin::pin!(server.query(&sql)));
    let early = timeout(SOON, &mut slow).await;
    server.pause()?;
    let in_time = early.is_err() && began.elapsed() < work;
    let answer = timeout(work + 2 * SOON, &mut slow).await;
    server.resume()?;
    assert!(!in_time || answer.is_err(), "it answered");
    if early.is_err() && answer.is_err() {
        slow.await?;
    }
    Ok(in_time)
}

async fn a_database_is_new_and_the_applications_own(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    let url = server.database("one_test").await?;
    assert_eq!(url, format!("{}/one_test", server.url().trim_end_matches("/app")));
    assert!(server.database("one_test").await.is_err(), "it was there");
    assert!(server.database("one test").await.is_err(), "it is not a name");
    let owns = if flavor.is_mysql() { "USE one_test; " } else { "" };
    let more = ["-d", &url];
    let more: &[&str] = if flavor.is_mysql() { &[] } else { &more };
    let (printed, fine) = client(&server, more, &format!("{owns}{TABLE}"));
    assert!(fine, "{printed}");
    assert_eq!(server.query_in("one_test", "SELECT count(*) FROM things").await?, "0");
    let (_, fine) = client(&server, &[], "SELECT count(*) FROM things");
    assert!(!fine, "it is in the first database");
    let (_, fine) = client(&server, &[], "CREATE DATABASE two");
    assert!(!fine, "the application makes databases");
    Ok(())
}

async fn tests_share_a_server_and_no_database(flavor: Flavor) -> TestResult {
    let (one, other) = tokio::try_join!(Server::shared(flavor), Server::shared(flavor))?;
    assert_eq!(one.process_id().unwrap(), other.process_id().unwrap());
    let (one, other) = tokio::try_join!(one.fresh_database(), other.fresh_database())?;
    assert_ne!(one, other);
    Ok(())
}

async fn arguments_reach_the_server(flavor: Flavor) -> TestResult {
    let options = Options::new(flavor);
    if flavor == Flavor::Postgres {
        let server = Server::start(&options.argument("timezone", "Asia/Kolkata")).await?;
        assert_eq!(server.query("SHOW timezone").await?, "Asia/Kolkata");
        return Ok(());
    }
    let options = options
        .argument("sql_mode", "")
        .argument("default-time-zone", "+05:30")
        .argument("max_allowed_packet", "65536")
        .argument("character-set-server", "latin1")
        .argument("collation-server", "latin1_swedish_ci");
    let server = Server::start(&options).await?;
    let sql = "SELECT @@GLOBAL.sql_mode, @@GLOBAL.time_zone, @@GLOBAL.max_allowed_packet, default_collation_name
        FROM information_schema.schemata WHERE schema_name = 'app'";
    assert_eq!(server.query(sql).await?, "\t+05:30\t65536\tlatin1_swedish_ci");
    Ok(())
}

async fn tls_is_enforced(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor).tls()).await?;
    let authority = server.certificates().unwrap().authority.to_str().unwrap();
    let authority = match flavor {
        Flavor::MariaDb => vec![format!("--ssl-ca={authority}"), "--ssl-verify-server-cert".into()],
        Flavor::MySql => {
            vec![format!("--ssl-ca={authority}"), "--ssl-mode=VERIFY_IDENTITY".into()]
        }
        _ => {
            let url = format!("{}?sslmode=verify-full&sslrootcert={authority}", server.url());
            vec!["-d".to_owned(), url]
        }
    };
    let authority: Vec<&str> = authority.iter().map(String::as_str).collect();
    let (printed, fine) = client(&server, &authority, "SELECT 40 + 2");
    assert!(fine && printed.lines().any(|line| line == "42"), "{printed}");

    let url = format!("{}?sslmode=disable", server.url());
    let plain = match flavor {
        Flavor::MariaDb => vec!["--skip-ssl"],
        Flavor::MySql => vec!["--ssl-mode=DISABLED"],
        _ => vec!["-d", &url],
    };
    let (printed, fine) = client(&server, &plain, "SELECT 40 + 2");
    assert!(!fine, "{printed}");
    Ok(())
}

async fn a_read_only_server_refuses_the_application_until_it_is_not(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    server.execute(TABLE).await?;
    let insert = "INSERT INTO things VALUES (1)";
    let mut session = Session::open(&server)?;
    assert!(session.say("SELECT 40 + 2").await?.ends_with("42"));
    server.set_read_only(true).await?;
    let (printed, fine) = client(&server, &[], insert);
    assert!(!fine && printed.contains("read"), "{printed}");
    let printed = session.say(insert).await?;
    assert!(printed.contains("ERROR") && printed.contains("read"), "{printed}");
    assert_eq!(session.say("SELECT count(*) FROM things").await?, "0");
    server.set_read_only(false).await?;
    assert_eq!(session.say(insert).await?, "");
    let (printed, fine) = client(&server, &[], "DELETE FROM things");
    assert!(fine, "{printed}");
    Ok(())
}

async fn statements_are_counted_without_the_looks(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    server.execute(TABLE).await?;
    let before = server.statements().await?;
    let nothing = server.statements().await?.since(&before);
    assert_eq!((nothing.all_calls().len(), nothing.total()), (0, 0), "{nothing:?}");

    let before = server.statements().await?;
    let sql = "CREATE TABLE others (id INT); BEGIN; INSERT INTO others VALUES (1);
        UPDATE others SET id = 2; DELETE FROM others; COMMIT; SELECT 1";
    let (printed, fine) = client(&server, &[], sql);
    assert!(fine, "{printed}");
    let statements = server.statements().await?.since(&before);
    let kinds = ["begin", "insert", "update", "delete", "commit"];
    assert_eq!(kinds.map(|kind| statements.calls(kind)), [1; 5], "{statements:?}");
    assert!(statements.total() >= 7, "{statements:?}");
    Ok(())
}

async fn pings_and_prepared_statements_are_told_apart(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    if flavor.is_mysql() {
        server.execute("CREATE USER bare").await?;
    }
    let before = server.statements().await?;
    if !flavor.is_mysql() {
        let sql = "/* ping */; PREPARE one AS SELECT 1; EXECUTE one; EXECUTE one";
        let (printed, fine) = client(&server, &[], sql);
        assert!(fine, "{printed}");
        let statements = server.statements().await?.since(&before);
        let kinds = ["", "prepare", "execute"].map(|kind| statements.calls(kind));
        assert_eq!((kinds, statements.total()), ([1, 1, 2], 4), "{statements:?}");
        return Ok(());
    }
    let mut raw = Connection::open(&server).await?;
    raw.command(b"\x0e").await?;
    raw.command(b"\x16SELECT 1").await?;
    let statement = [0x17, 1, 0, 0, 0, 0, 1, 0, 0, 0];
    raw.command(&statement).await?;
    raw.command(&statement).await?;
    raw.close().await?;
    let statements = server.statements().await?.since(&before);
    let kinds = ["admin_commands", "stmt_prepare", "stmt_execute", "select"];
    assert_eq!(kinds.map(|kind| statements.calls(kind)), [1, 1, 2, 2], "{statements:?}");
    assert_eq!(statements.total(), 2, "{statements:?}");
    Ok(())
}

async fn killed_clients_are_counted_and_cut(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    assert_eq!(server.kill_clients().await?, 0);
    let sleep = if flavor.is_mysql() { "SELECT SLEEP(100)" } else { "SELECT pg_sleep(100)" };
    let cut = tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| client(&server, &[], sleep));
            let killed =
                tokio::runtime::Handle::current().block_on(until("client", LIMIT, || async {
                    Ok(Some(server.kill_clients().await?).filter(|killed| *killed > 0))
                }));
            (sleeper.join().unwrap(), killed)
        })
    });
    let ((printed, fine), killed) = cut;
    assert_eq!(killed?, 1);
    assert!(!fine, "{printed}");
    Ok(())
}

async fn a_start_that_fails_quotes_the_log(flavor: Flavor) -> TestResult {
    let options = Options::new(flavor).argument("no-such-setting", "1");
    let error = Server::start(&options).await.unwrap_err().to_string();
    assert!(error.starts_with("the server ended at its start"), "{error}");
    assert!(error.contains("no-such-setting") || error.contains("no_such_setting"), "{error}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port().to_string();
    let error = Server::start(&Options::new(flavor).argument("port", &port)).await.unwrap_err();
    assert!(error.to_string().contains("Address already in use"), "{error}");
    Ok(())
}

async fn nothing_outlives_the_handle(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    assert_nothing_outlives(server).await
}

async fn nothing_outlives_the_handle_of_a_paused_server(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    server.pause()?;
    assert_nothing_outlives(server).await
}

async fn assert_nothing_outlives(server: Server) -> TestResult {
    let directory = server.directory().to_owned();
    let processes = || orphans::mention(&directory);
    assert!(!processes().is_empty() && directory.exists());
    let segment = orphans::segment(&directory);
    drop(server);
    let gone = async || Ok(processes().is_empty().then_some(()));
    until("end of its processes", LIMIT, gone).await?;
    assert!(!directory.exists());
    assert!(!segment.is_some_and(|segment| orphans::has_segment(&segment)));
    Ok(())
}
