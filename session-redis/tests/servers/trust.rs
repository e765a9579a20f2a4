//! Whose certificate is taken.

use std::time::Duration;

use session_core::{ErrorKind, SessionStore};
use session_redis::{RedisStore, Tls};
use test_servers::{
    TestResult,
    redis::{Options, Server},
};

pub(crate) async fn only_a_trusted_certificate_is_taken() -> TestResult {
    let options = Options::redis().tls();
    let (server, other) = (Server::start(&options).await?, Server::start(&options).await?);
    let authority = |server: &Server| {
        let files = server.certificates().ok_or("no certificates")?;
        Ok::<_, &str>(Tls::Ca(files.authority.clone()))
    };
    for trusted in [authority(&server)?, Tls::Insecure] {
        open(&server, trusted, Duration::from_secs(30)).await?.ping().await?;
    }
    for strange in [authority(&other)?, Tls::On] {
        let error = open(&server, strange, Duration::from_secs(2)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    let key = Tls::Ca(server.certificates().ok_or("no certificates")?.key.clone());
    let error = open(&server, key, Duration::from_secs(30)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    Ok(())
}

async fn open(server: &Server, tls: Tls, timeout: Duration) -> session_core::Result<RedisStore> {
    RedisStore::builder(&server.url())?.tls(tls).timeout(timeout).open().await
}
