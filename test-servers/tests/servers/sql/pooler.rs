//! PgBouncer.

use std::process::Command;

use libtest_mimic::Trial;
use test_servers::{
    TestResult,
    sql::{Flavor, Options, PgBouncer, PgBouncerOptions, Server},
    trial, until,
};
use tokio::net::TcpStream;

use crate::{LIMIT, orphans};

pub(crate) fn trials() -> Vec<Trial> {
    macro_rules! trials {
        ($($test:ident)*) => {
            vec![$(trial(
                concat!("pgbouncer::", stringify!($test)),
                &["postgres", "pgbouncer"],
                PgBouncer::missing(),
                $test,
            ),)*]
        };
    }
    trials![
        it_leads_to_every_database_of_the_server
        settings_reach_it
        a_restart_ends_its_connections
        a_start_that_fails_quotes_the_log
        nothing_outlives_the_handle
    ]
}

async fn server() -> test_servers::Result<Server> {
    Server::start(&Options::postgres()).await
}

/// What the application is told there.
fn ask(url: &str, sql: &str) -> (String, bool) {
    let program = Flavor::Postgres.client().unwrap();
    let output = Command::new(program).args(["-X", "-A", "-t", "-d", url, "-c", sql]).output();
    let output = output.unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&printed).trim().to_owned(), output.status.success())
}

async fn it_leads_to_every_database_of_the_server() -> TestResult {
    let server = server().await?;
    let bouncer = PgBouncer::start(&server, &PgBouncerOptions::session()).await?;
    let other = server.database("one_test").await?;
    assert_eq!(
        bouncer.url(&server.url()),
        format!("postgres://app:secret@{}/app", bouncer.address())
    );
    for (url, name) in [(server.url(), "app"), (other, "one_test")] {
        assert_eq!(ask(&bouncer.url(&url), "SELECT current_database()"), (name.to_owned(), true));
    }
    let wrong = bouncer.url(&server.url()).replace("secret", "wrong");
    assert!(!ask(&wrong, "SELECT 1").1);
    Ok(())
}

async fn settings_reach_it() -> TestResult {
    let server = server().await?;
    let options = PgBouncerOptions::transaction()
        .max_prepared_statements(7)
        .ignore_startup_parameters("options")
        .pool_size(2)
        .setting("max_client_conn", "50");
    let bouncer = PgBouncer::start(&server, &options).await?;
    let settings = bouncer.console("SHOW CONFIG").await?;
    for (name, value) in [
        ("pool_mode", "transaction"),
        ("max_prepared_statements", "7"),
        ("ignore_startup_parameters", "options"),
        ("default_pool_size", "2"),
        ("max_client_conn", "50"),
    ] {
        assert!(settings.contains(&format!("\n{name}\t{value}\t")), "{name}: {settings}");
    }
    assert!(bouncer.console("SHOW NOTHINGS").await.is_err());
    Ok(())
}

async fn a_restart_ends_its_connections() -> TestResult {
    let server = server().await?;
    let bouncer = PgBouncer::start(&server, &PgBouncerOptions::transaction()).await?;
    let url = bouncer.url(&server.url());
    let backend = "SELECT pg_backend_pid()";
    let (first, _) = ask(&url, backend);
    assert_eq!(ask(&url, backend), (first.clone(), true), "the pool keeps it");
    bouncer.restart().await?;
    let (second, fine) = ask(&url, backend);
    assert!(fine && second != first, "{second}");
    bouncer.stop().await?;
    assert!(TcpStream::connect(bouncer.address()).await.is_err());
    let gone = || async {
        let clients = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'";
        Ok((server.query(clients).await? == "0").then_some(()))
    };
    until("end of its connections", LIMIT, gone).await?;
    Ok(())
}

async fn a_start_that_fails_quotes_the_log() -> TestResult {
    let options = PgBouncerOptions::session().setting("no_such_setting", "1");
    let error = PgBouncer::start(&server().await?, &options).await.unwrap_err().to_string();
    assert!(error.starts_with("the pooler ended at its start"), "{error}");
    assert!(error.contains("no_such_setting"), "{error}");
    Ok(())
}

async fn nothing_outlives_the_handle() -> TestResult {
    let server = server().await?;
    let bouncer = PgBouncer::start(&server, &PgBouncerOptions::session()).await?;
    let directory = bouncer.directory().to_owned();
    assert!(!orphans::mention(&directory).is_empty() && directory.exists());
    drop(bouncer);
    let gone = async || Ok(orphans::mention(&directory).is_empty().then_some(()));
    until("end of its processes", LIMIT, gone).await?;
    assert!(!directory.exists());
    Ok(())
}
