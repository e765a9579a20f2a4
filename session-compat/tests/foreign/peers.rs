//! The same requests on the store that tower-sessions brings: what ours are held against.

use futures_util::future::join_all;
use libtest_mimic::Trial;
use session_http::scenarios::{Browser, TestApp};
use test_servers::trial;
use tokio::join;
use tower_sessions_015::MemoryStore;

use crate::{
    app::{App, TOGETHER},
    tower,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("peers::the_framework_s_store_keeps_one_of_fifty_updates", &[], None, || async {
            keeps_one_of_fifty_updates().await;
            Ok(())
        }),
        trial("peers::the_framework_s_store_brings_a_session_back", &[], None, || async {
            brings_a_session_back().await;
            Ok(())
        }),
    ]
}

fn browser(gate: &TestApp) -> Browser {
    let app = App::new(gate.clone());
    Browser::new(tower::v015::serve(MemoryStore::default(), app, false))
}

async fn keeps_one_of_fifty_updates() {
    let browser = browser(&TestApp::default());
    browser.get("/set/first/1").await;
    let paths: Vec<String> = (0..TOGETHER).map(|n| format!("/together/add/k{n}")).collect();
    for reply in join_all(paths.iter().map(|path| browser.get(path))).await {
        assert_eq!(reply.status(), 200, "no request is told");
    }
    let mut kept = 0;
    for n in 0..TOGETHER {
        kept += usize::from(browser.get(&format!("/get/k{n}")).await.text() != "none");
    }
    assert_eq!((kept, browser.get("/count").await.text()), (1, "2"));
}

async fn brings_a_session_back() {
    let gate = TestApp::default();
    let browser = browser(&gate);
    browser.get("/login/alice").await;
    let slow = browser.presenting(browser.cookie().unwrap());
    let (late, ()) = join!(slow.get("/wait/set/a/1"), async {
        gate.arrived().await;
        browser.get("/logout").await;
        gate.go_on();
    });
    assert_eq!(late.status(), 200);
    assert_eq!(slow.get("/get/user").await.text(), "alice", "who logged out is logged in");
}
