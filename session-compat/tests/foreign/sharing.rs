//! One application, some of its routes on tower-sessions and some on session-tower, with one cookie.

use std::sync::Arc;

use axum::{Router, body::Body, extract::State, http::Uri, response::IntoResponse};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use session_compat::{ActixStore, TowerStore};
use session_core::{Codec, IdForm, MemoryStore, NativeFormat, SessionManager};
use session_http::{
    SessionCookie, WebSessions,
    scenarios::{Browser, Server, TestApp},
};
use session_tower::{Session, SessionError, SessionLayer};
use test_servers::trial;
use tower_sessions_015::Session as TowerSession;

use crate::{
    app::App,
    tower::{self, Running},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for codec in [Codec::MessagePack, Codec::Json] {
        let named = |name| format!("sharing::{name}::{codec:?}");
        trials.push(trial(named("one_cookie_serves_both_layers"), &[], None, move || async move {
            one_cookie_serves_both_layers(codec).await;
            Ok(())
        }));
        trials.push(trial(
            named("structs_are_read_on_both_sides"),
            &[],
            None,
            move || async move {
                structs_are_read_on_both_sides(codec).await;
                Ok(())
            },
        ));
    }
    trials
}

fn manager(codec: Codec) -> SessionManager {
    TowerStore::manager(MemoryStore::new()).format(NativeFormat::new(codec)).build().unwrap()
}

async fn handle(State(app): State<TestApp>, session: Session, uri: Uri) -> impl IntoResponse {
    let response = app.handle(session.into_inner(), uri.path()).await;
    response.map(|response| response.map(Body::from)).map_err(SessionError::from)
}

/// Routes on our own layer, with the cookie of tower-sessions.
fn ours(manager: &SessionManager) -> Browser {
    let cookie = SessionCookie::builder().foreign_ids().build().unwrap();
    let sessions = WebSessions::builder(manager.clone()).cookie(cookie).build();
    let router = Router::new().fallback(handle).with_state(TestApp::default());
    let server: Box<dyn Server> = Box::new(Running(router.layer(SessionLayer::new(sessions))));
    Browser::new(server)
}

fn theirs(manager: &SessionManager) -> Browser {
    let store = TowerStore::from_manager(manager.clone()).unwrap();
    Browser::new(tower::v015::serve(store, App::new(TestApp::default()), false))
}

/// Who begins the session and who changes its id makes no difference.
async fn one_cookie_serves_both_layers(codec: Codec) {
    let manager = manager(codec);
    let (ours, theirs) = (ours(&manager), theirs(&manager));
    for (first, second) in [(&ours, &theirs), (&theirs, &ours)] {
        let begun = first.presenting("x=y");
        begun.get("/set/a/1").await;
        let other = second.presenting(begun.cookie().unwrap());
        assert_eq!(other.get("/get/a").await.text(), "1");
        other.get("/set/b/2").await;
        assert_eq!(begun.get("/get/b").await.text(), "2");
        assert_eq!(other.get("/count").await.text(), "1");
        assert_eq!(begun.get("/count").await.text(), "2");

        other.get("/login/alice").await;
        assert_ne!(other.cookie(), begun.cookie());
        let after = first.presenting(other.cookie().unwrap());
        assert_eq!(after.get("/get/user").await.text(), "alice");
        assert_eq!(after.get("/get/a").await.text(), "1");
        after.get("/logout").await;
        assert_eq!(other.get("/get/user").await.text(), "none");
    }
    let old = ours.presenting("x=y");
    old.get("/set/a/1").await;
    let cycled = ours.presenting(old.cookie().unwrap());
    cycled.get("/cycle").await;
    let late = theirs.presenting(old.cookie().unwrap());
    assert_eq!(late.get("/get/a").await.text(), "1", "during the grace");
    assert_eq!(late.get("/set/late/1").await.status(), 200);
    assert_eq!(cycled.get("/get/late").await.text(), "1");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Cart {
    owner: Option<String>,
    items: Vec<Item>,
    total: f64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Item {
    Book { pages: u64 },
    Voucher(i64),
    Nothing,
}

async fn structs_are_read_on_both_sides(codec: Codec) {
    let manager = manager(codec);
    let items = vec![Item::Book { pages: u64::MAX }, Item::Voucher(-5), Item::Nothing];
    let cart = Cart { owner: None, items, total: 0.1 };
    let store = Arc::new(TowerStore::from_manager(manager.clone()).unwrap());
    let theirs = TowerSession::new(None, Arc::clone(&store), None);
    theirs.insert("cart", &cart).await.unwrap();
    theirs.save().await.unwrap();
    let id = theirs.id().unwrap();
    let ours = manager.open(Some(session_core::SessionId::parse(&id.to_string()).unwrap()));
    assert_eq!(ours.get("cart").await.unwrap().as_ref(), Some(&cart));

    ours.insert("copy", &cart).await.unwrap();
    ours.save().await.unwrap();
    let theirs = TowerSession::new(Some(id), store, None);
    assert_eq!(theirs.get("copy").await.unwrap().as_ref(), Some(&cart));

    let of_core = SessionManager::builder(MemoryStore::new()).build().unwrap();
    assert!(TowerStore::from_manager(of_core.clone()).is_err(), "its ids are too long");
    assert!(ActixStore::from_manager(of_core).is_ok());
    assert_eq!(manager.id_form(), IdForm::Short);
}
