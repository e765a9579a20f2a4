//! The stores by their URLs.

#![cfg_attr(
    any(feature = "files", feature = "sqlite"),
    expect(clippy::unwrap_used, reason = "a test")
)]

use session::{ErrorKind, SessionManager};

/// A session survives the handle that made it, where the store is not this process's memory.
#[cfg(any(feature = "files", feature = "sqlite"))]
async fn lasts(url: &str) {
    let manager = SessionManager::new(session::connect(url).await.unwrap()).unwrap();
    let session = manager.open(None);
    session.insert("name", "ada").await.unwrap();
    session.save().await.unwrap();
    let id = match session.cookie_change() {
        session::core::CookieChange::Set { id, .. } => Some(id),
        _ => None,
    };
    let other = SessionManager::new(session::connect(url).await.unwrap()).unwrap();
    let name = other.open(id).get::<String>("name").await.unwrap();
    assert_eq!(name.as_deref(), Some("ada"));
}

#[tokio::test]
async fn memory_needs_no_feature() {
    let store = session::connect("memory:").await.unwrap();
    assert_eq!(store.capabilities().backend, "memory");
    SessionManager::new(store).unwrap();
}

#[tokio::test]
#[cfg(feature = "files")]
async fn files_are_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    lasts(&format!("files://{}/sessions", directory.path().display())).await;
}

#[tokio::test]
#[cfg(feature = "sqlite")]
async fn a_database_is_ready_at_once() {
    let directory = tempfile::tempdir().unwrap();
    lasts(&format!("sqlite:{}/sessions.db", directory.path().display())).await;
}

#[tokio::test]
async fn a_url_of_no_store_tells_what_there_is_and_nothing_of_itself() {
    for url in ["", "s3cret", "memory", "memory:s3cret", "http://s3cret", "redist://s3cret"] {
        let error = session::connect(url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.to_string();
        assert!(text.contains("redis:"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[tokio::test]
async fn a_store_that_is_not_compiled_in_names_its_feature() {
    let absent = [
        ("dynamodb://s3cret", "dynamodb", cfg!(feature = "dynamodb")),
        ("files:///s3cret", "files", cfg!(feature = "files")),
        ("memcacheds://s3cret", "memcached", cfg!(feature = "memcached")),
        ("rediss+cluster://s3cret", "redis", cfg!(feature = "redis")),
        ("mariadb://s3cret", "mysql", cfg!(feature = "mysql")),
        ("postgresql://s3cret", "postgres", cfg!(feature = "postgres")),
        ("sqlite:s3cret", "sqlite", cfg!(feature = "sqlite")),
    ];
    for (url, feature, _) in absent.into_iter().filter(|(_, _, there)| !there) {
        let text = session::connect(url).await.unwrap_err().to_string();
        assert!(text.contains(&format!("the feature `{feature}`")), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}
