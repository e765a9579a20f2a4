//! Users who may not do everything.

use std::time::Duration;

use session_core::{
    ErrorKind, Expected, Key, KeyHasher, Meta, OpToken, ReadOptions, SessionStore, Then, Under,
    Write,
};
use session_redis::RedisStore;
use test_servers::{
    TestResult,
    redis::{Cluster, Options, Sentinels, Server},
};

use crate::support::{HOUR, create, eventually, new_key, op, open, request};

pub(crate) async fn without_channels_waiters_poll() -> TestResult {
    let options = Options::redis().user("sess", "s3cret", "~* resetchannels +@all");
    let server = Server::start(&options).await?;
    let (holder, waiter) = (open(&server).await, open(&server).await);
    let key = new_key();
    create(&holder, &key, b"x").await;
    let locked = holder.lock(&key, request(Duration::ZERO)).await?;
    let (asked, wanted) = (waiter.clone(), key.clone());
    let before = server.traffic().await?;
    let waiting = tokio::spawn(async move { asked.lock(&wanted, request(HOUR)).await });
    // The first look is refused, and so are those that follow until the release.
    eventually("a second look", async || {
        server.traffic().await.unwrap().since(&before).calls("evalsha") >= 2
    })
    .await;
    holder.release(&key, &locked.lease.unwrap()).await?;
    tokio::time::timeout(crate::support::SOON, waiting).await???;
    Ok(())
}

pub(crate) async fn a_wrong_password_is_told_and_not_repeated() -> TestResult {
    let options = Options::redis().user("sess", "s3cret", "~* &* +@all");
    let server = Server::start(&options).await?;
    let url = server.url().replace("s3cret", "gu3ss");
    let error = RedisStore::open(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    let mut text = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text.push_str(&format!("{error} {error:?}"));
        cause = error.source();
    }
    assert!(!text.contains("gu3ss"), "{text}");
    Ok(())
}

/// The rules of the user in the README.
fn rights() -> String {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("ACL SETUSER app on >PASSWORD ").unwrap();
    let (rules, _) = rest.split_once("```").unwrap();
    rules.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Those that the README's table has for a case.
fn more_rights(case: &str) -> String {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once(&format!("| {case} | `")).unwrap();
    rest.split_once('`').unwrap().0.replace("\\|", "|")
}

/// Gives these rights to the user `app`.
async fn admit(server: &Server, rights: &str) -> TestResult {
    let rights = format!("ACL SETUSER app on >pw {rights}");
    server.command(&rights.split(' ').collect::<Vec<_>>()).await?;
    Ok(())
}

/// Leaves nothing but `more` to who does not log in.
async fn keep_out_strangers(server: &Server, more: &str) -> TestResult {
    let rights = format!("ACL SETUSER default -@all +auth +hello {more}");
    server.command(&rights.split(' ').collect::<Vec<_>>()).await?;
    Ok(())
}

pub(crate) async fn the_rights_in_the_readme_are_enough() -> TestResult {
    let options = Options::redis().user("app", "pw", &rights());
    let server = Server::start(&options).await?;
    do_everything(&open(&server).await).await
}

pub(crate) async fn the_rights_in_the_readme_are_enough_in_a_cluster() -> TestResult {
    let cluster = Cluster::start(&Options::redis()).await?;
    let rights = format!("{} {}", rights(), more_rights("in a cluster"));
    for node in cluster.nodes() {
        admit(node, &rights).await?;
        keep_out_strangers(node, "+psync +replconf +ping").await?;
    }
    let url = format!("redis+cluster://app:pw@{}", cluster.addresses().join(","));
    do_everything(&RedisStore::open(&url).await?).await
}

pub(crate) async fn the_rights_in_the_readme_are_enough_behind_sentinel() -> TestResult {
    let pair = Sentinels::start(&Options::redis()).await?;
    let [more, wait] = ["behind Sentinel", "with `session.wait_replicas`"].map(more_rights);
    // Nobody is kept out here: Sentinels and the replica do not log in.
    admit(pair.primary().await?, &format!("{} {more} {wait}", rights())).await?;
    for sentinel in pair.sentinels() {
        admit(sentinel, &more_rights("the user of the Sentinels")).await?;
        keep_out_strangers(sentinel, "+ping").await?;
    }
    let sentinels: Vec<String> = pair.sentinels().iter().map(Server::address).collect();
    let url = format!(
        "redis+sentinel://app:pw@{}/{}?session.sentinel_user=app&session.sentinel_password=pw\
         &session.wait_replicas=1",
        sentinels.join(","),
        Sentinels::NAME
    );
    do_everything(&RedisStore::open(&url).await?).await
}

async fn do_everything(store: &RedisStore) -> TestResult {
    let principal = KeyHasher::plain().principal("ada");
    let write = || Write::new("x", HOUR).with_meta(Meta::new().with_principal(Some(principal), 0));
    let key = new_key();

    let lease = store.lock(&key, request(Duration::ZERO)).await?.lease.unwrap();
    let under = Some(Under::new(&lease, Then::Keep));
    store.create(&key, write(), op(), under).await?;
    let waited = store.lock(&key, request(Duration::from_millis(100))).await;
    assert_eq!(waited.unwrap_err().kind(), ErrorKind::LockTimeout);
    store.renew(&key, &lease, HOUR).await?;
    store.release(&key, &lease).await?;

    let record = store.load(&key, ReadOptions::latest()).await?.unwrap();
    let incarnation = record.revision.incarnation();
    store.touch(&key, (HOUR * 2).into(), incarnation, op()).await?;
    store.save(&key, write(), Expected::Revision(record.revision), op()).await?;

    let index = store.principal_index().unwrap();
    let listed = index.list(&principal, None, 10).await?.keys;
    assert_eq!(listed.iter().map(Key::digest).collect::<Vec<_>>(), [key.digest()]);
    assert_eq!(index.bump_epoch(&principal).await?, 1);
    assert_eq!(index.epoch(&principal).await?, 1);
    assert_eq!(index.revoke(&principal, None).await?, 1);
    // What is left in the index is tidied up, too.
    assert_eq!(index.list(&principal, None, 10).await?.keys, []);
    store.delete(&key, Expected::Any, OpToken::generate()?).await?;
    store.ping().await?;
    Ok(())
}
