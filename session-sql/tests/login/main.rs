//! What a URL says about the way to a server: encryption, sockets, users.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{process::ExitCode, time::Duration};

use libtest_mimic::{Arguments, Trial};
use session_core::{Error, ErrorKind, SessionStore};
use session_sql::SqlStore;
use test_servers::{
    TestResult,
    sql::{Flavor, Options, Server},
    trial,
};
use tokio::time::timeout;

/// What is wrong for good is not tried until the time is over.
const AT_ONCE: &str = "session.timeout=60s";
const LIMIT: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let flavors = [Flavor::MariaDb, Flavor::MySql, Flavor::Postgres];
    let trials = flavors.into_iter().flat_map(trials_on).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials_on(flavor: Flavor) -> Vec<Trial> {
    let words = words(flavor);
    let missing = || missing(flavor);
    let name = |test: &str| format!("{}::{test}", words.last().copied().unwrap_or_default());
    let mut trials = vec![
        trial(name("a_server_is_known_by_its_authority"), words, missing(), move || {
            a_server_is_known_by_its_authority(flavor)
        }),
        trial(
            name("who_may_not_log_in_is_told_without_his_password"),
            words,
            missing(),
            move || who_may_not_log_in_is_told_without_his_password(flavor),
        ),
        trial(name("a_socket_leads_to_the_server"), words, missing(), move || {
            a_socket_leads_to_the_server(flavor)
        }),
    ];
    // MySQL offers TLS by itself.
    if flavor != Flavor::MySql {
        trials.push(trial(
            name("a_server_that_does_not_encrypt_is_refused"),
            words,
            missing(),
            move || a_server_that_does_not_encrypt_is_refused(flavor),
        ));
    }
    trials
}

fn words(flavor: Flavor) -> &'static [&'static str] {
    match flavor {
        Flavor::MariaDb => &["sql", "mariadb"],
        Flavor::MySql => &["sql", "mysql"],
        _ => &["sql", "postgres"],
    }
}

fn missing(flavor: Flavor) -> Option<String> {
    let [mysql, postgres] = [cfg!(feature = "mysql"), cfg!(feature = "postgres")];
    if !(if flavor == Flavor::Postgres { postgres } else { mysql }) {
        return Some("not compiled in".to_owned());
    }
    Server::missing(&Options::new(flavor))
}

/// A mode of encryption in the words of the database.
fn mode(flavor: Flavor, mysql: &str, postgres: &str) -> String {
    match flavor {
        Flavor::Postgres => format!("sslmode={postgres}"),
        _ => format!("ssl-mode={mysql}"),
    }
}

async fn works(url: &str) -> TestResult {
    let store = SqlStore::open(url).await?;
    store.migrate().await?;
    Ok(store.ping().await?)
}

/// The error of a URL that leads nowhere, which says nothing that is secret.
async fn refused(url: &str) -> Result<Error, Box<dyn std::error::Error>> {
    let opened = timeout(LIMIT, SqlStore::open(url)).await?;
    let error = opened.err().ok_or("it was not refused")?;
    let texts = format!("{error} {error:?}");
    assert!(!texts.contains("secret"), "{texts}");
    assert_eq!(error.kind(), ErrorKind::Config, "{texts}");
    Ok(error)
}

async fn a_server_is_known_by_its_authority(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor).tls()).await?;
    let authority = server.certificates().unwrap().authority.display();
    let url = |mode: &str| format!("{}?{AT_ONCE}&{mode}", server.url());
    let full = mode(flavor, "VERIFY_IDENTITY", "verify-full");
    works(&url(&format!("{full}&ssl-ca={authority}"))).await?;
    works(&url(&mode(flavor, "REQUIRED", "require"))).await?;
    // The system does not know it.
    refused(&url(&full)).await?;
    refused(&url(&mode(flavor, "VERIFY_CA", "verify-ca"))).await?;
    // It is of other names.
    let other = url(&format!("{full}&ssl-ca={authority}")).replace("127.0.0.1", "127.1");
    refused(&other).await?;
    Ok(())
}

async fn a_server_that_does_not_encrypt_is_refused(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    let url = format!("{}?{AT_ONCE}", server.url());
    works(&url).await?;
    refused(&format!("{url}&{}", mode(flavor, "REQUIRED", "require"))).await?;
    Ok(())
}

async fn who_may_not_log_in_is_told_without_his_password(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    let url = format!("{}?{AT_ONCE}", server.url());
    works(&url).await?;
    for wrong in [
        url.replace(":secret@", ":secret2@"),
        url.replace("//app:", "//nobody:"),
        url.replace("/app?", "/no_such_database?"),
    ] {
        assert_ne!(wrong, url);
        refused(&wrong).await?;
    }
    Ok(())
}

async fn a_socket_leads_to_the_server(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    let directory = server.directory().display();
    let url = if flavor == Flavor::Postgres {
        format!("postgres://app:secret@/app?host={directory}&port={}", server.port())
    } else {
        format!("mysql://app:secret@/app?socket={directory}/socket")
    };
    works(&format!("{url}&{AT_ONCE}")).await
}
