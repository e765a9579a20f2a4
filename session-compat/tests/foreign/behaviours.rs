//! What our stores add to the frameworks, on every store.

use futures_util::future::join_all;
use libtest_mimic::Trial;
use session_core::{Expected, Key, KeyHasher, OpToken, ReadOptions, SessionId, Ttl, Write};
use session_http::scenarios::{Browser, TestApp};
use test_servers::trial;
use tokio::join;

use crate::{
    actix,
    app::TOGETHER,
    framework::{Foreign, Framework},
    stores::{Kind, Place},
};

/// A store, and the framework that uses it.
struct Case {
    foreign: Foreign,
    place: Place,
    gate: TestApp,
}

pub(crate) fn trials() -> Vec<Trial> {
    macro_rules! trials {
        ($($name:ident)*) => {
            places().flat_map(|(framework, kind)| [$(
                one(framework, kind, stringify!($name), async |case| $name(case).await)
            ),*]).collect()
        };
    }
    trials![
        fifty_parallel_requests_keep_every_entry_and_count_each
        a_log_out_wins_over_requests_in_flight
        a_request_in_flight_that_changes_nothing_is_answered
        a_rotation_keeps_what_others_saved_meanwhile
        of_two_rotations_one_is_refused
        damaged_sessions_are_refused_and_stay_as_they_are
    ]
}

/// Both versions of tower-sessions are one adapter: the older one is not shown on every store.
fn places() -> impl Iterator<Item = (Framework, Kind)> {
    let all = Framework::ALL.into_iter();
    let all = all.flat_map(|framework| Kind::ALL.map(|kind| (framework, kind)));
    all.filter(|(framework, kind)| *framework != Framework::Tower014 || *kind == Kind::Memory)
}

fn one(
    framework: Framework,
    kind: Kind,
    name: &str,
    play: impl AsyncFnOnce(&Case) + Send + 'static,
) -> Trial {
    let called = format!("{framework}::{}::{name}", kind.name());
    trial(called, kind.words(), kind.missing(), move || async move {
        let (foreign, place) = (Foreign::new(framework), kind.open().await?);
        play(&Case { foreign, place, gate: TestApp::default() }).await;
        Ok(())
    })
}

impl Case {
    async fn browser(&self) -> Browser {
        self.foreign.browser(&self.place.store, &self.gate).await
    }

    /// The key of a browser's session.
    fn key(&self, browser: &Browser) -> Key {
        let is_tower = self.foreign.framework.is_tower();
        let id = if is_tower { browser.id() } else { actix::id_in(&browser.cookie().unwrap()) };
        KeyHasher::plain().key(&SessionId::parse(&id).unwrap())
    }
}

/// Each of the requests has read the session before any of them is saved.
async fn fifty_parallel_requests_keep_every_entry_and_count_each(case: &Case) {
    let browser = case.foreign.counting().browser(&case.place.store, &case.gate).await;
    browser.get("/set/first/1").await;
    let paths: Vec<String> = (0..TOGETHER).map(|n| format!("/together/add/k{n}")).collect();
    for reply in join_all(paths.iter().map(|path| browser.get(path))).await {
        assert_eq!(reply.status(), 200);
    }
    for n in 0..TOGETHER {
        assert_eq!(browser.get(&format!("/get/k{n}")).await.text(), format!("k{n}"));
    }
    assert_eq!(browser.get("/count").await.text(), (TOGETHER + 1).to_string());
    assert_eq!(browser.get("/get/first").await.text(), "1");
}

async fn a_log_out_wins_over_requests_in_flight(case: &Case) {
    let paths = ["set/a/2", "count", "remove/a", "clear/set/a/2", "cycle", "login/x"];
    for path in paths {
        let browser = case.browser().await;
        browser.get("/set/a/1").await;
        let slow = browser.presenting(browser.cookie().unwrap());
        let path = format!("/wait/{path}");
        let (late, ()) = join!(slow.get(&path), async {
            case.gate.arrived().await;
            assert_eq!(browser.get("/logout").await.status(), 200);
            case.gate.go_on();
        });
        assert_eq!((late.status(), late.set_cookie()), (500, None), "{path}");
        assert_eq!(late.text(), "", "{path}");
        assert_eq!(case.place.records().await, 0, "{path}");
        assert_eq!(slow.get("/get/a").await.text(), "none", "{path}");
    }
}

async fn a_request_in_flight_that_changes_nothing_is_answered(case: &Case) {
    for foreign in [case.foreign, case.foreign.extending()] {
        let browser = foreign.browser(&case.place.store, &case.gate).await;
        browser.get("/set/a/1").await;
        let slow = browser.presenting(browser.cookie().unwrap());
        let (late, ()) = join!(slow.get("/wait/get/a"), async {
            case.gate.arrived().await;
            browser.get("/logout").await;
            case.gate.go_on();
        });
        assert_eq!((late.status(), late.text()), (200, "1"));
        assert_eq!(case.place.records().await, 0);
    }
}

async fn a_rotation_keeps_what_others_saved_meanwhile(case: &Case) {
    let browser = case.browser().await;
    browser.get("/set/a/1").await;
    let other = browser.presenting(browser.cookie().unwrap());
    let (late, ()) = join!(browser.get("/wait/login/alice"), async {
        case.gate.arrived().await;
        assert_eq!(other.get("/set/b/2").await.status(), 200);
        assert_eq!(other.get("/remove/a").await.status(), 200);
        case.gate.go_on();
    });
    assert_eq!(late.status(), 200);
    assert_ne!(browser.cookie(), other.cookie());
    for (name, value) in [("a", "none"), ("b", "2"), ("user", "alice")] {
        assert_eq!(browser.get(&format!("/get/{name}")).await.text(), value);
    }
    assert_eq!(other.get("/get/b").await.text(), "none", "the old id leads nowhere");
    assert_eq!(case.place.records().await, 1);
}

/// There is never a second copy.
async fn of_two_rotations_one_is_refused(case: &Case) {
    let browser = case.browser().await;
    browser.get("/set/a/1").await;
    let slow = browser.presenting(browser.cookie().unwrap());
    let (late, ()) = join!(slow.get("/wait/cycle"), async {
        case.gate.arrived().await;
        assert_eq!(browser.get("/cycle").await.status(), 200);
        case.gate.go_on();
    });
    assert_eq!((late.status(), late.set_cookie()), (500, None));
    assert_eq!(browser.get("/get/a").await.text(), "1");
    assert_eq!(case.place.records().await, 1);
}

async fn damaged_sessions_are_refused_and_stay_as_they_are(case: &Case) {
    const DAMAGED: &[u8] = b"damaged";
    let browser = case.browser().await;
    browser.get("/set/a/1").await;
    let key = case.key(&browser);
    let (write, op) = (Write::new(DAMAGED, Ttl::NEVER), OpToken::generate().unwrap());
    case.place.store.save(&key, write, Expected::Any, op).await.unwrap();
    for path in ["/get/a", "/set/a/2", "/clear/set/a/2", "/remove/a"] {
        let reply = browser.get(path).await;
        assert_eq!((reply.status(), reply.set_cookie()), (500, None), "{path}");
    }
    let record = case.place.store.load(&key, ReadOptions::latest()).await.unwrap().unwrap();
    assert_eq!(record.payload, DAMAGED);
    assert_eq!(case.place.records().await, 1);
}
