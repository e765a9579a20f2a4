//! Servers and settings that a store is not opened with.

use std::time::Duration;

use session_core::{ErrorKind, SessionStore};
use session_memcached::MemcachedStore;
use test_load::fails_in_time;
use test_servers::{
    TestResult,
    memcached::{Options, Server},
};
use tokio::{io::AsyncWriteExt, net::TcpListener};

async fn kind(url: &str) -> ErrorKind {
    let error = MemcachedStore::open(url).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    error.kind()
}

pub(crate) async fn a_server_without_numbers_is_refused() -> TestResult {
    let server = Server::start(&Options::new().without_numbers()).await?;
    let error = MemcachedStore::open(&server.url()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("-C"), "{error}");
    Ok(())
}

pub(crate) async fn a_wrong_password_is_told() -> TestResult {
    let server = Server::start(&Options::new().login("ada", "right")).await?;
    MemcachedStore::open(&server.url()).await?.ping().await?;
    let address = server.address();
    for login in ["ada:s3cret@", "s3cret:right@", ""] {
        assert_eq!(kind(&format!("memcached://{login}{address}")).await, ErrorKind::Config);
    }
    Ok(())
}

pub(crate) async fn a_certificate_of_nobody_is_refused() -> TestResult {
    let server = Server::start(&Options::new().tls()).await?;
    let file = server.certificates().expect("it has some").authority.display().to_string();
    MemcachedStore::open(&format!("{}?session.tls_ca={file}", server.url())).await?;
    MemcachedStore::open(&format!("{}?session.tls_insecure=true", server.url())).await?;
    assert_eq!(kind(&server.url()).await, ErrorKind::Config);
    Ok(())
}

pub(crate) async fn what_is_no_memcached_is_told() -> TestResult {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.write_all(b"SSH-2.0-s3cret\r\n").await);
            tokio::spawn(async move {
                let _open = stream;
                std::future::pending::<()>().await;
            });
        }
    });
    assert_eq!(kind(&format!("memcached://{address}")).await, ErrorKind::Backend);
    let nobody = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let url = format!("memcached://{nobody}");
    fails_in_time(Duration::from_secs(5), MemcachedStore::open(&url)).await;
    Ok(())
}
