//! What needs a store that counts, or a look behind the middleware.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix_session::storage::{SessionKey, SessionStore as _};
use actix_web::cookie::time;
use libtest_mimic::Trial;
use session_compat::{ActixStore, TowerStore};
use session_core::{
    CookieChange, KeyHasher, MemoryStore, ReadOptions, SessionId, SessionManager, SessionStore,
};
use session_http::scenarios::{Bench, Browser, Counts};
use test_servers::trial;
use tower_sessions_015::{
    Expiry, Session, SessionStore as _,
    cookie::time::{Duration as Life, OffsetDateTime},
    session::{Id, Record},
};

use crate::{
    actix,
    framework::{Foreign, Framework},
};

pub(crate) fn trials() -> Vec<Trial> {
    macro_rules! through {
        ($($name:ident)*) => {
            Framework::ALL.into_iter().flat_map(|framework| [$(
                trial(format!("{framework}::details::{}", stringify!($name)), &[], None, move || async move {
                    $name(framework).await;
                    Ok(())
                })
            ),*]).collect::<Vec<_>>()
        };
    }
    macro_rules! alone {
        ($($name:ident)*) => {
            [$(trial(format!("details::{}", stringify!($name)), &[], None, || async {
                $name().await;
                Ok(())
            })),*]
        };
    }
    let mut trials = through![
        what_is_not_changed_is_touched_at_most
        with_an_unknown_id_nothing_is_written
        a_store_that_is_down_refuses_and_loses_nothing
        without_a_rule_the_last_count_stands
    ];
    trials.extend(alone![
        a_tower_session_may_be_saved_many_times
        an_empty_tower_session_can_be_saved_for_its_id
        a_shorter_life_counts_and_a_date_in_the_past_ends_it
        tower_ids_are_stored_as_digests
        an_entry_of_the_adapter_is_never_stored
        values_without_a_form_in_json_stay_as_they_are
        actix_neither_updates_nor_extends_what_is_not_there
    ]);
    trials
}

impl Framework {
    async fn probed(self, bench: &Bench, extends: bool) -> Browser {
        let foreign = Foreign { extends, ..Foreign::new(self) };
        let store: Arc<dyn SessionStore> = Arc::new(bench.store.clone());
        foreign.browser(&store, &bench.app).await
    }

    /// A cookie that the framework accepts.
    fn cookie(self, id: &str) -> String {
        if self.is_tower() {
            return format!("__Host-id={id}");
        }
        actix::cookie_of(id)
    }
}

/// Also where the framework saves with every request.
async fn what_is_not_changed_is_touched_at_most(framework: Framework) {
    let bench = Bench::new();
    let browser = framework.probed(&bench, true).await;
    browser.get("/set/a/1").await;
    bench.forget_counts();
    for path in ["/get/a", "/set/a/1"] {
        browser.get(path).await;
        assert_eq!(bench.counts(), Counts::new(1, 0), "{path}");
    }
    bench.clock.advance(Duration::from_secs(61));
    browser.get("/get/a").await;
    assert_eq!(bench.counts(), Counts::new(1, 1), "a touch is due");
    browser.get("/get/a").await;
    assert_eq!(bench.counts(), Counts::new(1, 0), "and not again");
}

/// SEC-03, SEC-24.
async fn with_an_unknown_id_nothing_is_written(framework: Framework) {
    let bench = Bench::new();
    let browser = framework.probed(&bench, false).await;
    let unknown = framework.cookie(SessionId::generate_short().unwrap().expose());
    for path in ["/untouched", "/get/a", "/remove/a", "/cycle", "/logout", "/clear"] {
        browser.presenting(&unknown).get(path).await;
        assert_eq!(bench.counts().writes, 0, "{path}");
        assert_eq!(bench.records().await, 0, "{path}");
    }
    for path in ["/set/a/1", "/login/alice"] {
        let visitor = browser.presenting(&unknown);
        assert!(visitor.get(path).await.set_cookie().is_some(), "{path}");
        assert_ne!(visitor.cookie().unwrap(), unknown, "{path}");
        assert_eq!(browser.presenting(&unknown).get("/get/a").await.text(), "none", "{path}");
    }
}

/// Z02, Z03.
async fn a_store_that_is_down_refuses_and_loses_nothing(framework: Framework) {
    let bench = Bench::new();
    let browser = framework.probed(&bench, true).await;
    browser.get("/set/a/1").await;
    let cookie = browser.cookie();
    bench.store.take_down();
    let newcomer = browser.presenting("x=y");
    let paths = ["/get/a", "/set/a/2", "/count", "/cycle", "/login/x", "/logout"];
    for (visitor, path) in
        paths.map(|path| (&browser, path)).into_iter().chain([(&newcomer, "/set/a/1")])
    {
        let reply = visitor.get(path).await;
        assert_eq!((reply.status(), reply.set_cookie()), (500, None), "{path}");
        assert_eq!(reply.text(), "", "{path}");
    }
    bench.store.bring_up();
    assert_eq!(browser.cookie(), cookie);
    assert_eq!(browser.get("/get/a").await.text(), "1");
    assert_eq!(bench.records().await, 1);
}

/// The limit of both traits: a handler that reads and writes does so on its own copy.
async fn without_a_rule_the_last_count_stands(framework: Framework) {
    let bench = Bench::new();
    let browser = framework.probed(&bench, false).await;
    browser.get("/set/a/1").await;
    let (late, ()) = tokio::join!(browser.get("/wait/add/slow"), async {
        bench.app.arrived().await;
        browser.get("/add/quick").await;
        bench.app.go_on();
    });
    assert_eq!(late.status(), 200);
    assert_eq!(browser.get("/get/quick").await.text(), "quick");
    assert_eq!(browser.get("/get/slow").await.text(), "slow");
    assert_eq!(browser.get("/count").await.text(), "2", "both counted from none to one");
}

fn tower() -> (MemoryStore, TowerStore) {
    let store = MemoryStore::new();
    (store.clone(), TowerStore::new(store).unwrap())
}

fn session(id: Option<Id>, store: &TowerStore) -> Session {
    Session::new(id, Arc::new(store.clone()), None)
}

/// What a later save takes back must not come out of the load.
async fn a_tower_session_may_be_saved_many_times() {
    let (_, store) = tower();
    let first = session(None, &store);
    first.insert("state", "idle").await.unwrap();
    first.save().await.unwrap();
    let id = first.id();
    for session in [first, session(id, &store)] {
        session.insert("state", "busy").await.unwrap();
        session.insert("lock", 1).await.unwrap();
        session.save().await.unwrap();
        let other = self::session(id, &store);
        other.insert("other", "kept").await.unwrap();
        other.save().await.unwrap();
        session.insert("state", "idle").await.unwrap();
        session.remove_value("lock").await.unwrap();
        session.save().await.unwrap();
        let seen = self::session(id, &store);
        assert_eq!(seen.get::<String>("state").await.unwrap().as_deref(), Some("idle"));
        assert_eq!(seen.get_value("lock").await.unwrap(), None);
        assert_eq!(seen.get::<String>("other").await.unwrap().as_deref(), Some("kept"));
    }
}

async fn an_empty_tower_session_can_be_saved_for_its_id() {
    let (_, store) = tower();
    let new = session(None, &store);
    new.save().await.unwrap();
    let id = new.id();
    new.insert("a", 1).await.unwrap();
    new.save().await.unwrap();
    assert_eq!(new.id(), id);
    assert_eq!(session(id, &store).get::<u8>("a").await.unwrap(), Some(1));
}

async fn a_shorter_life_counts_and_a_date_in_the_past_ends_it() {
    let (_, store) = tower();
    let new = session(None, &store);
    new.insert("a", 1).await.unwrap();
    new.save().await.unwrap();
    let id = new.id().unwrap();
    let left = async |store: &TowerStore| {
        let record: Option<Record> = store.load(&id).await.unwrap();
        record.map(|record| record.expiry_date - OffsetDateTime::now_utc())
    };
    assert!(left(&store).await.unwrap() > Life::days(13));
    let shortened = session(Some(id), &store);
    shortened.get_value("a").await.unwrap();
    shortened.set_expiry(Some(Expiry::OnInactivity(Life::minutes(10))));
    shortened.save().await.unwrap();
    assert!(left(&store).await.unwrap() <= Life::minutes(11));
    shortened.set_expiry(Some(Expiry::AtDateTime(OffsetDateTime::UNIX_EPOCH)));
    shortened.save().await.unwrap();
    assert_eq!(left(&store).await, None);
}

/// SEC-06.
async fn tower_ids_are_stored_as_digests() {
    let (memory, store) = tower();
    let new = session(None, &store);
    new.insert("a", 1).await.unwrap();
    new.save().await.unwrap();
    let id = SessionId::parse(&new.id().unwrap().to_string()).unwrap();
    let key = KeyHasher::plain().key(&id);
    assert!(memory.load(&key, ReadOptions::latest()).await.unwrap().is_some());
    let digest = i128::from_le_bytes(*key.digest().as_bytes().first_chunk().unwrap());
    assert!(store.load(&Id(digest)).await.unwrap().is_none(), "a key is no id");
}

/// Nor does a copy of it lead one session to another.
async fn an_entry_of_the_adapter_is_never_stored() {
    let (memory, store) = tower();
    let new = session(None, &store);
    new.insert("a", 1).await.unwrap();
    new.save().await.unwrap();
    let loaded: Record = store.load(&new.id().unwrap()).await.unwrap().unwrap();
    assert_eq!(loaded.data.len(), 2, "the entry, and the one of the adapter");
    let id = SessionId::parse(&loaded.id.to_string()).unwrap();
    let ours = SessionManager::new(memory).unwrap().open(Some(id));
    assert_eq!(ours.names().await.unwrap(), ["a"]);

    let mut forged = loaded.clone();
    for value in forged.data.values_mut() {
        *value = "forged".into();
    }
    assert!(store.save(&forged).await.is_err());
    let elsewhere = TowerStore::new(MemoryStore::new()).unwrap();
    assert!(elsewhere.save(&loaded).await.is_err(), "of another store");
}

/// Nor are they decoded by anybody on the way.
async fn values_without_a_form_in_json_stay_as_they_are() {
    let manager = TowerStore::manager(MemoryStore::new()).build().unwrap();
    let store = TowerStore::from_manager(manager.clone()).unwrap();
    let ours = manager.open(None);
    let numbers = BTreeMap::from([(1_u32, 2_u32)]);
    ours.insert("numbers", &numbers).await.unwrap();
    ours.insert("text", "old").await.unwrap();
    ours.save().await.unwrap();
    let CookieChange::Set { id, .. } = ours.cookie_change() else { panic!("it is stored") };

    let foreign = session(Some(id.expose().parse().unwrap()), &store);
    assert_eq!(foreign.get_value("numbers").await.unwrap(), None);
    foreign.insert("text", "new").await.unwrap();
    foreign.save().await.unwrap();
    let again = manager.open(Some(id));
    assert_eq!(again.get("numbers").await.unwrap(), Some(numbers));
    assert_eq!(again.get::<String>("text").await.unwrap().as_deref(), Some("new"));
}

async fn actix_neither_updates_nor_extends_what_is_not_there() {
    let memory = MemoryStore::new();
    let store = ActixStore::new(memory.clone()).unwrap();
    let life = time::Duration::minutes(10);
    let key = |text: &str| SessionKey::try_from(text.to_owned()).unwrap();
    let state = || [("user".to_owned(), "\"alice\"".to_owned())].into();
    for missing in ["a".repeat(64), "not an id; of ours".to_owned(), "x".repeat(4_000)] {
        assert!(store.update(key(&missing), state(), &life).await.is_err());
        store.update_ttl(&key(&missing), &life).await.unwrap();
        store.delete(&key(&missing)).await.unwrap();
        assert!(store.load(&key(&missing)).await.unwrap().is_none());
    }
    let made = store.save(state(), &life).await.unwrap();
    let loaded = store.load(&made).await.unwrap().unwrap();
    store.delete(&made).await.unwrap();
    assert!(store.update(key(made.as_ref()), state(), &life).await.is_err());
    let mut changed = loaded.clone();
    changed.insert("more".to_owned(), "1".to_owned());
    assert!(store.update(key(made.as_ref()), changed, &life).await.is_err());
    store.update_ttl(&made, &life).await.unwrap();
    store.save(loaded.clone(), &life).await.unwrap();
    assert!(store.save(loaded, &life).await.is_err());
    let all = memory.enumeration().unwrap().keys(None, 10).await.unwrap();
    assert_eq!(all.keys.len(), 1, "what was taken by its own deletion goes on, once");
}
