//! The sessions of a principal: listed, ended, limited, and noted in the audit.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use session_core::{
    ClientMatch, CookieChange, EpochCheck, ErrorKind, Lifetime, MemoryStore, OffsetClock, OnChange,
    Operation, OverLimit, Result, Session, SessionEvent, SessionHandle, SessionId, SessionManager,
    SessionManagerBuilder, SessionStore, SteadyClock,
};
use support::{Between, SOON, Watched, set_id, stored};
use tokio::sync::Barrier;

const MINUTE: Duration = Duration::from_secs(60);

fn manager(set: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder) -> SessionManager {
    set(SessionManager::builder(MemoryStore::new())).build().unwrap()
}

async fn logged_in(manager: &SessionManager, user: &str) -> SessionId {
    let session = manager.open(None);
    session.login(user).await.unwrap();
    set_id(&session)
}

fn open(manager: &SessionManager, id: &SessionId) -> Session {
    manager.open(Some(id.clone()))
}

async fn is_live(manager: &SessionManager, id: &SessionId) -> bool {
    open(manager, id).facts().await.unwrap().is_some()
}

#[tokio::test]
async fn a_log_in_is_stored_when_it_returns() {
    let manager = manager(|settings| settings);
    let session = manager.open(None);
    session.login("ada").await.unwrap();
    assert!(is_live(&manager, &set_id(&session)).await);
}

#[tokio::test]
async fn sec_22_a_list_shows_what_a_user_knows_his_devices_by() {
    let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
    let store = MemoryStore::builder().clock(Arc::clone(&clock)).build();
    let manager = SessionManager::builder(store)
        .clock(Arc::clone(&clock))
        .lifetime(Lifetime::new(60 * MINUTE, Some(600 * MINUTE)))
        .build()
        .unwrap();
    let phone = manager.open(None);
    let login = phone.begin_login("ada").await.unwrap();
    login.client("Safari on iPhone\r\n").complete().await.unwrap();
    clock.advance(30 * MINUTE);
    let desk = manager.open(None);
    desk.login("ada").await.unwrap();
    open(&manager, &set_id(&phone)).save().await.unwrap();
    let used = open(&manager, &set_id(&phone));
    used.names().await.unwrap();
    used.save().await.unwrap();
    clock.advance(4 * MINUTE);
    let list = manager.sessions_of("ada").unwrap().list(10, Some(&desk)).await.unwrap();
    let [first, second] = &list[..] else { panic!("{list:?}") };
    assert!(first.is_current && !second.is_current);
    assert_eq!(first.client, None);
    assert_eq!(second.client.as_ref().unwrap().as_str(), "Safari on iPhone");
    assert_eq!(second.handle, phone.facts().await.unwrap().unwrap().handle.unwrap());
    let facts = phone.facts().await.unwrap().unwrap();
    assert_eq!(second.created_at, facts.created_at);
    assert_eq!(second.authenticated_at, facts.authenticated_at);
    let since = second.last_used.since(second.created_at);
    assert!(since >= 29 * MINUTE && since <= 31 * MINUTE, "used after {since:?}");
    assert!(second.last_used_within <= 6 * MINUTE + Duration::from_secs(1));
    assert_eq!(manager.sessions_of("ada").unwrap().list(1, None).await.unwrap().len(), 1);
    assert!(manager.sessions_of("bob").unwrap().list(9, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_last_use_is_no_more_exact_than_the_store_can_tell() {
    let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
    let store = MemoryStore::builder().clock(Arc::clone(&clock)).build();
    let lifetime = Lifetime::new(60 * MINUTE, Some(70 * MINUTE));
    let builder = SessionManager::builder(store).clock(Arc::clone(&clock)).lifetime(lifetime);
    let manager = builder.build().unwrap();
    let id = logged_in(&manager, "ada").await;
    for _ in 0..4 {
        clock.advance(11 * MINUTE);
        let session = open(&manager, &id);
        session.names().await.unwrap();
        session.save().await.unwrap();
    }
    let list = manager.sessions_of("ada").unwrap().list(9, None).await.unwrap();
    let used = list[0].last_used.since(list[0].created_at);
    // The absolute deadline ends it, so nothing tells of what came after that was sure.
    assert!(used <= 11 * MINUTE, "{used:?}");
    assert!(list[0].last_used_within >= 33 * MINUTE);
}

#[tokio::test]
async fn a_handle_stays_when_the_id_changes_and_ends_nobody_elses_session() {
    let manager = manager(|settings| settings);
    let id = logged_in(&manager, "ada").await;
    let other = logged_in(&manager, "eve").await;
    let handle = open(&manager, &id).facts().await.unwrap().unwrap().handle.unwrap();
    let rotated = open(&manager, &id);
    rotated.cycle_id().await.unwrap();
    assert_eq!(rotated.facts().await.unwrap().unwrap().handle, Some(handle));
    let error = manager.sessions_of("eve").unwrap().revoke(&handle).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = SessionHandle::parse(&handle.to_string()).unwrap();
    manager.sessions_of("ada").unwrap().revoke(&text).await.unwrap();
    assert!(!is_live(&manager, &set_id(&rotated)).await);
    assert!(is_live(&manager, &other).await);
    // Another log-in of the same browser is another line in the list.
    let again = open(&manager, &other);
    let before = again.facts().await.unwrap().unwrap().handle;
    again.login("eve").await.unwrap();
    assert_ne!(again.facts().await.unwrap().unwrap().handle, before);
}

#[tokio::test]
async fn all_sessions_but_the_present_one_end_and_it_goes_on() {
    for check in [EpochCheck::Off, EpochCheck::EachLoad] {
        let manager = manager(|settings| settings.epoch_check(check));
        let mut others = Vec::new();
        for _ in 0..3 {
            others.push(logged_in(&manager, "ada").await);
        }
        let id = logged_in(&manager, "ada").await;
        let present = open(&manager, &id);
        present.insert("unsaved", 1).await.unwrap();
        let sessions = present.principal_sessions().await.unwrap().unwrap();
        assert_eq!(sessions.revoke_others(&present).await.unwrap(), 3);
        present.save().await.unwrap();
        for other in &others {
            assert!(!is_live(&manager, other).await);
        }
        assert_eq!(open(&manager, &id).get("unsaved").await.unwrap(), Some(1));
        let list = sessions.list(9, Some(&present)).await.unwrap();
        assert!(list.len() == 1 && list[0].is_current);
        let stranger = manager.open(None);
        stranger.login("eve").await.unwrap();
        let error = sessions.revoke_others(&stranger).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(is_live(&manager, &id).await);
        assert_eq!(sessions.revoke_all().await.unwrap(), 1);
        assert!(!is_live(&manager, &id).await);
    }
}

#[tokio::test]
async fn the_present_session_goes_on_although_somebody_held_its_lock() {
    let manager = manager(|settings| settings.epoch_check(EpochCheck::EachLoad));
    let id = logged_in(&manager, "ada").await;
    let mut locked = open(&manager, &id).lock(SOON).await.unwrap();
    locked.insert("held", 1).unwrap();
    let present = open(&manager, &id);
    let sessions = manager.sessions_of("ada").unwrap();
    let revoking = tokio::spawn(async move { sessions.revoke_others(&present).await });
    tokio::task::yield_now().await;
    locked.commit().await.unwrap();
    assert_eq!(revoking.await.unwrap().unwrap(), 0);
    assert_eq!(open(&manager, &id).get("held").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_log_in_that_a_revocation_overtakes_leaves_nothing() {
    let manager = manager(|settings| settings);
    for stored_before in [true, false] {
        let session = match stored_before {
            true => manager.open(Some(stored(&manager).await)),
            false => manager.open(None),
        };
        let login = session.begin_login("ada").await.unwrap();
        manager.sessions_of("ada").unwrap().revoke_all().await.unwrap();
        let error = login.complete().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(!matches!(session.cookie_change(), CookieChange::Set { .. }));
        session.save().await.unwrap();
        assert!(session.facts().await.unwrap().is_none());
        assert!(manager.sessions_of("ada").unwrap().list(9, None).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_session_without_a_handle_of_its_own_is_listed_and_ended_all_the_same() {
    use session_core::{Document, Format, Header, Key, KeyHasher, Meta, NativeFormat, OpToken};
    use session_core::{SessionStore, Write};
    let store = MemoryStore::new();
    let manager = SessionManager::new(store.clone()).unwrap();
    let format = NativeFormat::default();
    let document: Document = format.new_document(session_core::Timestamp::from_millis(1));
    let _: &Header = &document.header;
    let id = SessionId::generate().unwrap();
    let key: Key = KeyHasher::plain().key(&id);
    let meta = Meta::new().with_principal(Some(KeyHasher::plain().principal("ada")), 0);
    let write = Write::new(format.encode(&document).unwrap(), SOON).with_meta(meta);
    store.create(&key, write, OpToken::generate().unwrap(), None).await.unwrap();
    let sessions = manager.sessions_of("ada").unwrap();
    let present = open(&manager, &id);
    let list = sessions.list(9, Some(&present)).await.unwrap();
    assert!(list.len() == 1 && list[0].is_current);
    sessions.revoke(&list[0].handle).await.unwrap();
    assert!(!is_live(&manager, &id).await);
    // A record that cannot be read is not listed, and is ended with the others.
    let write = Write::new("damaged", SOON).with_meta(meta);
    store.create(&key, write, OpToken::generate().unwrap(), None).await.unwrap();
    assert!(sessions.list(9, None).await.unwrap().is_empty());
    assert_eq!(sessions.revoke_all().await.unwrap(), 1);
}

#[tokio::test]
async fn sec_23_a_log_in_beyond_the_limit_is_refused_and_changes_nothing() {
    let manager = manager(|settings| settings.session_limit(2, OverLimit::Refuse));
    let first = logged_in(&manager, "ada").await;
    logged_in(&manager, "ada").await;
    logged_in(&manager, "eve").await;
    let id = stored(&manager).await;
    let third = open(&manager, &id);
    let error = third.login("ada").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManySessions);
    assert_eq!(third.cookie_change(), CookieChange::None);
    assert_eq!(third.facts().await.unwrap().unwrap().authenticated_at, None);
    // One who logs in again where he is logged in takes no place.
    open(&manager, &first).login("ada").await.unwrap();
    let sessions = manager.sessions_of("ada").unwrap();
    let oldest = sessions.list(9, None).await.unwrap().pop().unwrap();
    sessions.revoke(&oldest.handle).await.unwrap();
    third.login("ada").await.unwrap();
    assert_eq!(sessions.list(9, None).await.unwrap().len(), 2);
}

/// Two log-ins are stored at the same moment, and both look before either is taken back.
struct Together {
    stored: Barrier,
    both: AtomicBool,
    looks: AtomicUsize,
}

#[async_trait]
impl Between for Together {
    async fn before(&self, call: Operation) -> Result<()> {
        match call {
            Operation::Create => {
                self.stored.wait().await;
            }
            // Each of the two reads three sessions: its own, the other's and an older one.
            Operation::Delete => {
                let both_looked = async {
                    while self.looks.load(Ordering::SeqCst) < 6 {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::time::timeout(SOON, both_looked).await.unwrap();
            }
            _ => {}
        }
        Ok(())
    }

    async fn after(&self, call: Operation) -> Result<()> {
        match call {
            Operation::Create => {
                self.stored.wait().await;
                self.both.store(true, Ordering::SeqCst);
            }
            Operation::Load if self.both.load(Ordering::SeqCst) => {
                self.looks.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        }
        Ok(())
    }
}

fn refusing(store: impl SessionStore, most: usize) -> SessionManagerBuilder {
    SessionManager::builder(store).session_limit(most, OverLimit::Refuse)
}

/// Each has seen that there is room before the other is there.
#[tokio::test]
async fn sec_23_of_two_log_ins_that_meet_at_the_last_place_one_has_it() {
    let store = Watched::new(Together {
        stored: Barrier::new(2),
        both: AtomicBool::new(false),
        looks: AtomicUsize::new(0),
    });
    let earlier = OffsetClock::new(SteadyClock::start());
    earlier.step_back(MINUTE);
    let alone = refusing(store.store.clone(), 2).clock(earlier).build().unwrap();
    let manager = refusing(store, 2).build().unwrap();
    logged_in(&alone, "ada").await;
    let (one, other) = (manager.open(None), manager.open(None));
    let refused = match tokio::join!(one.login("ada"), other.login("ada")) {
        (Ok(()), Err(refused)) | (Err(refused), Ok(())) => refused,
        both => panic!("{both:?}"),
    };
    assert_eq!(refused.kind(), ErrorKind::TooManySessions);
    assert_eq!(alone.sessions_of("ada").unwrap().list(9, None).await.unwrap().len(), 2);
}

/// Before a log-in is stored, somebody else logs in.
struct Late(OnceLock<SessionManager>);

#[async_trait]
impl Between for Late {
    async fn before(&self, call: Operation) -> Result<()> {
        if let Some(manager) = self.0.get().filter(|_| call == Operation::Create) {
            manager.open(None).login("ada").await?;
        }
        Ok(())
    }
}

/// By a clock that is behind, the second is the older one, and the first has looked already.
#[tokio::test(start_paused = true)]
async fn sec_23_who_had_the_last_place_keeps_it() {
    let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
    let store = Watched::new(Late(OnceLock::new()));
    let first = refusing(store.store.clone(), 1).build().unwrap();
    assert!(store.between.0.set(first.clone()).is_ok());
    let manager = refusing(store, 1).clock(Arc::clone(&clock)).build().unwrap();
    clock.step_back(MINUTE);
    let late = manager.open(None);
    assert_eq!(late.login("ada").await.unwrap_err().kind(), ErrorKind::TooManySessions);
    assert_eq!(first.sessions_of("ada").unwrap().list(9, None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn sec_23_a_log_in_beyond_the_limit_ends_the_oldest() {
    let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
    let manager = manager(|settings| {
        settings.clock(Arc::clone(&clock)).session_limit(2, OverLimit::EvictOldest)
    });
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(logged_in(&manager, "ada").await);
        clock.advance(Duration::from_secs(1));
    }
    let mut live = Vec::new();
    for id in &ids {
        live.push(is_live(&manager, id).await);
    }
    assert_eq!(live, [false, false, true, true]);
    // By a clock that is behind, this log-in is the oldest.
    clock.step_back(Duration::from_secs(60));
    let late = manager.open(None);
    assert_eq!(late.login("ada").await.unwrap_err().kind(), ErrorKind::TooManySessions);
    assert!(!matches!(late.cookie_change(), CookieChange::Set { .. }));
    assert!(is_live(&manager, &ids[2]).await && is_live(&manager, &ids[3]).await);
}

#[tokio::test]
async fn sec_23_the_application_is_asked_whom_to_end() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let choose = OverLimit::ask(move |sessions| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Vec::new(),
        _ => sessions.iter().take(1).map(|session| session.handle).collect(),
    });
    let manager = manager(|settings| settings.session_limit(2, choose));
    logged_in(&manager, "ada").await;
    logged_in(&manager, "ada").await;
    let third = manager.open(None);
    assert_eq!(third.login("ada").await.unwrap_err().kind(), ErrorKind::TooManySessions);
    third.login("ada").await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let sessions = manager.sessions_of("ada").unwrap();
    assert_eq!(sessions.list(9, None).await.unwrap().len(), 2);
    assert!(is_live(&manager, &set_id(&third)).await);
}

#[tokio::test]
async fn settings_that_need_more_than_there_is_are_refused() {
    let kind = |set: fn(SessionManagerBuilder) -> SessionManagerBuilder| {
        set(SessionManager::builder(MemoryStore::new())).build().unwrap_err().kind()
    };
    let config = ErrorKind::Config;
    assert_eq!(kind(|settings| settings.session_limit(0, OverLimit::Refuse)), config);
    assert_eq!(kind(|settings| settings.renew_id_after(Duration::ZERO)), config);
    assert_eq!(kind(|settings| settings.renew_id_after(Duration::from_secs(29))), config);
}

#[tokio::test]
async fn sec_26_who_has_shown_again_who_he_is_may_do_grave_things_under_the_new_id_only() {
    let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
    let manager = manager(|settings| settings.clock(Arc::clone(&clock)));
    let anonymous = manager.open(None);
    assert!(!anonymous.authenticated_within(MINUTE).await.unwrap());
    assert_eq!(anonymous.reauthenticated().await.unwrap_err().kind(), ErrorKind::NotFound);
    let id = logged_in(&manager, "ada").await;
    clock.advance(10 * MINUTE);
    let session = open(&manager, &id);
    assert!(session.authenticated_within(10 * MINUTE).await.unwrap());
    assert!(!session.authenticated_within(9 * MINUTE).await.unwrap());
    session.insert("unsaved", 1).await.unwrap();
    session.reauthenticated().await.unwrap();
    let new = set_id(&session);
    let later = open(&manager, &new);
    assert!(later.authenticated_within(MINUTE).await.unwrap());
    assert!(later.read_only().authenticated_within(MINUTE).await.unwrap());
    assert_eq!(later.get("unsaved").await.unwrap(), Some(1));
    let facts = later.facts().await.unwrap().unwrap();
    assert_eq!(facts.authenticated_at.unwrap().since(facts.created_at).as_secs() / 60, 10);
    let list = manager.sessions_of("ada").unwrap().list(9, Some(&later)).await.unwrap();
    assert!(list.len() == 1 && list[0].is_current);
    let by_the_old_id = open(&manager, &id);
    assert_eq!(by_the_old_id.get("unsaved").await.unwrap(), Some(1));
    assert!(!by_the_old_id.authenticated_within(MINUTE).await.unwrap());
}

#[test]
fn sec_17_presets_have_the_numbers_of_their_sources() {
    let minutes = |lifetime: Lifetime| {
        (lifetime.idle.as_secs() / 60, lifetime.absolute.unwrap().as_secs() / 3_600)
    };
    assert_eq!(minutes(Lifetime::aal1()), (30 * 24 * 60, 30 * 24));
    assert_eq!(minutes(Lifetime::aal2()), (30, 12));
    assert_eq!(minutes(Lifetime::aal3()), (15, 12));
    assert_eq!(minutes(Lifetime::high_value()), (5, 4));
    assert_eq!(minutes(Lifetime::low_value()), (30, 8));
}

/// What the hook was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<SessionEvent>>>);

impl Told {
    fn hook(&self) -> impl Fn(&SessionEvent) + Send + Sync + 'static {
        let told = self.clone();
        move |event| told.0.lock().unwrap().push(*event)
    }

    fn take(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().drain(..).map(|event| event.name()).collect()
    }
}

#[tokio::test]
async fn sec_45_the_hook_is_told_of_each_turn_in_a_life() {
    use session_core::{Expected, KeyHasher, OpToken, SessionStore, Write};
    let told = Told::default();
    let store = MemoryStore::new();
    let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
    let manager = SessionManager::builder(store.clone())
        .clock(Arc::clone(&clock))
        .epoch_check(EpochCheck::EachLoad)
        .session_limit(1, OverLimit::EvictOldest)
        .audit(told.hook())
        .build()
        .unwrap();
    let id = stored(&manager).await;
    assert_eq!(told.take(), ["created"]);
    let session = open(&manager, &id);
    session.login("ada").await.unwrap();
    assert_eq!(told.take(), ["rotated", "authenticated"]);
    session.reauthenticated().await.unwrap();
    assert_eq!(told.take(), ["rotated", "reauthenticated"]);
    clock.advance(Duration::from_secs(1));
    let second = logged_in(&manager, "ada").await;
    assert_eq!(told.take(), ["created", "authenticated", "evicted"]);
    clock.advance(MINUTE);
    open(&manager, &id).names().await.unwrap();
    assert_eq!(told.take(), ["retired_id_used"]);
    let index = store.principal_index().unwrap();
    index.bump_epoch(&KeyHasher::plain().principal("ada")).await.unwrap();
    assert!(!is_live(&manager, &second).await);
    assert_eq!(told.take(), ["revoked", "unknown"]);
    let third = logged_in(&manager, "eve").await;
    let late = open(&manager, &third);
    late.insert("late", 1).await.unwrap();
    told.take();
    open(&manager, &third).delete().await.unwrap();
    drop(late.save().await);
    assert_eq!(told.take(), ["destroyed", "gone"]);
    let fourth = stored(&manager).await;
    let key = KeyHasher::plain().key(&fourth);
    let mut locked = open(&manager, &fourth).lock(SOON).await.unwrap();
    locked.insert("late", 1).unwrap();
    told.take();
    let write = Write::new("damaged", SOON);
    store.save(&key, write, Expected::Any, OpToken::generate().unwrap()).await.unwrap();
    assert_eq!(locked.commit().await.unwrap_err().kind(), ErrorKind::LockLost);
    assert!(open(&manager, &fourth).names().await.is_err());
    assert_eq!(told.take(), ["lock_lost", "unreadable"]);
}

tokio::task_local! {
    /// The peer of the request.
    static PEER: &'static str;
}

#[tokio::test]
async fn sec_46_the_hook_can_count_unknown_ids_by_the_peer_that_tries_them() {
    let by_mallory = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&by_mallory);
    let manager = manager(|settings| {
        settings.audit(move |event| {
            let is_unknown = matches!(event, SessionEvent::UnknownId(_));
            let is_mallory = PEER.try_with(|peer| *peer == "mallory").unwrap_or_default();
            count.fetch_add(usize::from(is_unknown && is_mallory), Ordering::SeqCst);
        })
    });
    for n in 0..150 {
        let peer = if n % 3 == 0 { "ada" } else { "mallory" };
        let session = manager.open(Some(SessionId::generate().unwrap()));
        PEER.scope(peer, session.names()).await.unwrap();
    }
    assert_eq!(by_mallory.load(Ordering::SeqCst), 100);
}

#[tokio::test]
async fn sec_47_another_client_is_told_of_and_its_session_ended_if_wished() {
    let told = Told::default();
    let manager = manager(|settings| settings.audit(told.hook()));
    let session = manager.open(None);
    let login = session.begin_login("ada").await.unwrap();
    login.bind(&["Firefox", "192.0.2"]).complete().await.unwrap();
    let id = set_id(&session);
    told.take();
    let check = async |properties: &[&str], on_change| {
        open(&manager, &id).check_client(properties, on_change).await.unwrap()
    };
    assert_eq!(check(&["Firefox", "192.0.2"], OnChange::End).await, ClientMatch::Same);
    assert!(told.take().is_empty());
    for other in [["Chrome", "192.0.2"], ["Firefox1", "92.0.2"], ["192.0.2", "Firefox"]] {
        assert_eq!(check(&other, OnChange::Report).await, ClientMatch::Changed);
        assert_eq!(told.take(), ["client_changed"]);
    }
    assert!(is_live(&manager, &id).await);
    assert_eq!(check(&["Firefox"], OnChange::End).await, ClientMatch::Changed);
    assert_eq!(told.take(), ["client_changed", "destroyed"]);
    assert!(!is_live(&manager, &id).await);
    let unbound = logged_in(&manager, "ada").await;
    let checked = open(&manager, &unbound).check_client(&["x"], OnChange::End).await.unwrap();
    assert_eq!(checked, ClientMatch::Unbound);
    assert!(is_live(&manager, &unbound).await);
}

/// A double click: the browser presents the same id twice.
#[tokio::test]
async fn log_ins_that_were_sent_twice_end_in_one_session() {
    for read_before in [true, false] {
        let manager = manager(|settings| settings);
        let old = stored(&manager).await;
        let clicks = [(); 3].map(|()| manager.open(Some(old.clone())));
        for click in &clicks {
            if read_before {
                click.names().await.unwrap();
            }
        }
        for (n, click) in clicks.iter().enumerate() {
            click.insert(&format!("click{n}"), n).await.unwrap();
            click.login("ada").await.unwrap();
        }
        let [ids @ .., last] = clicks.each_ref().map(set_id);
        for id in ids.iter().chain([&old]) {
            assert!(!is_live(&manager, id).await);
        }
        let session = open(&manager, &last);
        for n in 0..3 {
            assert_eq!(session.get(&format!("click{n}")).await.unwrap(), Some(n), "{read_before}");
        }
        assert_eq!(manager.sessions_of("ada").unwrap().list(9, None).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_log_in_as_another_gets_at_no_session_that_the_id_became() {
    for read_before in [true, false] {
        let manager = manager(|settings| settings);
        let old = stored(&manager).await;
        let (ada, eve) = (open(&manager, &old), open(&manager, &old));
        if read_before {
            eve.names().await.unwrap();
        }
        ada.login("ada").await.unwrap();
        let error = eve.login("eve").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(eve.cookie_change(), CookieChange::None);
        assert!(is_live(&manager, &set_id(&ada)).await);
        assert!(manager.sessions_of("eve").unwrap().list(9, None).await.unwrap().is_empty());
    }
}
