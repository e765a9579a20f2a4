//! What is measured, and what is not told.

#![cfg(feature = "observe")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, KeyName, LocalRecorderGuard, Metadata,
    Recorder, SharedString, Unit,
};
use session_core::{
    Error, ErrorKind, Expected, Key, KeyHasher, LockRequest, MemoryStore, Meta, OpToken, Operation,
    ReadOptions, Result, SessionId, SessionManager, SessionStore, SweepBudget, Ttl, Write, forward,
};
use session_layers::Observed;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

const HOUR: Duration = Duration::from_secs(3_600);
const PAYLOAD: &str = "planted-payload";

/// Remembers every value by name and labels: `name{backend=memory,verb=load}`.
#[derive(Debug, Clone, Default)]
struct Recorded {
    values: Arc<Mutex<BTreeMap<String, Vec<f64>>>>,
    described: Arc<Mutex<BTreeSet<String>>>,
}

struct Series(Recorded, String);

impl Series {
    fn push(&self, value: f64) {
        self.0.values.lock().unwrap().entry(self.1.clone()).or_default().push(value);
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        self.push(f64::from(u32::try_from(value).unwrap()));
    }

    fn absolute(&self, _: u64) {
        unreachable!("counters are counted");
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        self.push(value);
    }
}

impl Recorded {
    fn series(&self, key: &metrics::Key) -> Arc<Series> {
        let labels: Vec<_> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(Series(self.clone(), format!("{}{{{}}}", key.name(), labels.join(","))))
    }

    fn describe(&self, key: &KeyName, unit: Option<Unit>) {
        assert!(unit.is_some());
        self.described.lock().unwrap().insert(key.as_str().to_owned());
    }

    #[track_caller]
    fn of(&self, series: &str) -> Vec<f64> {
        let values = self.values.lock().unwrap();
        let known: Vec<_> = values.keys().collect();
        values.get(series).unwrap_or_else(|| panic!("no {series} in {known:#?}")).clone()
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn register_counter(&self, key: &metrics::Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, _: &metrics::Key, _: &Metadata<'_>) -> Gauge {
        unreachable!("there are no gauges");
    }

    fn register_histogram(&self, key: &metrics::Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

/// What was written through `tracing`.
#[derive(Debug, Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Listens to metrics and to spans on this thread. Every test listens to both: whether anybody wants a
/// span is found out once, by the thread that comes to it first.
fn listen<'a>(recorded: &'a Recorded, written: &Written) -> (LocalRecorderGuard<'a>, DefaultGuard) {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(written.clone());
    let subscriber = tracing::subscriber::set_default(subscriber.finish());
    (metrics::set_default_local_recorder(recorded), subscriber)
}

fn op() -> OpToken {
    OpToken::generate().unwrap()
}

fn new_key() -> Key {
    KeyHasher::plain().key(&SessionId::generate().unwrap())
}

/// Does everything that can be done to a store, with some refusals.
async fn do_everything(store: &dyn SessionStore, key: &Key, meta: Meta) {
    let write = Write::new(PAYLOAD, HOUR).with_meta(meta);
    let revision = store.create(key, write.clone(), op(), None).await.unwrap();
    store.create(key, write.clone(), op(), None).await.unwrap_err();
    store.load(key, ReadOptions::latest()).await.unwrap().unwrap();
    store.load(&new_key(), ReadOptions::latest()).await.unwrap();
    store.touch(key, HOUR.into(), revision.incarnation(), op()).await.unwrap();
    let locked = store.lock(key, LockRequest::new(op(), HOUR, Duration::ZERO)).await.unwrap();
    store.lock(key, LockRequest::new(op(), HOUR, Duration::ZERO)).await.unwrap_err();
    let held = store.save(key, write.clone(), Expected::Revision(revision), op()).await;
    assert_eq!(held.unwrap_err().kind(), ErrorKind::LockHeld);
    let lease = locked.lease.unwrap();
    store.renew(key, &lease, HOUR).await.unwrap();
    store.release(key, &lease).await.unwrap();
    store.save(key, write.clone(), Expected::Revision(revision), op()).await.unwrap();
    store.save(key, write, Expected::Revision(revision), op()).await.unwrap_err();
    let index = store.principal_index().unwrap();
    let principal = meta.principal.unwrap();
    assert_eq!(index.list(&principal, None, 10).await.unwrap().keys.len(), 1);
    index.bump_epoch(&principal).await.unwrap();
    index.epoch(&principal).await.unwrap();
    assert_eq!(index.revoke(&principal, Some(key)).await.unwrap(), 0);
    store.enumeration().unwrap().keys(None, 10).await.unwrap();
    store.delete(key, Expected::Any, op()).await.unwrap();
    store.sweep(None, SweepBudget::default()).await.unwrap();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn z22_every_verb_is_counted_and_timed_by_its_outcome() {
    let recorded = Recorded::default();
    let _listening = listen(&recorded, &Written::default());
    let store = Observed::new(MemoryStore::new());
    let meta = Meta::new().with_principal(Some(KeyHasher::plain().principal("ada")), 0);
    do_everything(&store, &new_key(), meta).await;
    for (verb, outcome, times) in [
        ("create", "ok", 1),
        ("create", "already_exists", 1),
        ("load", "ok", 1),
        ("load", "absent", 1),
        ("touch", "ok", 1),
        ("lock", "ok", 1),
        ("lock", "lock_timeout", 1),
        ("save", "lock_held", 1),
        ("save", "ok", 1),
        ("save", "conflict", 1),
        ("renew", "ok", 1),
        ("release", "ok", 1),
        ("index", "ok", 4),
        ("enumerate", "ok", 1),
        ("delete", "ok", 1),
        ("sweep", "ok", 1),
        ("ping", "ok", 1),
    ] {
        let series = format!(
            "session_store_operations_total{{backend=memory,verb={verb},outcome={outcome}}}"
        );
        assert_eq!(recorded.of(&series), vec![1.0; times]);
        recorded
            .of(&format!("session_store_operation_duration_seconds{{backend=memory,verb={verb}}}"));
    }
    let bytes = PAYLOAD.len() as f64;
    for verb in ["create", "save", "load", "lock"] {
        let series = format!("session_store_payload_bytes{{backend=memory,verb={verb}}}");
        assert_eq!(recorded.of(&series), [bytes], "{verb}");
    }
    for outcome in ["ok", "lock_timeout"] {
        recorded
            .of(&format!("session_store_lock_wait_seconds{{backend=memory,outcome={outcome}}}"));
    }
}

#[tokio::test]
async fn a_sweep_tells_what_it_removed_and_how_late() {
    let recorded = Recorded::default();
    let _listening = listen(&recorded, &Written::default());
    let clock = Arc::new(session_core::OffsetClock::new(session_core::SteadyClock::start()));
    let store = Observed::new(MemoryStore::builder().clock(Arc::clone(&clock)).build());
    for _ in 0..3 {
        store.create(&new_key(), Write::new(PAYLOAD, HOUR), op(), None).await.unwrap();
    }
    clock.advance(HOUR * 2);
    store.sweep(None, SweepBudget::default()).await.unwrap();
    let swept = |fate| format!("session_store_swept_records_total{{backend=memory,fate={fate}}}");
    assert_eq!(recorded.of(&swept("deleted")), [3.0]);
    assert_eq!(recorded.of(&swept("skipped")), [0.0]);
    let lag = recorded.of("session_store_sweep_lag_seconds{backend=memory}");
    assert!((3_599.0..3_700.0).contains(&lag[0]), "{lag:?}");
}

/// A store whose replies get lost.
#[derive(Debug)]
struct Lossy(MemoryStore);

impl Lossy {
    async fn lost<T: Send>(
        &self,
        operation: Operation,
        _key: Option<&Key>,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        drop(call.await);
        Err(Error::new(ErrorKind::Timeout, "lossy", operation).with_maybe_applied())
    }
}

#[async_trait]
impl SessionStore for Lossy {
    forward!(self => self.0; load touch lock renew release sweep ping capabilities
        principal_index enumeration);
    forward!(self => self.0, around lost; create save delete);
}

#[tokio::test]
async fn a_lost_reply_and_a_dropped_call_are_counted() {
    let recorded = Recorded::default();
    let _listening = listen(&recorded, &Written::default());
    let (store, key) = (Observed::new(Lossy(MemoryStore::new())), new_key());
    store.create(&key, Write::new(PAYLOAD, HOUR), op(), None).await.unwrap_err();
    let unknown = "session_store_unknown_outcomes_total{backend=memory,verb=create}";
    assert_eq!(recorded.of(unknown), [1.0]);
    let total = |verb, outcome| {
        format!("session_store_operations_total{{backend=memory,verb={verb},outcome={outcome}}}")
    };
    assert_eq!(recorded.of(&total("create", "timeout")), [1.0]);
    let held = LockRequest::new(op(), HOUR, Duration::ZERO);
    store.lock(&key, held).await.unwrap();
    let waits = LockRequest::new(op(), HOUR, HOUR);
    let waiting = tokio::time::timeout(Duration::from_millis(20), store.lock(&key, waits));
    assert!(waiting.await.is_err());
    assert_eq!(recorded.of(&total("lock", "cancelled")), [1.0]);
}

#[cfg(feature = "encryption")]
#[tokio::test]
async fn what_cannot_be_decrypted_is_counted_by_its_reason_also_where_it_is_absent() {
    use session_layers::{Encrypted, EncryptionKey, KeyRing};

    let recorded = Recorded::default();
    let _listening = listen(&recorded, &Written::default());
    let (store, key) = (MemoryStore::new(), new_key());
    let ring = || KeyRing::new([EncryptionKey::generate().unwrap()]).unwrap();
    let layer = || Encrypted::new(store.clone(), ring());
    let (one, other, absent) = (layer(), layer(), layer().unreadable_as_absent());
    one.create(&key, Write::new(PAYLOAD, HOUR), op(), None).await.unwrap();
    one.load(&key, ReadOptions::latest()).await.unwrap().unwrap();
    other.load(&key, ReadOptions::latest()).await.unwrap_err();
    assert_eq!(absent.load(&key, ReadOptions::latest()).await.unwrap(), None);
    let plain = new_key();
    store.create(&plain, Write::new(PAYLOAD, HOUR), op(), None).await.unwrap();
    one.load(&plain, ReadOptions::latest()).await.unwrap_err();
    let of = |reason| {
        let name = "session_store_undecryptable_payloads_total";
        recorded.of(&format!("{name}{{backend=memory,reason={reason}}}"))
    };
    assert_eq!((of("unknown_key"), of("plain")), (vec![1.0; 2], vec![1.0]));
}

#[tokio::test]
async fn sec_44_nothing_of_a_session_is_told_but_its_log_safe_name() {
    let (recorded, written) = (Recorded::default(), Written::default());
    let _listening = listen(&recorded, &written);
    let id = SessionId::generate().unwrap();
    let key = KeyHasher::plain().key(&id);
    let principal = KeyHasher::plain().principal("ada.lovelace");
    let meta = Meta::new().with_principal(Some(principal), 0);
    let store = Arc::new(Observed::new(MemoryStore::new()));
    do_everything(&store, &key, meta).await;
    let session = SessionManager::new(Arc::clone(&store)).unwrap().open(None);
    session.insert("planted-name", PAYLOAD).await.unwrap();
    session.save().await.unwrap();

    let series: Vec<_> = recorded.values.lock().unwrap().keys().cloned().collect();
    let (metrics, spans) = (series.join("\n"), written.text());
    assert!(spans.contains(r#"verb="save""#) && spans.contains(r#"outcome="conflict""#), "{spans}");
    let log_id = key.log_id().to_string();
    assert!(spans.contains(&log_id), "{spans}");
    assert!(!metrics.contains(&log_id), "{metrics}");
    let secrets = [
        id.expose().to_owned(),
        HEXLOWER.encode(key.digest().as_bytes()),
        BASE64URL_NOPAD.encode(key.digest().as_bytes()),
        format!("{:?}", key.digest().as_bytes()),
        HEXLOWER.encode(principal.as_bytes()),
        BASE64URL_NOPAD.encode(principal.as_bytes()),
        "ada.lovelace".to_owned(),
        PAYLOAD.to_owned(),
        "planted-name".to_owned(),
    ];
    for secret in secrets {
        assert!(!metrics.contains(&secret) && !spans.contains(&secret), "{secret}\n{spans}");
    }
}

/// A label takes its values from a fixed set, whatever the sessions.
#[tokio::test]
async fn ten_sessions_have_no_more_series_than_one() {
    let recorded = Recorded::default();
    let _listening = listen(&recorded, &Written::default());
    let store = Observed::new(MemoryStore::new());
    let count = || recorded.values.lock().unwrap().len();
    let meta = |n: usize| {
        let principal = KeyHasher::plain().principal(&n.to_string());
        Meta::new().with_principal(Some(principal), 0)
    };
    do_everything(&store, &new_key(), meta(0)).await;
    let series = count();
    for n in 1..10 {
        do_everything(&store, &new_key(), meta(n)).await;
    }
    assert_eq!(count(), series);
    let allowed = ["backend", "verb", "outcome", "fate"];
    for series in recorded.values.lock().unwrap().keys() {
        let labels = series.split(['{', '}']).nth(1).unwrap();
        for label in labels.split(',') {
            assert!(allowed.contains(&label.split('=').next().unwrap()), "{series}");
        }
    }
}

#[tokio::test]
async fn every_metric_is_described_with_its_unit_and_documented() {
    let recorded = Recorded::default();
    let _listening = listen(&recorded, &Written::default());
    let store = Observed::new(Lossy(MemoryStore::new()));
    store.create(&new_key(), Write::new(PAYLOAD, Ttl::NEVER), op(), None).await.unwrap_err();
    let store = Observed::new(MemoryStore::new());
    let meta = Meta::new().with_principal(Some(KeyHasher::plain().principal("ada")), 0);
    do_everything(&store, &new_key(), meta).await;
    let described = recorded.described.lock().unwrap().clone();
    for series in recorded.values.lock().unwrap().keys() {
        let name = series.split('{').next().unwrap();
        assert!(described.contains(name), "{name}");
    }
    let documented = include_str!("../src/observe/observed.md");
    for name in &described {
        assert!(documented.contains(&format!("| `{name}` | ")), "{name}");
    }
    assert_eq!(described.len(), documented.matches("| `session_store_").count());
}
