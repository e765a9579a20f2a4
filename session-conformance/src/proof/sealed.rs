//! A store whose fixture can do everything: its records are sealed with a checksum, its writes are
//! counted, its bytes can be reached, and its servers may have wrong clocks or one connection.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use session_core::{
    Capabilities, Error, ErrorKind, Expected, Incarnation, Key, LockRequest, Locked, OpToken,
    Operation, ReadOptions, Record, Result, Revision, SessionId, SessionStore, Ttl, Under, Write,
};
use tokio::sync::Semaphore;

use super::{passes_all, run_all};
use crate::{
    Backend, Damage, MemoryBackend, MovableClock, Namespace, RawAccess, SingleConnectionOpen, Skew,
    SkewedOpen, Verdict, WriteCounter,
    broken::mischief::{Broken, Inner, Mischief},
    cases,
};

/// What is wrong with the store, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Writes whenever something is read.
    ReadsWrite,
    /// Sends what is too large, and lets the server refuse it.
    SendsBeforeItChecks,
    /// Does not look at the checksum.
    BelievesEverything,
    /// Takes what cannot be read for nothing.
    DamagedIsAbsent,
    /// Removes what cannot be read when it is touched.
    TouchPurges,
    /// Writes the id beside the payload.
    StoresTheId,
    /// Judges deadlines and leases by its own clock.
    TrustsItsClock,
    /// Keeps the connection while it waits for a lock.
    WaitsOnTheConnection,
}

/// The faults, and the cases that are meant to catch them.
const FAULTS: &[(Fault, &str)] = &[
    (Fault::ReadsWrite, "C05_read_of_unknown_id_writes_nothing"),
    (Fault::SendsBeforeItChecks, "C10_oversized_payload_rejected_before_io"),
    (Fault::BelievesEverything, "C20_corrupt_record_is_typed_error"),
    (Fault::BelievesEverything, "C30_partial_record_is_not_a_session"),
    (Fault::DamagedIsAbsent, "C20_corrupt_record_is_typed_error"),
    (Fault::TouchPurges, "C21_corrupt_record_not_overwritten_by_touch"),
    (Fault::StoresTheId, "SEC-05_raw_id_appears_nowhere_in_the_backend"),
    (Fault::StoresTheId, "SEC-05_raw_id_of_a_session_appears_nowhere_in_the_backend"),
    (Fault::DamagedIsAbsent, "C21_damaged_record_is_left_by_the_handle"),
    (Fault::TrustsItsClock, "E26_clock_skew_between_nodes"),
    (Fault::TrustsItsClock, "L39_skewed_client_clock_cannot_steal"),
    (Fault::WaitsOnTheConnection, "L44_pool_of_one_connection_does_not_self_deadlock"),
];

/// Bytes of the checksum at the end of each payload.
const SEAL: usize = 8;

fn sum(payload: &[u8]) -> [u8; SEAL] {
    let step = |sum: u64, byte: &u8| sum.wrapping_mul(0x0100_0000_01b3) ^ u64::from(*byte);
    payload.iter().fold(0xcbf2_9ce4_8422_2325, step).to_be_bytes()
}

/// One server's view of a sealed store.
#[derive(Debug)]
struct Sealed {
    fault: Fault,
    writes: Arc<AtomicU64>,
    ahead: Duration,
    connections: Semaphore,
}

impl Sealed {
    fn wrote(&self) {
        self.writes.fetch_add(1, Ordering::SeqCst);
    }

    fn seal(&self, inner: &Inner, key: &Key, mut write: Write) -> Result<Write> {
        let too_large = write.payload.len() > inner.capabilities().max_payload - SEAL;
        if too_large && self.fault == Fault::SendsBeforeItChecks {
            self.wrote();
        }
        if too_large {
            return Err(Error::new(ErrorKind::TooLarge, "sealed", Operation::Save));
        }
        if self.fault == Fault::StoresTheId {
            let id = key.secret().map(SessionId::expose).unwrap_or_default();
            write.payload = [id.as_bytes(), &write.payload].concat().into();
        }
        write.payload = [&write.payload[..], &sum(&write.payload)].concat().into();
        self.wrote();
        Ok(write)
    }

    fn unseal(&self, mut record: Record) -> Result<Option<Record>> {
        let end = record.payload.len().saturating_sub(SEAL);
        let payload = record.payload.slice(..end);
        let whole = record.payload[end..] == sum(&payload);
        if !whole && self.fault == Fault::DamagedIsAbsent {
            return Ok(None);
        }
        if !whole && self.fault != Fault::BelievesEverything {
            return Err(Error::new(ErrorKind::Corrupt, "sealed", Operation::Load));
        }
        let id = if self.fault == Fault::StoresTheId { SessionId::NATIVE_LEN } else { 0 };
        record.payload = payload.slice(id.min(payload.len())..);
        if let Some(left) = record.remaining.duration() {
            record.remaining = left.saturating_sub(self.ahead).into();
        }
        Ok(Some(record))
    }
}

#[async_trait]
impl Mischief for Sealed {
    fn declare(&self, has: &mut Capabilities) {
        has.max_payload -= SEAL;
    }

    async fn create(
        &self,
        inner: &Inner,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        inner.create(key, self.seal(inner, key, write)?, op, under).await
    }

    async fn load(&self, inner: &Inner, key: &Key) -> Result<Option<Record>> {
        if self.fault == Fault::ReadsWrite {
            self.wrote();
        }
        let record = inner.load(key, ReadOptions::latest()).await?;
        record.map_or(Ok(None), |record| self.unseal(record))
    }

    async fn save(
        &self,
        inner: &Inner,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        let outcome = inner.save(key, self.seal(inner, key, write)?, expected, op).await;
        outcome.map_err(|mut error| {
            let current = error.take_current().and_then(|record| self.unseal(record).ok());
            error.with_current(current.flatten())
        })
    }

    async fn touch(
        &self,
        inner: &Inner,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        op: OpToken,
    ) -> Result<()> {
        if self.fault == Fault::TouchPurges && self.load(inner, key).await.is_err() {
            inner.delete(key, Expected::Any, op).await?;
        }
        inner.touch(key, ttl, incarnation, op).await
    }

    async fn lock(&self, inner: &Inner, key: &Key, request: LockRequest) -> Result<Locked> {
        let connection = self.connections.acquire().await;
        if self.fault != Fault::WaitsOnTheConnection {
            drop(connection);
        } else if let Ok(connection) = connection {
            // Given back with the lock; see `release`.
            connection.forget();
        }
        let locked = match inner.lock(key, request).await {
            Err(error) if error.retry_after().is_some_and(|after| after < self.ahead) => {
                let lease = session_core::Lease::new(request.op, request.lease);
                Locked::new(Some(lease), inner.load(key, ReadOptions::latest()).await?)
            }
            outcome => outcome?,
        };
        let record = locked.record.map_or(Ok(None), |record| self.unseal(record))?;
        Ok(Locked::new(locked.lease, record))
    }

    async fn release(&self, inner: &Inner, key: &Key, lease: &session_core::Lease) -> Result<()> {
        if self.fault == Fault::WaitsOnTheConnection {
            self.connections.add_permits(1);
        }
        inner.release(key, lease).await
    }
}

/// The fixture with all abilities.
#[derive(Debug)]
struct SealedBackend {
    memory: MemoryBackend,
    fault: Fault,
    writes: Mutex<HashMap<Namespace, Arc<AtomicU64>>>,
}

impl SealedBackend {
    fn new(fault: Fault) -> Self {
        Self { memory: MemoryBackend::new(), fault, writes: Mutex::default() }
    }

    fn counter(&self, namespace: &Namespace) -> Arc<AtomicU64> {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(writes.entry(namespace.clone()).or_default())
    }

    async fn open_with(
        &self,
        namespace: &Namespace,
        ahead: Duration,
        connections: usize,
    ) -> Result<Arc<dyn SessionStore>> {
        let sealed = Sealed {
            fault: self.fault,
            writes: self.counter(namespace),
            ahead,
            connections: Semaphore::new(connections),
        };
        Ok(Arc::new(Broken::new(self.memory.open(namespace).await?, sealed)))
    }
}

#[async_trait]
impl Backend for SealedBackend {
    fn name(&self) -> &'static str {
        "sealed"
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        self.open_with(namespace, Duration::ZERO, 10_000).await
    }

    fn clock(&self) -> Option<&dyn MovableClock> {
        self.memory.clock()
    }

    fn write_counter(&self) -> Option<&dyn WriteCounter> {
        Some(self)
    }

    fn raw(&self) -> Option<&dyn RawAccess> {
        Some(self)
    }

    fn skewed(&self) -> Option<&dyn SkewedOpen> {
        Some(self)
    }

    fn single_connection(&self) -> Option<&dyn SingleConnectionOpen> {
        Some(self)
    }
}

#[async_trait]
impl WriteCounter for SealedBackend {
    async fn writes(&self, namespace: &Namespace) -> Result<u64> {
        Ok(self.counter(namespace).load(Ordering::SeqCst))
    }
}

#[async_trait]
impl RawAccess for SealedBackend {
    async fn damage(&self, namespace: &Namespace, key: &Key, damage: Damage) -> Result<()> {
        let store = self.memory.open(namespace).await?;
        let record = store.load(key, ReadOptions::latest()).await?.expect("a record to damage");
        let half = record.payload.len() / 2;
        let mut payload = record.payload.to_vec();
        match damage {
            Damage::FlippedBit => payload[half] ^= 1,
            Damage::Truncated => payload.truncate(half),
        }
        let write = Write::new(payload, record.remaining).with_meta(record.meta);
        store.save(key, write, Expected::Any, OpToken::generate()?).await.map(drop)
    }

    async fn dump(&self, namespace: &Namespace) -> Result<Vec<Vec<u8>>> {
        let store = self.memory.open(namespace).await?;
        let keys = store.enumeration().expect("an enumeration").keys(None, 10_000).await?.keys;
        let mut items = Vec::new();
        for key in keys {
            let record = store.load(&key, ReadOptions::latest()).await?;
            let payload = record.map_or(Bytes::new(), |record| record.payload);
            items.push([key.digest().as_bytes(), &payload[..]].concat());
        }
        Ok(items)
    }
}

#[async_trait]
impl SkewedOpen for SealedBackend {
    async fn open_skewed(
        &self,
        namespace: &Namespace,
        skew: Skew,
    ) -> Result<Arc<dyn SessionStore>> {
        let ahead = match skew {
            Skew::Ahead(by) if self.fault == Fault::TrustsItsClock => by,
            _ => Duration::ZERO,
        };
        self.open_with(namespace, ahead, 10_000).await
    }
}

#[async_trait]
impl SingleConnectionOpen for SealedBackend {
    async fn open_single(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        self.open_with(namespace, Duration::ZERO, 1).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_fixture_with_all_abilities_runs_the_cases_that_need_them() {
    let passed = passes_all(SealedBackend::new(Fault::None)).await;
    for (_, id) in FAULTS {
        assert!(passed.iter().any(|passed| passed == id), "{id} did not run");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_fault_is_caught_by_the_case_meant_for_it() {
    for (fault, id) in FAULTS {
        let chosen = cases::find(id).into_iter();
        let verdicts = run_all(SealedBackend::new(*fault), chosen).await;
        assert!(
            matches!(verdicts[..], [(_, Verdict::Failed(_))]),
            "{id} does not catch {fault:?}: {verdicts:?}"
        );
    }
}
