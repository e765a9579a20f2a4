//! Transactions of others on the same rows.

use std::time::{Duration, Instant};

use session_core::{ErrorKind, Expected, Key, SessionStore};
use session_sql::SqlStore;
use test_servers::{TestResult, sql::Server};
use tokio::{
    sync::{Mutex, MutexGuard},
    task::JoinHandle,
};

use crate::support::{
    Direct, Ground, Kind, SOON, World, create, eventually, load, new_key, op, open, write,
};

fn save(
    store: &SqlStore,
    key: &Key,
    payload: &'static [u8],
) -> JoinHandle<session_core::Result<session_core::Revision>> {
    let (store, key) = (store.clone(), key.clone());
    tokio::spawn(async move { store.save(&key, write(payload), Expected::Any, op()).await })
}

/// The row of a key, locked by another's transaction.
async fn lock_row(other: &mut Direct, world: &World, key: &Key) {
    let digest = world.kind.literal(key.digest().as_bytes());
    other.run("BEGIN").await;
    other.run(&format!("SELECT 1 FROM sessions WHERE digest = {digest} FOR UPDATE")).await;
}

/// MySQL tells only of all that wait, and not who they are: one test at a time.
async fn alone(ground: &Ground) -> Option<MutexGuard<'static, ()>> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    if ground.kind == Kind::MySql { Some(ALONE.lock().await) } else { None }
}

/// Waits until so many statements wait, in the database of the test.
async fn until_waiting(ground: &Ground, world: &World, wanted: u64) {
    let database = &world.database;
    let sql = match ground.kind {
        Kind::Postgres => format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' \
             AND (wait_event_type = 'Lock' OR wait_event = 'PgSleep')"
        ),
        Kind::MariaDb => format!(
            "SELECT count(*) FROM information_schema.innodb_trx t \
             JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id \
             WHERE p.db = '{database}' AND t.trx_state = 'LOCK WAIT'"
        ),
        _ => "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'".to_owned(),
    };
    let server = ground.server().await.unwrap();
    eventually("somebody who waits for a row", async || {
        let answer = server.query(&sql).await.unwrap();
        answer.rsplit('\t').next().unwrap().parse::<u64>().unwrap() >= wanted
    })
    .await;
}

pub(crate) async fn who_waits_for_anothers_transaction_is_told_in_time(
    ground: Ground,
) -> TestResult {
    let _alone = alone(&ground).await;
    let world = ground.world().await?;
    let timeout = SOON / 4;
    let store = open(&world.url, |builder| {
        let shorter = Duration::from_millis(1_200);
        builder.connect_timeout(timeout).response_timeout(shorter).timeout(timeout)
    })
    .await;
    let key = new_key();
    let first = create(&store, &key, b"kept").await;
    let mut other = world.direct().await;
    lock_row(&mut other, &world, &key).await;
    let began = Instant::now();
    let refused = save(&store, &key, b"late").await?.unwrap_err();
    let took = began.elapsed();
    assert_eq!(refused.kind(), ErrorKind::Timeout, "{refused}");
    assert!(took < timeout + SOON / 6, "{took:?}");
    // Who reads waits for nobody.
    assert_eq!(load(&store, &key).await?.unwrap().revision, first);
    // Who waits until the row is free has it then.
    let saved = save(&world.store, &key, b"saved");
    until_waiting(&ground, &world, 1).await;
    other.run("ROLLBACK").await;
    saved.await??;
    assert_eq!(&*load(&store, &key).await?.unwrap().payload, b"saved");
    Ok(())
}

/// A transaction that is longer than one statement may wait, and shorter than a call may.
pub(crate) async fn a_wait_that_the_server_ends_is_begun_again(ground: Ground) -> TestResult {
    let _alone = alone(&ground).await;
    let world = ground.world().await?;
    let store = open(&world.url, |builder| builder.response_timeout(Duration::from_secs(1))).await;
    let key = new_key();
    create(&store, &key, b"x").await;
    let mut other = world.direct().await;
    lock_row(&mut other, &world, &key).await;
    let saved = save(&store, &key, b"saved");
    // Longer than the server lets it wait.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(!saved.is_finished());
    other.run("COMMIT").await;
    tokio::time::timeout(SOON, saved).await???;
    assert_eq!(&*load(&store, &key).await?.unwrap().payload, b"saved");
    Ok(())
}

/// What an audit of somebody's own does: each save of a session also changes another row.
async fn audit(ground: &Ground, world: &World) -> TestResult {
    let mut sql = String::from(
        "CREATE TABLE audit (id INT PRIMARY KEY, n BIGINT); INSERT INTO audit VALUES (1, 0), (2, 0), \
         (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0);",
    );
    sql.push_str(match ground.kind {
        Kind::Postgres => {
            // Of two that wait for each other PostgreSQL breaks off who came last: the store waits
            // until the other one waits. The ninth row says whether there is another one.
            "CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ \
             BEGIN \
               WHILE (SELECT n = 0 FROM audit WHERE id = 9) AND NOT EXISTS ( \
                 SELECT 1 FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock' \
               ) LOOP \
                 PERFORM pg_sleep(0.01), pg_stat_clear_snapshot(); \
               END LOOP; \
               UPDATE audit SET n = n + 1 WHERE id = 1; RETURN NEW; \
             END $$; \
             CREATE TRIGGER audited BEFORE UPDATE ON sessions FOR EACH ROW \
             EXECUTE FUNCTION audited();"
        }
        _ => {
            "CREATE TRIGGER audited BEFORE UPDATE ON sessions FOR EACH ROW \
             UPDATE audit SET n = n + 1 WHERE id = 1;"
        }
    });
    let server = ground.server().await?;
    server.query_in(&world.database, &sql).await?;
    if ground.kind == Kind::Postgres {
        let sql =
            format!("ALTER ROLE app IN DATABASE {} SET deadlock_timeout = '20ms'", world.database);
        server.execute(&sql).await?;
    }
    Ok(())
}

/// How many deadlocks the server has seen, in the test's database where it says so.
async fn deadlocks(server: &Server, world: &World) -> u64 {
    let sql = match world.kind {
        Kind::Postgres => {
            format!("SELECT deadlocks FROM pg_stat_database WHERE datname = '{}'", world.database)
        }
        Kind::MariaDb => "SELECT variable_value FROM information_schema.global_status \
                          WHERE variable_name = 'Innodb_deadlocks'"
            .to_owned(),
        _ => "SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'"
            .to_owned(),
    };
    server.query(&sql).await.unwrap().parse().unwrap()
}

/// The store's statement is the victim: it is sent again, and the caller knows of nothing.
pub(crate) async fn a_victim_of_a_deadlock_tries_again(ground: Ground) -> TestResult {
    const ROUNDS: u64 = 5;
    let world = ground.world().await?;
    audit(&ground, &world).await?;
    let store = world.open().await;
    let key = new_key();
    create(&store, &key, b"x").await;
    let digest = world.kind.literal(key.digest().as_bytes());
    let server = ground.server().await?;
    let before = deadlocks(server, &world).await;
    let administrator = server.administrator_url();
    let mut other =
        Direct::to(&administrator.replace("/app", &format!("/{}", world.database))).await;
    if ground.kind == Kind::Postgres {
        other.run("SET deadlock_timeout = '1h'").await;
    }
    for _ in 0..ROUNDS {
        other.run("UPDATE audit SET n = 0 WHERE id = 9").await;
        other.run("BEGIN").await;
        // Has changed more than the store, so that it is dearer to break off.
        other.run("UPDATE audit SET n = n + 1").await;
        let saved = save(&store, &key, b"saved");
        until_waiting(&ground, &world, 1).await;
        other.run(&format!("SELECT 1 FROM sessions WHERE digest = {digest} FOR UPDATE")).await;
        other.run("COMMIT").await;
        tokio::time::timeout(SOON, saved).await???;
    }
    eventually("the count of deadlocks", async || {
        deadlocks(server, &world).await >= before + ROUNDS
    })
    .await;
    let n = other.number("SELECT n FROM audit WHERE id = 1").await;
    assert_eq!(n, i64::try_from(2 * ROUNDS)?, "each save once, each of the other's once");
    Ok(())
}

/// Two that wait to create what a third one then does not create stand in each other's way.
pub(crate) async fn creators_of_one_key_get_along(ground: Ground) -> TestResult {
    const ROUNDS: u64 = 10;
    let world = ground.world().await?;
    let server = ground.server().await?;
    let before = deadlocks(server, &world).await;
    let mut other = world.direct().await;
    let mut created = 0;
    for _ in 0..ROUNDS {
        let key = new_key();
        let literal = |bytes: &[u8]| world.kind.literal(bytes);
        other.run("BEGIN").await;
        other
            .run(&format!(
                "INSERT INTO sessions (digest, commits, deadline, holder, lease_until, \
                 absolute_deadline, principal, data) \
                 VALUES ({}, {e}, 0, NULL, 0, 0, NULL, {e})",
                literal(key.digest().as_bytes()),
                e = literal(b""),
            ))
            .await;
        let creators: Vec<_> = (0..3)
            .map(|_| {
                let (store, key) = (world.store.clone(), key.clone());
                tokio::spawn(async move { store.create(&key, write(b"x"), op(), None).await })
            })
            .collect();
        until_waiting(&ground, &world, 3).await;
        other.run("ROLLBACK").await;
        let mut one = 0;
        for creator in creators {
            match tokio::time::timeout(SOON, creator).await?? {
                Ok(_) => one += 1,
                Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}"),
            }
        }
        assert_eq!(one, 1, "of those who create one key one does");
        created += one;
    }
    assert_eq!(created, ROUNDS);
    if ground.kind.is_mysql() {
        eventually("deadlocks", async || deadlocks(server, &world).await > before).await;
    }
    Ok(())
}

/// As backups and changes of tables do it. What waits for that at the server must not be carried out
/// long after its caller was told that it failed.
pub(crate) async fn who_waits_for_a_table_does_not_wait_on_when_he_has_gone(
    ground: Ground,
) -> TestResult {
    let timeout = SOON / 4;
    let server = Server::start(&ground.kind.options().unwrap()).await?;
    let store = open(&server.url(), |builder| {
        builder.connect_timeout(timeout).response_timeout(Duration::from_secs(2)).timeout(timeout)
    })
    .await;
    let (key, made) = (new_key(), new_key());
    let first = create(&store, &key, b"kept").await;
    let mut other = Direct::to(&server.administrator_url()).await;
    other.run("LOCK TABLES sessions WRITE").await;
    let began = Instant::now();
    let (saved, created) = tokio::join!(
        store.save(&key, write(b"late"), Expected::Revision(first), op()),
        store.create(&made, write(b"late"), op(), None),
    );
    for refused in [saved.unwrap_err(), created.unwrap_err()] {
        assert_eq!(refused.kind(), ErrorKind::Timeout, "{refused}");
    }
    assert!(began.elapsed() < timeout + SOON / 6, "{:?}", began.elapsed());
    eventually("nobody who waits", async || {
        let list = server.query("SHOW PROCESSLIST").await.unwrap();
        !list.contains("Waiting for")
    })
    .await;
    other.run("UNLOCK TABLES").await;
    assert_eq!(load(&store, &key).await?.unwrap().revision, first);
    assert_eq!(load(&store, &made).await?, None);
    store.save(&key, write(b"saved"), Expected::Revision(first), op()).await?;
    Ok(())
}
