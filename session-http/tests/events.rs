//! SEC-44 and SEC-45: what the log says, and what it must not say.

#![expect(
    clippy::unwrap_used,
    clippy::future_not_send,
    reason = "a test may panic, and runs on one thread"
)]

mod direct;

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use direct::Direct;
use http::HeaderMap;
use session_core::{
    Error, ErrorKind, MemoryStore, Operation, SessionEvent, SessionId, SessionManager,
};
use session_http::{
    KeyRing, SessionCookie, Transport, WebSessions,
    scenarios::{Bench, Browser},
};
use tokio::join;
use tracing::{level_filters::LevelFilter, subscriber::DefaultGuard};

/// Everything that was logged since.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let copy = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(move || copy.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }

    /// The names of the events under the target `session`.
    fn events(&self) -> Vec<String> {
        let text = self.take();
        let of_session = text.lines().filter(|line| line.contains(" session: "));
        let name = |line: &str| line.split("event=\"").nth(1)?.split('"').next().map(String::from);
        of_session.filter_map(name).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn expect(log: &Log, browser: &Browser, path: &str, events: &[&str]) {
    log.take();
    browser.get(path).await;
    assert_eq!(log.events(), events, "{path}");
}

#[tokio::test]
async fn sec_45_each_turn_in_a_sessions_life_is_one_event() {
    let (log, _guard) = Log::start();
    let bench = Bench::new();
    let browser = bench.browser(&Direct).await;
    expect(&log, &browser, "/get/a", &[]).await;
    expect(&log, &browser, "/set/a/1", &["created"]).await;
    let first = browser.presenting(browser.cookie().unwrap());
    expect(&log, &browser, "/set/a/2", &[]).await;
    expect(&log, &browser, "/cycle", &["rotated"]).await;
    expect(&log, &browser, "/login/alice", &["rotated", "authenticated"]).await;
    bench.clock.advance(Duration::from_secs(60));
    expect(&log, &first, "/get/a", &["retired_id_used"]).await;
    expect(&log, &browser, "/logout", &["destroyed"]).await;
    let unknown =
        browser.presenting(format!("__Host-id={}", SessionId::generate().unwrap().expose()));
    expect(&log, &unknown, "/get/a", &["unknown"]).await;
    expect(&log, &browser.presenting("__Host-id=junk"), "/get/a", &["cookie_refused"]).await;
    let two = "__Host-id=a; __Host-id=b";
    expect(&log, &browser.presenting(two), "/untouched", &["cookie_refused"]).await;
    bench.store.take_down();
    expect(&log, &unknown, "/get/a", &["store_error"]).await;
    expect(&log, &browser, "/swallow/set/a/1", &["store_error"]).await;
}

#[tokio::test]
async fn sec_45_an_end_in_flight_is_an_event_and_so_is_what_plain_http_drops() {
    let (log, _guard) = Log::start();
    let bench = Bench::new();
    let browser = bench.browser(&Direct).await;
    browser.get("/set/a/1").await;
    let slow = browser.presenting(browser.cookie().unwrap());
    log.take();
    join!(slow.get("/wait/set/a/2"), async {
        bench.app.arrived().await;
        browser.get("/logout").await;
        bench.app.go_on();
    });
    assert_eq!(log.events(), ["destroyed", "gone", "refused"]);

    let web = bench.browser_with(&Direct, |web| web.transport(Transport::forwarded_proto())).await;
    expect(&log, &web, "/set/a/1", &["dropped"]).await;
    let id = SessionId::generate().unwrap();
    let exposed = web.presenting(format!("__Host-id={}", id.expose()));
    expect(&log, &exposed, "/get/a", &["cookie_refused"]).await;
}

#[tokio::test]
async fn nodes_that_do_not_share_keys_are_named_in_the_log_and_do_not_flood_it() {
    let (log, _guard) = Log::start();
    let bench = Bench::new();
    let ring = |key: &str| KeyRing::new([format!("a key of 32 bytes at least: {key}")]).unwrap();
    let id_of = |ring: &KeyRing| ring.ids().next().unwrap().to_string();
    let (ours, theirs) = (ring("planted-ours"), ring("planted-theirs"));
    let node = async |ring: &KeyRing| {
        let cookie = SessionCookie::builder().signed(ring.clone()).build().unwrap();
        bench.browser_with(&Direct, |web| web.cookie(cookie)).await
    };
    let (here, there) = (node(&ours).await, node(&theirs).await);
    there.get("/set/a/1").await;
    log.take();
    for _ in 0..3 {
        here.presenting(there.cookie().unwrap()).get("/get/a").await;
    }
    let text = log.take();
    assert_eq!(text.matches("nodes_do_not_share_keys").count(), 1, "{text}");
    assert!(text.contains(&id_of(&ours)) && text.contains(&id_of(&theirs)), "{text}");
    assert!(!text.contains("planted") && !text.contains(&there.id()), "{text}");

    let forged = there.id().replace(&id_of(&theirs), &id_of(&ours));
    expect(&log, &here.presenting(format!("__Host-id={forged}")), "/get/a", &["cookie_refused"])
        .await;
}

#[tokio::test]
async fn a_log_in_beyond_the_limit_is_no_failure_of_the_store() {
    let (log, _guard) = Log::start();
    let manager = SessionManager::new(MemoryStore::new()).unwrap();
    let error = Error::new(ErrorKind::TooManySessions, "session", Operation::Save);
    WebSessions::new(manager).begin(&HeaderMap::new()).error_response(&error).await;
    assert_eq!(log.events(), ["refused"]);
}

#[test]
fn sec_46_the_audit_hook_is_told_of_guessed_ids_that_end_before_the_store() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&told);
    let manager = SessionManager::builder(MemoryStore::new())
        .audit(move |event| hook.lock().unwrap().push(*event))
        .build()
        .unwrap();
    let ring = KeyRing::new(["a key of 32 bytes at the very least"]).unwrap();
    let cookie = SessionCookie::builder().signed(ring).build().unwrap();
    let sessions = WebSessions::builder(manager).cookie(cookie).build();
    for _ in 0..2 {
        let guess = format!("__Host-id={}", "A".repeat(43));
        let request = HeaderMap::from_iter([(http::header::COOKIE, guess.parse().unwrap())]);
        drop(sessions.begin(&request));
    }
    let event = SessionEvent::IdRefused("session id without a signature");
    assert_eq!(*told.lock().unwrap(), [event, event], "each of them");
    assert_eq!((event.name(), event.session()), ("cookie_refused", None));
}

#[tokio::test]
async fn sec_44_no_log_line_holds_an_id_or_a_value() {
    let (log, _guard) = Log::start();
    let bench = Bench::new();
    let browser = bench.browser(&Direct).await;
    let mut secrets = vec!["planted-value".to_owned()];
    for path in ["/set/a/planted-value", "/cycle", "/login/planted-user", "/set/b/1", "/get/b"] {
        browser.get(path).await;
        secrets.push(browser.id());
    }
    let unknown = SessionId::generate().unwrap().expose().to_owned();
    browser.presenting(format!("__Host-id={unknown}")).get("/get/a").await;
    browser.presenting("__Host-id=planted-junk").get("/get/a").await;
    bench.store.take_down();
    browser.get("/get/a").await;
    browser.send("/logout", HeaderMap::new()).await;
    secrets.extend([unknown, "planted-user".to_owned(), "planted-junk".to_owned()]);
    let text = log.take();
    assert!(text.contains("store_error") && text.contains("rotated"), "it was captured: {text}");
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret} in: {text}");
    }
}
