//! What 8.5 and 8.6 do otherwise; there is no such PHP to compare with.

use std::sync::Arc;

use session_core::{KeyHasher, MemoryStore, ReadOptions, Revision, SessionId, SessionStore};
use session_php::{
    PhpVersion, Settings,
    state::{PhpSession, Problem, Request, StartOptions, Status, StoreHandler},
};

fn session(store: &MemoryStore, version: PhpVersion) -> PhpSession<StoreHandler> {
    let handler = StoreHandler::new(Arc::new(store.clone()));
    let request = Request::with_cookies("PHPSESSID=known");
    let mut settings = Settings::new(version);
    (settings.use_strict_mode, settings.gc_probability) = (false, 0);
    PhpSession::new(handler, settings, request)
}

async fn revision(store: &MemoryStore) -> Revision {
    let key = KeyHasher::plain().key(&SessionId::parse("known").unwrap());
    store.load(&key, ReadOptions::latest()).await.unwrap().unwrap().revision
}

#[tokio::test]
async fn from_8_6_on_an_empty_session_is_touched_and_encodes_to_nothing() {
    for (version, touches) in [(PhpVersion::V8_5, false), (PhpVersion::V8_6, true)] {
        let store = MemoryStore::new();
        let mut first = session(&store, version);
        first.start().await.unwrap();
        assert_eq!(first.encode().is_ok(), touches);
        first.shutdown().await.unwrap();
        let before = revision(&store).await;
        let mut second = session(&store, version);
        second.start().await.unwrap();
        second.shutdown().await.unwrap();
        assert_eq!(revision(&store).await == before, touches, "{version:?}");
    }
}

#[tokio::test]
async fn from_8_5_on_a_cookie_can_be_partitioned_if_it_is_secure() {
    let store = MemoryStore::new();
    let partitioned = StartOptions::default().setting("cookie_partitioned", "1");
    let mut insecure = session(&store, PhpVersion::V8_5);
    insecure.set_id("other").unwrap();
    let failure = insecure.start_with(&partitioned).await.unwrap_err();
    assert_eq!(failure.diagnostic.unwrap().problem, Problem::CookiePartitioned);
    assert_eq!(insecure.status(), Status::None, "from 8.4 on no session starts without its cookie");
    let mut secure = session(&store, PhpVersion::V8_5);
    secure.set_id("other").unwrap();
    secure.start_with(&partitioned.setting("cookie_secure", "1")).await.unwrap();
    let cookie = secure.headers().next().unwrap();
    assert_eq!(cookie, ("Set-Cookie", "PHPSESSID=other; path=/; secure; Partitioned"));
}
