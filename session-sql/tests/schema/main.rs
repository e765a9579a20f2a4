//! The tables on real servers: making them, and naming what is wrong with them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod defects;
mod place;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Trial};
use session_core::{ErrorKind, KeyHasher, LockRequest, OpToken, SessionId, SessionStore, Write};
use session_sql::{Engine, SqlStore};
use test_servers::{TestResult, trial};
use tokio::{runtime::Runtime, sync::Barrier, task::JoinSet};

use crate::place::{Place, Servers};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let Ok(runtime) = Runtime::new() else { return ExitCode::FAILURE };
    let servers = Arc::new(runtime.block_on(Servers::start()));
    let mut trials = Vec::new();
    for engine in [Engine::MariaDb, Engine::MySql, Engine::Postgres, Engine::Sqlite] {
        trials.extend(trials_on(engine, &servers));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(servers);
    conclusion.exit_code()
}

fn trials_on(engine: Engine, servers: &Arc<Servers>) -> Vec<Trial> {
    macro_rules! trials {
        ($($test:path),* $(,)?) => {
            vec![$({
                let servers = Arc::clone(servers);
                let test = stringify!($test).rsplit("::").next().unwrap_or_default().trim();
                let name = format!("{}::{test}", engine.name());
                trial(name, words(engine), place::missing(engine), move || async move {
                    $test(engine, &servers).await
                })
            }),*]
        };
    }
    let mut trials = trials![
        migrate_makes_the_tables_and_leaves_them_alone_then,
        migrate_of_many_at_once_makes_one_set_of_tables,
        migrate_refuses_a_table_that_it_cannot_mend,
        other_names_of_the_table_do_not_meet,
        defects::check_names_each_defect,
        defects::check_takes_what_does_no_harm,
    ];
    if engine != Engine::Sqlite {
        trials.extend(trials![
            a_user_who_may_create_tables_makes_them,
            a_user_who_may_not_create_tables_uses_them,
        ]);
    }
    if engine == Engine::Postgres {
        trials.extend(trials![a_schema_has_tables_of_its_own]);
    }
    trials
}

fn words(engine: Engine) -> &'static [&'static str] {
    match engine {
        Engine::MySql => &["sql", "mysql"],
        Engine::MariaDb => &["sql", "mariadb"],
        Engine::Postgres => &["sql", "postgres"],
        _ => &["sql", "sqlite"],
    }
}

/// What is wrong, in words.
async fn problems(store: &SqlStore) -> Result<Vec<String>, session_core::Error> {
    Ok(store.check().await?.iter().map(ToString::to_string).collect())
}

fn missing(table: &str) -> String {
    format!("table `{table}` is missing, or the user has no right to it")
}

/// Everything that the store can do, with a session.
async fn use_it(store: &SqlStore) -> session_core::Result<()> {
    let key = KeyHasher::plain().key(&SessionId::generate()?);
    let write = || Write::new("payload", std::time::Duration::from_secs(60));
    store.create(&key, write(), OpToken::generate()?, None).await?;
    let second = std::time::Duration::from_secs(1);
    let locked = store.lock(&key, LockRequest::new(OpToken::generate()?, second, second)).await?;
    store.release(&key, &locked.lease.unwrap()).await?;
    let record = store.load(&key, session_core::ReadOptions::latest()).await?.unwrap();
    let expected = session_core::Expected::Revision(record.revision);
    store.save(&key, write(), expected, OpToken::generate()?).await?;
    store.delete(&key, session_core::Expected::Any, OpToken::generate()?).await?;
    store.sweep(None, session_core::SweepBudget::default()).await?;
    let principals = store.principal_index().unwrap();
    let principal = session_core::PrincipalDigest::from_bytes([1; 32]);
    principals.bump_epoch(&principal).await?;
    principals.revoke(&principal, None).await?;
    store.ping().await
}

async fn migrate_makes_the_tables_and_leaves_them_alone_then(
    engine: Engine,
    servers: &Servers,
) -> TestResult {
    let place = Place::new(engine, servers, "migrate").await?;
    let store = place.open().await?;
    assert_eq!(problems(&store).await?, [missing("sessions"), missing("sessions_epochs")]);
    let error = use_it(&store).await.unwrap_err();
    assert!(error.to_string().contains("migrate()"), "{error}");
    store.migrate().await?;
    assert_eq!(problems(&store).await?, [""; 0]);
    let key = KeyHasher::plain().key(&SessionId::generate()?);
    let write = Write::new("payload", std::time::Duration::from_secs(60));
    store.create(&key, write, OpToken::generate()?, None).await?;
    store.migrate().await?;
    place.open().await?.migrate().await?;
    assert!(store.load(&key, session_core::ReadOptions::latest()).await?.is_some());
    Ok(use_it(&store).await?)
}

/// Ten instances of a service that start at once, where there is nothing yet.
async fn migrate_of_many_at_once_makes_one_set_of_tables(
    engine: Engine,
    servers: &Servers,
) -> TestResult {
    // On a busy machine ten take their time to connect.
    let patient = "session.connect_timeout=30s&session.response_timeout=30s&session.timeout=60s";
    for round in 0..5 {
        let place = Place::new(engine, servers, &format!("many_{round}")).await?;
        let at_once = Arc::new(Barrier::new(10));
        let mut instances = JoinSet::new();
        for _ in 0..10 {
            let (url, at_once) = (place.url_with(patient), Arc::clone(&at_once));
            instances.spawn(async move {
                at_once.wait().await;
                let opened = SqlStore::open(&url).await;
                at_once.wait().await;
                let store = opened?;
                store.migrate().await?;
                use_it(&store).await
            });
        }
        for result in instances.join_all().await {
            result?;
        }
    }
    Ok(())
}

async fn migrate_refuses_a_table_that_it_cannot_mend(
    engine: Engine,
    servers: &Servers,
) -> TestResult {
    let place = Place::new(engine, servers, "no_mending").await?;
    place.execute("CREATE TABLE sessions (id INTEGER NOT NULL PRIMARY KEY)").await?;
    let error = place.open().await?.migrate().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(text.contains("column `digest` of `sessions` is missing"), "{text}");
    Ok(())
}

async fn other_names_of_the_table_do_not_meet(engine: Engine, servers: &Servers) -> TestResult {
    let place = Place::new(engine, servers, "names").await?;
    place.open().await?.migrate().await?;
    let longest = "Web_".repeat(12);
    for table in ["web", "Web2", &longest] {
        let url = place.url_with(&format!("session.table={table}"));
        let store = SqlStore::open(&url).await?;
        assert_eq!(problems(&store).await?.len(), 2, "{table}");
        store.migrate().await?;
        assert_eq!(problems(&store).await?, [""; 0], "{table}");
        use_it(&store).await?;
    }
    Ok(())
}

async fn a_schema_has_tables_of_its_own(engine: Engine, servers: &Servers) -> TestResult {
    let place = Place::new(engine, servers, "schemas").await?;
    place.open().await?.migrate().await?;
    place.execute("CREATE SCHEMA app; GRANT ALL ON SCHEMA app TO PUBLIC").await?;
    let store = SqlStore::open(&place.url_with("session.table=app.sessions")).await?;
    assert_eq!(problems(&store).await?, [missing("app.sessions"), missing("app.sessions_epochs")]);
    store.migrate().await?;
    assert_eq!(problems(&store).await?, [""; 0]);
    Ok(use_it(&store).await?)
}

async fn a_user_who_may_create_tables_makes_them(engine: Engine, servers: &Servers) -> TestResult {
    let place = Place::new(engine, servers, "may_create").await?;
    let url = place.user("maker", place::Rights::AndCreate).await?;
    let store = SqlStore::open(&url).await?;
    store.migrate().await?;
    assert_eq!(problems(&store).await?, [""; 0]);
    Ok(use_it(&store).await?)
}

async fn a_user_who_may_not_create_tables_uses_them(
    engine: Engine,
    servers: &Servers,
) -> TestResult {
    let place = Place::new(engine, servers, "may_use").await?;
    let url = place.user("reader", place::Rights::OnlyRows).await?;
    let store = SqlStore::open(&url).await?;
    let error = store.migrate().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    place.open().await?.migrate().await?;
    place.allow_rows("reader").await?;
    store.migrate().await?;
    assert_eq!(problems(&store).await?, [""; 0]);
    Ok(use_it(&store).await?)
}
