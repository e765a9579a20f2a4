//! Users who may not do everything.

use std::time::Duration;

use session_core::{ErrorKind, SessionStore};
use session_redis::RedisStore;
use test_servers::{
    TestResult,
    redis::{Options, Server},
};

use crate::support::{HOUR, create, new_key, open, request};

pub(crate) async fn without_channels_waiters_poll() -> TestResult {
    let options = Options::redis().user("sess", "s3cret", "~* resetchannels +@all");
    let server = Server::start(&options).await?;
    let (holder, waiter) = (open(&server).await, open(&server).await);
    let key = new_key();
    create(&holder, &key, b"x").await;
    let locked = holder.lock(&key, request(Duration::ZERO)).await?;
    let (asked, wanted) = (waiter.clone(), key.clone());
    let waiting = tokio::spawn(async move { asked.lock(&wanted, request(HOUR)).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
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
