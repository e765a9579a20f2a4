//! Users who may not do everything.

use std::time::Duration;

use session_core::{
    ErrorKind, Expected, Key, KeyHasher, Meta, SessionStore, SweepBudget, Then, Under,
};
use session_sql::SqlStore;
use test_servers::TestResult;

use crate::support::{Ground, HOUR, Kind, SOON, eventually, load, new_key, op, request, write};

const USER: &str = "worker";

/// Makes a user with these rights on the tables, and returns his URL.
async fn admit(
    ground: &Ground,
    url: &str,
    database: &str,
    rights: &str,
) -> test_servers::Result<String> {
    let server = ground.server().await?;
    let user = format!("{USER}_{database}");
    let sql = if ground.kind == Kind::Postgres {
        let tables = if rights.is_empty() {
            String::new()
        } else {
            format!("GRANT {rights} ON sessions, sessions_epochs TO {user};")
        };
        format!("CREATE ROLE {user} LOGIN PASSWORD 'pw'; {tables}")
    } else {
        let grant = |table: &str| match rights {
            "" => String::new(),
            rights => format!("GRANT {rights} ON {database}.{table} TO '{user}'@'%';"),
        };
        format!(
            "CREATE USER '{user}'@'%' IDENTIFIED BY 'pw'; \
             GRANT CREATE TEMPORARY TABLES ON {database}.* TO '{user}'@'%'; {} {}",
            grant("sessions"),
            grant("sessions_epochs"),
        )
    };
    server.query_in(database, &sql).await?;
    let (_, place) = url.split_once('@').unwrap();
    let (scheme, _) = url.split_once("://").unwrap();
    // MySQL's password exchange needs TLS as long as it does not know the password.
    let more = if ground.kind == Kind::MySql { "?ssl-mode=REQUIRED" } else { "" };
    Ok(format!("{scheme}://{user}:pw@{place}{more}"))
}

pub(crate) async fn the_rights_in_the_readme_are_enough(ground: Ground) -> TestResult {
    let world = ground.world().await?;
    let readme = include_str!("../../README.md");
    let (_, rights) = readme.split_once("| to run | `GRANT ").unwrap();
    let (rights, _) = rights.split_once(" ON ").unwrap();
    let url = admit(&ground, &world.url, &world.database, rights).await?;
    let store = SqlStore::builder(&url)?.timeout(SOON).open().await?;
    // Nothing is to be made.
    store.migrate().await?;
    assert!(store.check().await?.is_empty());
    do_everything(&store).await
}

pub(crate) async fn rights_that_are_missing_are_told(ground: Ground) -> TestResult {
    let world = ground.world().await?;
    let url = admit(&ground, &world.url, &world.database, "SELECT").await?;
    let store = SqlStore::builder(&url)?.timeout(SOON).open().await?;
    let key = new_key();
    assert_eq!(load(&store, &key).await?, None);
    let refused = store.create(&key, write(b"x"), op(), None).await.unwrap_err();
    assert_eq!((refused.kind(), refused.maybe_applied()), (ErrorKind::Config, false), "{refused}");
    let refused = store.lock(&key, request(Duration::ZERO)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config, "{refused}");
    // Nobody waits for what will not come.
    assert!(!refused.is_retryable());
    Ok(())
}

async fn do_everything(store: &SqlStore) -> TestResult {
    let principal = KeyHasher::plain().principal("ada");
    let write = || write(b"x").with_meta(Meta::new().with_principal(Some(principal), 0));
    let key = new_key();

    let lease = store.lock(&key, request(Duration::ZERO)).await?.lease.unwrap();
    let under = Some(Under::new(&lease, Then::Keep));
    store.create(&key, write(), op(), under).await?;
    let waited = store.lock(&key, request(Duration::from_millis(50))).await;
    assert_eq!(waited.unwrap_err().kind(), ErrorKind::LockTimeout);
    store.renew(&key, &lease, HOUR).await?;
    let record = load(store, &key).await?.unwrap();
    let (revision, then) = (record.revision, Then::Keep);
    let expected = Expected::Lease { lease: &lease, revision, then };
    store.delete(&key, expected, op()).await?;
    store.create(&key, write(), op(), under).await?;
    store.release(&key, &lease).await?;

    let record = load(store, &key).await?.unwrap();
    let incarnation = record.revision.incarnation();
    store.touch(&key, (HOUR * 2).into(), incarnation, op()).await?;
    store.save(&key, write(), Expected::Revision(record.revision), op()).await?;
    store.save(&key, write(), Expected::Any, op()).await?;

    let index = store.principal_index().unwrap();
    let listed = index.list(&principal, None, 10).await?.keys;
    assert_eq!(listed.iter().map(Key::digest).collect::<Vec<_>>(), [key.digest()]);
    assert_eq!(index.bump_epoch(&principal).await?, 1);
    assert_eq!(index.epoch(&principal).await?, 1);
    assert_eq!(store.enumeration().unwrap().keys(None, 10).await?.keys.len(), 1);
    assert_eq!(index.revoke(&principal, None).await?, 1);
    let brief = session_core::Write::new("x", Duration::from_millis(1));
    store.create(&key, brief, op(), None).await?;
    eventually("it is over", async || load(store, &key).await.unwrap().is_none()).await;
    assert_eq!(store.sweep(None, SweepBudget::default()).await?.deleted, 1);
    store.create(&key, write(), op(), None).await?;
    store.delete(&key, Expected::Any, op()).await?;
    store.ping().await?;
    Ok(())
}
