//! What holds between PHP's layout and a real phpredis beyond the cases that all layouts share.

use std::{process::Stdio, time::Duration};

use session_core::{
    ErrorKind, Expected, Key, KeyHasher, ReadOptions, SessionId, SessionStore, Then, Write,
};
use session_redis::{
    Endpoint, RedisConfig, Servers,
    php::{PhpLayout, PhpLock, PhpServer, PhpStore},
};
use test_servers::{
    TestResult,
    redis::{Options, Server},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::support::{HOUR, SOON, op, request};

/// On two servers, PHP takes the lock of this session on the first and gives it back on the second.
const ID: &str = "a0000000000000000000000000000000";
const NAME: &str = "PHPREDIS_SESSION:a0000000000000000000000000000000";

fn key() -> Key {
    KeyHasher::plain().key(&SessionId::parse(ID).unwrap())
}

async fn open(servers: &[Server]) -> PhpStore {
    let mut all = servers.iter().map(|server| {
        PhpServer::new(RedisConfig::new(Servers::One(Endpoint::new("127.0.0.1", server.port()))))
    });
    let mut layout = PhpLayout::new(all.next().unwrap()).with_lock(PhpLock::new());
    layout.servers.extend(all);
    PhpStore::open(layout).await.unwrap()
}

/// A page that has started the session, and changes and closes it when it is told.
struct Page(Child);

impl Page {
    async fn start(servers: &[Server], lock_expire: u32) -> Self {
        let path = servers.iter().map(|server| format!("tcp://{}", server.address()));
        let path = path.collect::<Vec<_>>().join(",");
        let code = format!(
            "session_id('{ID}'); session_start(); echo \"held\\n\"; fgets(STDIN);
             $_SESSION['n'] = 9; session_write_close();"
        );
        let settings = [
            "session.save_handler=redis".to_owned(),
            format!("session.save_path=\"{path}\""),
            "session.use_cookies=0".to_owned(),
            "session.cache_limiter=".to_owned(),
            "redis.session.locking_enabled=1".to_owned(),
            format!("redis.session.lock_expire={lock_expire}"),
            "display_errors=0".to_owned(),
        ];
        let mut command = Command::new("php");
        for setting in settings {
            command.arg("-d").arg(setting);
        }
        command.arg("-r").arg(code).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut page = command.stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(page.stdout.as_mut().unwrap());
        timeout(SOON, output.read_line(&mut line)).await.unwrap().unwrap();
        assert_eq!(line, "held\n");
        Self(page)
    }

    async fn finish(mut self) {
        self.0.stdin.take().unwrap().write_all(b"\n").await.unwrap();
        timeout(SOON, self.0.wait()).await.unwrap().unwrap();
    }
}

async fn create(store: &PhpStore) {
    store.create(&key(), Write::new("n|i:1;", HOUR), op(), None).await.unwrap();
}

async fn stored(server: &Server) -> String {
    server.command(&["GET", NAME]).await.unwrap()
}

pub(crate) async fn a_lock_that_php_leaves_on_the_wrong_host_is_respected_until_it_ends()
-> TestResult {
    let servers =
        [Server::start(&Options::redis()).await?, Server::start(&Options::redis()).await?];
    let store = open(&servers).await;
    Page::start(&servers, 60).await.finish().await;
    assert_eq!(stored(&servers[0]).await, "n|i:9;");
    let refused = store.lock(&key(), request(Duration::ZERO)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LockTimeout);
    let left = refused.retry_after().unwrap();
    assert!(left <= Duration::from_secs(60), "{left:?}");
    let lock = format!("{NAME}_LOCK");
    servers[0].command(&["PEXPIRE", &lock, "200"]).await?;
    let locked = store.lock(&key(), request(SOON)).await.unwrap();
    // What this side takes it gives back where it is.
    store.release(&key(), &locked.lease.unwrap()).await.unwrap();
    assert_eq!(servers[0].command(&["EXISTS", &lock]).await?, "0");
    Ok(())
}

pub(crate) async fn php_refuses_to_write_once_its_lock_was_taken() -> TestResult {
    let servers = [Server::start(&Options::redis()).await?];
    let store = open(&servers).await;
    create(&store).await;
    let page = Page::start(&servers, 1).await;
    let locked = store.lock(&key(), request(SOON)).await.unwrap();
    let (lease, revision) = (locked.lease.unwrap(), locked.record.unwrap().revision);
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Keep };
    store.save(&key(), Write::new("n|i:5;", HOUR), expected, op()).await.unwrap();
    page.finish().await;
    assert_eq!(stored(&servers[0]).await, "n|i:5;");
    Ok(())
}

/// Without `lock_expire`, phpredis does not look at its lock before it writes.
pub(crate) async fn a_page_without_lock_expire_brings_a_deleted_session_back() -> TestResult {
    for (lock_expire, left) in [(0, "n|i:9;"), (60, "")] {
        let servers = [Server::start(&Options::redis()).await?];
        let store = open(&servers).await;
        create(&store).await;
        let page = Page::start(&servers, lock_expire).await;
        store.delete(&key(), Expected::Any, op()).await.unwrap();
        assert!(store.load(&key(), ReadOptions::latest()).await.unwrap().is_none());
        page.finish().await;
        assert_eq!(stored(&servers[0]).await, left, "lock_expire {lock_expire}");
    }
    Ok(())
}

pub(crate) async fn an_id_that_is_the_name_of_a_lock_is_refused() -> TestResult {
    let servers = [Server::start(&Options::redis()).await?];
    let store = open(&servers).await;
    let key = |id| KeyHasher::plain().key(&SessionId::parse(id).unwrap());
    let refused = store.load(&key("abc_LOCK"), ReadOptions::latest()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidId);
    let digest = Key::from_digest(*key("abc").digest());
    let refused = store.load(&digest, ReadOptions::latest()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    Ok(())
}
