//! What somebody who can write to the store cannot do, and what changing keys does.

#![cfg(feature = "encryption")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use session_core::{
    Capabilities, CookieChange, Error, ErrorKind, Expected, FrozenClock, Key, KeyHasher,
    LockAbsent, LockRequest, MemoryStore, Meta, OpToken, ReadOptions, Record, Result, Revision,
    SessionId, SessionManager, SessionStore, Then, Timestamp, Under, Write, forward,
};
use session_layers::{Encrypted, EncryptionKey, KeyRing};

const HOUR: Duration = Duration::from_secs(3_600);
const SECRET: &str = "card=4111111111111111";

fn new_key() -> Key {
    KeyHasher::plain().key(&SessionId::generate().unwrap())
}

fn op() -> OpToken {
    OpToken::generate().unwrap()
}

fn a_key(byte: u8) -> EncryptionKey {
    let bytes: Vec<u8> = (byte..byte + 32).collect();
    EncryptionKey::from_bytes(bytes).unwrap()
}

fn ring<const N: usize>(bytes: [u8; N]) -> KeyRing {
    KeyRing::new(bytes.map(a_key)).unwrap()
}

fn encrypted(inner: &MemoryStore, byte: u8) -> Encrypted<MemoryStore> {
    Encrypted::new(inner.clone(), ring([byte]))
}

async fn put(store: &dyn SessionStore, key: &Key, payload: &str) -> Revision {
    let write = Write::new(payload.to_owned(), HOUR);
    store.create(key, write, op(), None).await.unwrap()
}

async fn read(store: &dyn SessionStore, key: &Key) -> Result<Option<Record>> {
    store.load(key, ReadOptions::latest()).await
}

async fn payload(store: &dyn SessionStore, key: &Key) -> Bytes {
    read(store, key).await.unwrap().unwrap().payload
}

/// Writes past the layer, as somebody does who has the store and no key.
async fn forge(inner: &MemoryStore, key: &Key, payload: impl Into<Bytes>, meta: Meta) {
    let write = Write::new(payload, HOUR).with_meta(meta);
    inner.save(key, write, Expected::Any, op()).await.unwrap();
}

#[track_caller]
fn is_corrupt<T: std::fmt::Debug>(outcome: Result<T>, because: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(because), "{error}");
}

#[tokio::test]
async fn sec_40_the_store_sees_nothing_of_a_payload() {
    let inner = MemoryStore::new();
    let (store, key) = (encrypted(&inner, 1), new_key());
    put(&store, &key, SECRET).await;
    assert_eq!(payload(&store, &key).await, SECRET);
    let stored = payload(&inner, &key).await;
    assert!(!stored.windows(4).any(|part| part == b"4111" || part == b"card"));
}

#[tokio::test]
async fn sec_40_payloads_that_were_swapped_are_both_refused() {
    let inner = MemoryStore::new();
    let (store, one, two) = (encrypted(&inner, 1), new_key(), new_key());
    put(&store, &one, "user=ada").await;
    put(&store, &two, "user=eve").await;
    let (first, second) = (payload(&inner, &one).await, payload(&inner, &two).await);
    forge(&inner, &one, second, Meta::new()).await;
    forge(&inner, &two, first, Meta::new()).await;
    for key in [one, two] {
        is_corrupt(read(&store, &key).await, "written for another session");
    }
}

#[tokio::test]
async fn sec_40_a_meta_that_was_exchanged_makes_the_record_unreadable() {
    let inner = MemoryStore::new();
    let (store, key) = (encrypted(&inner, 1), new_key());
    let principal = |name| Some(KeyHasher::plain().principal(name));
    let meta = Meta::new().with_principal(principal("ada"), 3);
    let limited = meta.with_absolute_deadline(Some(Timestamp::from_millis(u64::MAX / 2)));
    let write = Write::new("user=ada", HOUR).with_meta(limited);
    store.create(&key, write, op(), None).await.unwrap();
    let stored = payload(&inner, &key).await;
    assert_eq!(read(&store, &key).await.unwrap().unwrap().meta, limited);
    for other in [
        meta,
        limited.with_principal(principal("eve"), 3),
        limited.with_principal(principal("ada"), 4),
        limited.with_principal(None, 3),
        limited.with_absolute_deadline(Some(Timestamp::from_millis(u64::MAX - 1))),
    ] {
        forge(&inner, &key, stored.clone(), other).await;
        is_corrupt(read(&store, &key).await, "or meta");
    }
}

#[tokio::test]
async fn sec_40_the_newest_key_encrypts_and_all_decrypt() {
    let inner = MemoryStore::new();
    let key = new_key();
    let revision = put(&encrypted(&inner, 1), &key, "by the first").await;
    // First every server learns the new key, then it becomes the newest.
    let learnt = Encrypted::new(inner.clone(), ring([1, 2]));
    let rotated = Encrypted::new(inner.clone(), ring([2, 1]));
    assert_eq!(payload(&rotated, &key).await, "by the first");
    let write = Write::new("by the second", HOUR);
    rotated.save(&key, write, Expected::Revision(revision), op()).await.unwrap();
    assert_eq!(payload(&learnt, &key).await, "by the second");
    assert_eq!(payload(&encrypted(&inner, 2), &key).await, "by the second");
    // A server that has not learnt the key cannot read, says so, and destroys nothing.
    is_corrupt(read(&encrypted(&inner, 1), &key).await, "not in the ring");
    assert_eq!(payload(&rotated, &key).await, "by the second");
}

#[tokio::test]
async fn sec_41_a_payload_that_is_not_encrypted_is_refused() {
    let inner = MemoryStore::new();
    let (store, key) = (encrypted(&inner, 1), new_key());
    put(&inner, &key, "user=admin").await;
    is_corrupt(read(&store, &key).await, "not encrypted");
    forge(&inner, &key, "", Meta::new()).await;
    is_corrupt(read(&store, &key).await, "not encrypted");
    let own = SessionManager::new(inner.clone()).unwrap().open(None);
    own.insert("user", "admin").await.unwrap();
    own.save().await.unwrap();
    let all = inner.enumeration().unwrap().keys(None, 10).await.unwrap().keys;
    for key in &all {
        is_corrupt(read(&store, key).await, "not encrypted");
    }
    assert_eq!(all.len(), 2);
}

#[tokio::test]
async fn sec_41_every_damaged_byte_is_noticed() {
    let inner = MemoryStore::new();
    let (store, key) = (encrypted(&inner, 1), new_key());
    put(&store, &key, SECRET).await;
    let stored = payload(&inner, &key).await.to_vec();
    for place in 0..stored.len() {
        let mut damaged = stored.clone();
        damaged[place] ^= 0x20;
        forge(&inner, &key, damaged, Meta::new()).await;
        is_corrupt(read(&store, &key).await, "");
    }
    forge(&inner, &key, stored, Meta::new()).await;
    assert_eq!(payload(&store, &key).await, SECRET);
}

#[tokio::test]
async fn sec_43_a_change_over_has_a_beginning_and_an_end() {
    let (start, end) = (Timestamp::from_millis(1_000), Timestamp::from_millis(2_000));
    let inner = MemoryStore::new();
    let clock = Arc::new(FrozenClock::new(Timestamp::from_millis(999)));
    let store = encrypted(&inner, 1).change_over(start, end).unwrap().clock(Arc::clone(&clock));
    let (old, used, early) = (new_key(), new_key(), new_key());
    put(&inner, &old, "old").await;
    // Before it servers without the layer still read everything.
    let revision = put(&store, &used, "plain").await;
    assert_eq!(payload(&inner, &used).await, "plain");
    // A server whose clock is ahead has begun already.
    put(&encrypted(&inner, 1), &early, "early").await;
    assert_eq!(payload(&store, &early).await, "early");
    // In it everything is read and encrypted when it is written.
    clock.set(start);
    assert_eq!(payload(&store, &used).await, "plain");
    let write = Write::new("changed", HOUR);
    store.save(&used, write, Expected::Revision(revision), op()).await.unwrap();
    assert_ne!(payload(&inner, &used).await, "changed");
    clock.set(Timestamp::from_millis(1_999));
    assert_eq!(payload(&store, &old).await, "old");
    assert_eq!(payload(&store, &used).await, "changed");
    // What is encrypted is never taken for plain.
    let stranger = encrypted(&inner, 2).change_over(start, end).unwrap().clock(Arc::clone(&clock));
    is_corrupt(read(&stranger, &used).await, "not in the ring");
    // After it only what is encrypted.
    clock.set(end);
    is_corrupt(read(&store, &old).await, "not encrypted");
    assert_eq!(payload(&store, &used).await, "changed");
}

#[test]
fn a_change_over_that_ends_before_it_starts_is_refused() {
    let (early, late) = (Timestamp::from_millis(1_000), Timestamp::from_millis(2_000));
    for (start, end) in [(late, early), (early, early)] {
        let refused = encrypted(&MemoryStore::new(), 1).change_over(start, end);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Config);
    }
}

/// The key that the others were written with has leaked and is gone.
fn without_old_key(inner: &MemoryStore) -> Encrypted<MemoryStore> {
    encrypted(inner, 100).unreadable_as_absent()
}

async fn logged_in(sessions: &SessionManager, cookie: Option<SessionId>) -> SessionId {
    let session = sessions.open(cookie);
    session.login("ada").await.unwrap();
    session.insert("user", "ada").await.unwrap();
    session.save().await.unwrap();
    let new_id = match session.cookie_change() {
        CookieChange::Set { id, .. } => Some(id),
        _ => None,
    };
    new_id.unwrap()
}

#[tokio::test]
async fn sec_41_dropping_a_leaked_key_ends_its_sessions_and_locks_nobody_out() {
    let inner = MemoryStore::new();
    let leaked = logged_in(&SessionManager::new(encrypted(&inner, 1)).unwrap(), None).await;
    let strict = SessionManager::new(encrypted(&inner, 100)).unwrap();
    let error = strict.open(Some(leaked.clone())).get::<String>("user").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "the default");

    let sessions = SessionManager::new(without_old_key(&inner)).unwrap();
    let visitor = sessions.open(Some(leaked.clone()));
    assert_eq!(visitor.get::<String>("user").await.unwrap(), None);
    let locked = sessions.open(Some(leaked.clone())).lock(HOUR).await.unwrap();
    locked.commit().await.unwrap();
    let leaving = sessions.open(Some(leaked.clone()));
    leaving.delete().await.unwrap();
    assert_eq!(leaving.cookie_change(), CookieChange::Clear);

    let id = logged_in(&sessions, Some(leaked.clone())).await;
    assert_ne!(id, leaked);
    let later = sessions.open(Some(id));
    assert_eq!(later.get::<String>("user").await.unwrap().as_deref(), Some("ada"));
}

#[tokio::test]
async fn sec_41_what_is_not_authentic_is_absent_where_that_is_wanted_and_never_read() {
    let inner = MemoryStore::new();
    let (store, key) = (without_old_key(&inner), new_key());
    put(&encrypted(&inner, 1), &key, SECRET).await;
    let unknown = payload(&inner, &key).await;
    let (mut damaged, whole) = (unknown.to_vec(), new_key());
    put(&store, &whole, "readable").await;
    damaged[0] ^= 1;
    let copied = payload(&inner, &whole).await;
    for unreadable in [unknown, damaged.into(), copied, "user=admin".into(), Bytes::new()] {
        forge(&inner, &key, unreadable, Meta::new()).await;
        assert_eq!(read(&store, &key).await.unwrap(), None);
        let request = LockRequest::new(op(), HOUR, Duration::ZERO);
        let locked = store.lock(&key, request).await.unwrap();
        assert_eq!(locked.record, None);
        // The memory store holds keys without a record, so that this is held as well.
        store.release(&key, &locked.lease.unwrap()).await.unwrap();
        // It is there all the same: nobody takes its place unnoticed.
        let taken = store.create(&key, Write::new("x", HOUR), op(), None).await;
        assert!(taken.is_err());
    }
    assert_eq!(payload(&store, &whole).await, "readable");
    store.delete(&key, Expected::Any, op()).await.unwrap();
    assert_eq!(read(&inner, &key).await.unwrap(), None);
}

#[tokio::test]
async fn a_lock_over_an_unreadable_record_is_not_kept_where_absent_keys_are_not_held() {
    let (inner, key) = (HoldsNoAbsentKeys::default(), new_key());
    let store = Encrypted::new(inner.clone(), ring([1])).unreadable_as_absent();
    put(&inner, &key, "user=admin").await;
    for _ in 0..2 {
        let request = LockRequest::new(op(), HOUR, Duration::ZERO);
        let locked = store.lock(&key, request).await.unwrap();
        assert!(locked.record.is_none() && locked.lease.is_none(), "{locked:?}");
    }
}

/// Says of itself what a store does that can lock records only.
#[derive(Debug, Clone)]
struct HoldsNoAbsentKeys {
    inner: MemoryStore,
    capabilities: Capabilities,
}

impl Default for HoldsNoAbsentKeys {
    fn default() -> Self {
        let inner = MemoryStore::new();
        let mut capabilities = inner.capabilities().clone();
        capabilities.lock_absent = LockAbsent::NotHeld;
        Self { inner, capabilities }
    }
}

#[async_trait]
impl SessionStore for HoldsNoAbsentKeys {
    forward!(self => self.inner; create load save touch delete lock renew release sweep ping
        principal_index enumeration);

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }
}

#[test]
fn sec_44_nothing_shows_a_key() {
    let hex = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let key = EncryptionKey::parse(hex).unwrap();
    let ring = KeyRing::parse(&format!("{hex}, {}", "abcd".repeat(16))).unwrap();
    let store = Encrypted::new(MemoryStore::new(), ring.clone());
    let shown = format!("{key:?} {ring:?} {store:?}");
    assert!(shown.contains(&key.id().to_string()), "{shown}");
    for secret in [&hex[..8], &hex[24..32], "[0, 17, 34", "abcdabcd"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    for wrong in ["", "s3cret", &hex[1..], &hex.replace('a', "!")] {
        let error = KeyRing::parse(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}

fn ids(text: &str) -> Vec<String> {
    KeyRing::parse(text).unwrap().ids().map(|id| id.to_string()).collect()
}

fn why(text: &str) -> String {
    KeyRing::parse(text).unwrap_err().to_string()
}

/// As the ring of `session-http` reads them.
#[test]
fn keys_are_read_in_hexadecimal_and_both_alphabets_of_base64() {
    let bytes: Vec<u8> = (0..32).map(|n| 251_u8.wrapping_add(n)).collect();
    let hex = HEXLOWER.encode(&bytes);
    let (bare, url) = (BASE64_NOPAD.encode(&bytes), BASE64URL_NOPAD.encode(&bytes));
    assert!(bare.contains('/') && url.contains('_'), "the alphabets differ");
    let expected = vec![EncryptionKey::from_bytes(&bytes).unwrap().id().to_string()];
    for text in [&hex, &hex.to_uppercase(), &format!("{bare}="), &bare, &url] {
        assert_eq!(ids(text), expected);
    }
    let other = a_key(1).id().to_string();
    let second = BASE64_NOPAD.encode(&(1..33).collect::<Vec<u8>>());
    for text in [format!("{hex},{second}"), format!(" {hex},\n {second}\n")] {
        assert_eq!(ids(&text), [expected[0].clone(), other.clone()]);
    }
}

#[test]
fn what_is_no_ring_is_refused_by_name_and_not_repeated() {
    assert!(why("").contains("needs a key"));
    assert!(why("cGxhbnRlZA==").contains("at least 32 bytes"));
    assert!(why(&"00".repeat(32)).contains("one byte repeated"));
    let key = "00112233445566778899aabbccddeeff".repeat(2);
    assert!(why(&format!("{key} {}", key.to_uppercase())).contains("the same"));
    assert!(why("planted-secret!").contains("neither base64 nor hexadecimal"));
    let folder = KeyRing::from_env("CARGO_MANIFEST_DIR").unwrap_err();
    assert!(folder.to_string().ends_with("CARGO_MANIFEST_DIR holds no key ring"), "{folder}");
    assert!(!format!("{folder:?}").contains(env!("CARGO_MANIFEST_DIR")));
    let unset = KeyRing::from_env("SESSION_LAYERS_NO_SUCH_VARIABLE").unwrap_err();
    assert!(unset.to_string().contains("SESSION_LAYERS_NO_SUCH_VARIABLE is not set"));
}

#[tokio::test]
async fn sec_48_the_overhead_counts_before_the_store_is_asked() {
    let inner = MemoryStore::builder().max_payload(1_000).build();
    let (store, key) = (encrypted(&inner, 1), new_key());
    let limit = store.capabilities().max_payload;
    assert!((900..1_000).contains(&limit));
    let refused = store.create(&key, Write::new(vec![0; limit + 1], HOUR), op(), None).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::TooLarge);
    store.create(&key, Write::new(vec![0; limit], HOUR), op(), None).await.unwrap();
    assert_eq!(payload(&inner, &key).await.len(), 1_000);
}

#[tokio::test]
async fn sec_52_a_payload_of_another_namespace_is_refused() {
    let (inner, key) = (MemoryStore::new(), new_key());
    let shop = encrypted(&inner, 1).namespace("shop");
    put(&shop, &key, "user=ada").await;
    assert_eq!(payload(&shop, &key).await, "user=ada");
    for other in ["", "shop2", "Shop"] {
        let other = encrypted(&inner, 1).namespace(other);
        is_corrupt(read(&other, &key).await, "another session, namespace");
    }
}

#[tokio::test]
async fn the_record_that_won_and_the_locked_record_are_readable() {
    let inner = MemoryStore::new();
    let (store, key) = (encrypted(&inner, 1), new_key());
    let stale = put(&store, &key, "first").await;
    let write = Write::new("second", HOUR);
    store.save(&key, write.clone(), Expected::Revision(stale), op()).await.unwrap();
    let stale = Expected::Revision(stale);
    let mut refusals: Vec<Error> = vec![
        store.save(&key, write, stale, op()).await.unwrap_err(),
        store.delete(&key, stale, op()).await.unwrap_err(),
    ];
    for refusal in &mut refusals {
        assert_eq!(refusal.kind(), ErrorKind::Conflict);
        assert_eq!(refusal.take_current().unwrap().payload, "second");
    }
    let request = LockRequest::new(op(), HOUR, Duration::ZERO);
    assert_eq!(store.lock(&key, request).await.unwrap().record.unwrap().payload, "second");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_not_handed_on_and_its_lock_is_free() {
    let inner = MemoryStore::new();
    let (store, key) = (encrypted(&inner, 1), new_key());
    let revision = put(&store, &key, "first").await;
    forge(&inner, &key, "forged", Meta::new()).await;
    let save = store.save(&key, Write::new("x", HOUR), Expected::Revision(revision), op()).await;
    let mut conflict = save.unwrap_err();
    assert_eq!(conflict.kind(), ErrorKind::Conflict);
    assert_eq!(conflict.take_current(), None);
    for _ in 0..2 {
        let request = LockRequest::new(op(), HOUR, Duration::ZERO);
        is_corrupt(store.lock(&key, request).await, "not encrypted");
    }
    // A log-out works nonetheless.
    store.delete(&key, Expected::Any, op()).await.unwrap();
    assert_eq!(read(&store, &key).await.unwrap(), None);
}

/// Remembers the payloads that it is sent.
#[derive(Debug, Clone, Default)]
struct Overheard {
    inner: MemoryStore,
    sent: Arc<Mutex<Vec<Bytes>>>,
}

#[async_trait]
impl SessionStore for Overheard {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        self.sent.lock().unwrap().push(write.payload.clone());
        self.inner.create(key, write, op, under).await
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        self.sent.lock().unwrap().push(write.payload.clone());
        self.inner.save(key, write, expected, op).await
    }

    forward!(self => self.inner; load touch delete lock renew release sweep ping
        capabilities principal_index enumeration);
}

/// Stores that know an operation by its token do not look at the payload again; stores that know
/// a revision by the bytes see the same bytes.
#[tokio::test]
async fn an_operation_that_is_sent_again_is_the_same_to_every_kind_of_store() {
    let inner = Overheard::default();
    let store = Encrypted::new(inner.clone(), ring([1]));
    let (key, create, save) = (new_key(), op(), op());
    let write = || Write::new("first", HOUR);
    let revision = store.create(&key, write(), create, None).await.unwrap();
    assert_eq!(store.create(&key, write(), create, None).await.unwrap(), revision);
    let expected = Expected::Revision(revision);
    let saved = store.save(&key, write(), expected, save).await.unwrap();
    assert_eq!(store.save(&key, write(), expected, save).await.unwrap(), saved);
    let sent = inner.sent.lock().unwrap().clone();
    assert_eq!(sent[0], sent[1]);
    assert_eq!(sent[2], sent[3]);
    assert_ne!(sent[0], sent[2], "equal payloads of two saves look alike");
}

/// The handle creates, rotates, locks, touches and merges through the layer.
#[tokio::test]
async fn a_session_lives_through_rotation_and_touch() {
    let inner = MemoryStore::new();
    let sessions = SessionManager::new(encrypted(&inner, 1)).unwrap();
    let session = sessions.open(None);
    session.insert("user", "ada").await.unwrap();
    session.save().await.unwrap();
    session.cycle_id().await.unwrap();
    let CookieChange::Set { id, .. } = session.cookie_change() else {
        panic!("no new id");
    };
    let later = sessions.open(Some(id.clone()));
    assert_eq!(later.get::<String>("user").await.unwrap().as_deref(), Some("ada"));
    let key = KeyHasher::plain().key(&id);
    let store = encrypted(&inner, 1);
    let record = read(&store, &key).await.unwrap().unwrap();
    store.touch(&key, (HOUR * 9).into(), record.revision.incarnation(), op()).await.unwrap();
    let request = LockRequest::new(op(), HOUR, Duration::ZERO);
    let locked = store.lock(&key, request).await.unwrap();
    let (lease, revision) = (locked.lease.unwrap(), locked.record.unwrap().revision);
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
    let write = Write::new("by the holder", HOUR).with_meta(record.meta);
    store.save(&key, write, expected, op()).await.unwrap();
    assert_eq!(payload(&store, &key).await, "by the holder");
}
