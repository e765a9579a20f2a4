//! What types promise without a method: to cross threads, and to keep secrets.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use std::{
    fmt::{Debug, Write as _},
    time::Duration,
};

use session_core::*;
use support::{Log, SOON, set_id};

fn is_shared<T: Send + Sync + Unpin + 'static>() {}

#[test]
fn every_type_crosses_threads() {
    is_shared::<Alias>();
    is_shared::<Capabilities>();
    is_shared::<CookieChange>();
    is_shared::<Cursor>();
    is_shared::<Deadline>();
    is_shared::<Document>();
    is_shared::<Error>();
    is_shared::<Expected<'static>>();
    is_shared::<FrozenClock>();
    is_shared::<Header>();
    is_shared::<Key>();
    is_shared::<KeyHasher>();
    is_shared::<KeyPage>();
    is_shared::<Lease>();
    is_shared::<Locked>();
    is_shared::<LockedSession>();
    is_shared::<LockQueue>();
    is_shared::<LockRequest>();
    is_shared::<Login>();
    is_shared::<MemoryStore>();
    is_shared::<MemoryStoreBuilder>();
    is_shared::<NativeFormat>();
    is_shared::<OffsetClock>();
    is_shared::<ReadOnlySession>();
    is_shared::<Record>();
    is_shared::<Session>();
    is_shared::<SessionData>();
    is_shared::<SessionFacts>();
    is_shared::<SessionId>();
    is_shared::<SessionManager>();
    is_shared::<SessionManagerBuilder>();
    is_shared::<Slot>();
    is_shared::<SteadyClock>();
    is_shared::<SweepReport>();
    is_shared::<Turn>();
    is_shared::<Write>();
}

fn is_send<T: Send>(future: T) -> T {
    future
}

/// Compiles only if all futures may be sent; the closures and values may borrow.
#[test]
fn every_future_crosses_threads() {
    let session = support::manager().open(None);
    let (read_only, name) = (session.read_only(), String::from("n"));
    drop(is_send(session.get::<String>(&name)));
    drop(is_send(session.insert(&name, 1)));
    drop(is_send(session.remove::<String>(&name)));
    drop(is_send(session.clear()));
    drop(is_send(session.contains(&name)));
    drop(is_send(session.names()));
    drop(is_send(session.is_empty()));
    drop(is_send(session.update(|data| data.insert(&name, 1))));
    drop(is_send(session.save()));
    drop(is_send(session.facts()));
    drop(is_send(session.set_idle_lifetime(SOON)));
    drop(is_send(session.delete()));
    drop(is_send(session.cycle_id()));
    drop(is_send(session.login(&name)));
    drop(is_send(session.begin_login(&name)));
    drop(is_send(async { session.begin_login(&name).await?.complete().await }));
    drop(is_send(async {
        let mut locked = session.lock(SOON).await?;
        locked.cycle_id().await?;
        locked.lost().await;
        locked.commit().await
    }));
    drop(is_send(async { session.lock(SOON).await?.rollback().await }));
    drop(is_send(read_only.get::<String>(&name)));
    drop(is_send(read_only.facts()));
}

const VALUE: &str = "planted-value";
const USER: &str = "planted-user";
const CONTENT: &[u8; 16] = b"planted-digest-0";

#[derive(Default)]
struct Shown(String);

impl Shown {
    fn show(&mut self, what: impl Debug) {
        write!(self.0, "{what:?} {what:#?} ").unwrap();
    }

    fn fail<T>(&mut self, outcome: Result<T>) {
        let Err(error) = outcome else { panic!("meant to fail") };
        write!(self.0, "{error} {error:?} ").unwrap();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            write!(self.0, "{error} {error:?} ").unwrap();
            source = error.source();
        }
    }

    /// Looks for bytes in every form that `Debug` and `Display` give them.
    fn holds(&self, secret: &[u8]) -> bool {
        let list =
            |bytes: &[u8]| bytes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let some = secret.get(..4).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let shown = self.0.replace("\n", " ").replace("  ", "");
        [list(some), hex(some), text(&secret[..secret.len().min(8)])]
            .iter()
            .any(|form| shown.contains(form.as_str()) || self.0.contains(form.as_str()))
    }
}

#[tokio::test]
async fn nothing_that_is_shown_or_traced_holds_a_secret() {
    let mut shown = Shown::default();
    let mut secrets = Vec::new();
    let traced = Log::of(use_everything(&mut shown, &mut secrets)).await;
    assert!(traced.contains("destroyed"), "events are seen");
    shown.0.push_str(&traced);
    for secret in secrets {
        assert!(!shown.holds(&secret), "{secret:?} is shown in {}", shown.0);
    }
    let number = u128::from_le_bytes(*CONTENT).to_string();
    assert!(!shown.0.contains(&number), "the digest of the content is shown");
}

async fn use_everything(shown: &mut Shown, secrets: &mut Vec<Vec<u8>>) {
    let store = MemoryStore::new();
    let manager = SessionManager::builder(store.clone())
        .merge_rule("secret", MergeRule::Counter)
        .build()
        .unwrap();

    let session = manager.open(None);
    session.insert("secret", VALUE).await.unwrap();
    session.login(USER).await.unwrap();
    session.save().await.unwrap();
    let id = set_id(&session);
    let key = KeyHasher::plain().key(&id);
    let principal = KeyHasher::plain().principal(USER);
    let digest = *key.digest().as_bytes();

    show_values(shown, &store, &manager, &session, &id).await;
    let locked = session.lock(SOON).await.unwrap();
    shown.show(&locked);
    shown.show(&*locked);

    shown.fail(manager.open(Some(id.clone())).lock(Duration::ZERO).await.map(drop));
    locked.rollback().await.unwrap();
    let wrong = Revision::of_content(1);
    let (write, op) = (Write::new("x", SOON), OpToken::generate().unwrap());
    shown.fail(store.save(&key, write.clone(), Expected::Revision(wrong), op).await);
    shown.fail(store.create(&key, write, op, None).await);
    shown.fail(session.get::<u64>("secret").await);
    shown.fail(SessionId::parse(&format!("{} ", id.expose())));
    shown.fail(Codec::Json.decode(format!("[{VALUE}]").as_bytes(), &mut |_| Ok(())));

    let other = manager.open(Some(id.clone()));
    other.insert("secret", format!("{VALUE}2")).await.unwrap();
    session.insert("secret", format!("{VALUE}3")).await.unwrap();
    session.save().await.unwrap();
    shown.fail(other.save().await);

    session.cycle_id().await.unwrap();
    let next = set_id(&session);
    shown.show(
        NativeFormat::default()
            .decode(&store.load(&key, ReadOptions::latest()).await.unwrap().unwrap().payload),
    );
    session.delete().await.unwrap();
    shown.fail(other.save().await);
    drop(manager.open(Some(id.clone())).is_empty().await);

    let next_digest = *KeyHasher::plain().key(&next).digest().as_bytes();
    let known: [&[u8]; 8] = [
        VALUE.as_bytes(),
        USER.as_bytes(),
        CONTENT,
        id.expose().as_bytes(),
        next.expose().as_bytes(),
        &digest,
        &next_digest,
        principal.as_bytes(),
    ];
    secrets.extend(known.map(<[u8]>::to_vec));
}

async fn show_values(
    shown: &mut Shown,
    store: &MemoryStore,
    manager: &SessionManager,
    session: &Session,
    id: &SessionId,
) {
    let key = KeyHasher::plain().key(id);
    let principal = KeyHasher::plain().principal(USER);
    let record = store.load(&key, ReadOptions::latest()).await.unwrap().unwrap();
    let digest = *key.digest().as_bytes();
    shown.show((store, manager, session, &key, key.digest(), id, &principal, &record));
    shown.show((session.cookie_change(), session.facts().await.unwrap(), session.read_only()));
    shown.show((SessionManager::builder(store.clone()), KeyHasher::peppered(&digest).unwrap()));
    shown.show((Write::new(record.payload.clone(), SOON), Cursor::new(digest.to_vec())));
    shown.show(NativeFormat::default().decode(&record.payload).unwrap());
    shown.show(Revision::of_content(u128::from_le_bytes(*CONTENT)));
    shown.show(store.enumeration().unwrap().keys(None, 9).await.unwrap());
    shown.show(store.principal_index().unwrap().list(&principal, None, 9).await.unwrap());
    shown.show(session.begin_login(USER).await.unwrap());
}
