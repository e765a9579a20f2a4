//! What two processes of the suite say to each other: a line of JSON for each call and answer.

use std::{path::PathBuf, time::Duration};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use session_core::{
    Cursor, Error, ErrorKind, Expected, Incarnation, Key, KeyDigest, KeyPage, Lease, Lineage,
    Locked, Meta, OpToken, Operation, PrincipalDigest, Record, Revision, SweepReport, Then,
    Timestamp, Ttl, Write,
};

pub(crate) type Digest = [u8; 32];
pub(crate) type Token = [u8; 16];

/// A line to the other process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Line {
    /// Do this on that store, and answer under that number.
    Call(u64, usize, Box<Call>),
    /// Nobody waits for the call of that number any more.
    Drop(u64),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Call {
    Open(PathBuf),
    Close,
    Create(Digest, Written, Token, Option<(Held, Released)>),
    Load(Digest),
    Save(Digest, Written, Expectation, Token),
    Touch(Digest, Life, Token, Token),
    Delete(Digest, Expectation, Token),
    Lock(Digest, Token, Duration, Duration),
    Renew(Digest, Held, Duration),
    Release(Digest, Held),
    Sweep(Option<Vec<u8>>, usize, Duration),
    Keys(Option<Vec<u8>>, usize),
    Ping,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done,
    Store(usize),
    Revision(Version),
    Record(Option<Kept>),
    Locked(Option<Held>, Option<Kept>),
    Report(Report),
    Keys(Vec<Digest>, Option<Vec<u8>>),
    Failed(Failure),
}

/// Milliseconds, or for ever.
pub(crate) type Life = Option<Duration>;
/// Whether the lock is free with the write.
pub(crate) type Released = bool;
/// A lease.
pub(crate) type Held = (Token, Duration);
/// A revision.
pub(crate) type Version = (Token, u64);
/// Principal, epoch, absolute deadline.
type About = (Option<Digest>, u64, Option<u64>);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Written {
    payload: String,
    life: Life,
    about: About,
    restart: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    payload: String,
    about: About,
    revision: Version,
    remaining: Life,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Expectation {
    Any,
    Incarnation(Token),
    Revision(Version),
    Lease(Held, Version, Released),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    scanned: usize,
    deleted: usize,
    skipped: usize,
    oldest_lag: Option<Duration>,
    next: Option<Vec<u8>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    kind: String,
    text: String,
    maybe_applied: bool,
    retry_after: Option<Duration>,
    current: Option<Kept>,
}

pub(crate) fn key(digest: Digest) -> Key {
    Key::from_digest(KeyDigest::from_bytes(digest))
}

pub(crate) fn life(ttl: Ttl) -> Life {
    ttl.duration()
}

pub(crate) fn ttl(life: Life) -> Ttl {
    life.map_or(Ttl::NEVER, Ttl::from)
}

pub(crate) fn held(lease: &Lease) -> Held {
    (*lease.token().as_bytes(), lease.duration())
}

pub(crate) fn lease((token, duration): Held) -> Lease {
    Lease::new(OpToken::from_bytes(token), duration)
}

pub(crate) fn then(released: Released) -> Then {
    if released { Then::Release } else { Then::Keep }
}

pub(crate) fn version(revision: Revision) -> Version {
    let version = u64::try_from(revision.version()).unwrap_or(u64::MAX);
    (*revision.incarnation().as_bytes(), version)
}

pub(crate) fn revision((incarnation, version): Version) -> Revision {
    Revision::counted(Incarnation::from_bytes(incarnation), version)
}

fn about(meta: &Meta) -> About {
    let principal = meta.principal.map(|principal| *principal.as_bytes());
    (principal, meta.epoch, meta.absolute_deadline.map(Timestamp::as_millis))
}

fn meta((principal, epoch, absolute): About) -> Meta {
    Meta::new()
        .with_principal(principal.map(PrincipalDigest::from_bytes), epoch)
        .with_absolute_deadline(absolute.map(Timestamp::from_millis))
}

fn payload(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).unwrap_or_default()
}

impl From<Write> for Written {
    fn from(write: Write) -> Self {
        Self {
            payload: HEXLOWER.encode(&write.payload),
            life: life(write.ttl),
            about: about(&write.meta),
            restart: write.lineage == Lineage::Restart,
        }
    }
}

impl From<Written> for Write {
    fn from(written: Written) -> Self {
        let lineage = if written.restart { Lineage::Restart } else { Lineage::Continue };
        Self::new(payload(&written.payload), ttl(written.life))
            .with_meta(meta(written.about))
            .with_lineage(lineage)
    }
}

impl From<Record> for Kept {
    fn from(record: Record) -> Self {
        Self {
            payload: HEXLOWER.encode(&record.payload),
            about: about(&record.meta),
            revision: version(record.revision),
            remaining: life(record.remaining),
        }
    }
}

impl From<Kept> for Record {
    fn from(kept: Kept) -> Self {
        let payload = payload(&kept.payload).into();
        Self::new(payload, meta(kept.about), revision(kept.revision), ttl(kept.remaining))
    }
}

impl From<Expected<'_>> for Expectation {
    fn from(expected: Expected<'_>) -> Self {
        match expected {
            Expected::Incarnation(incarnation) => Self::Incarnation(*incarnation.as_bytes()),
            Expected::Revision(revision) => Self::Revision(version(revision)),
            Expected::Lease { lease, revision, then } => {
                Self::Lease(held(lease), version(revision), then == Then::Release)
            }
            _ => Self::Any,
        }
    }
}

impl Expectation {
    /// Calls `with` with what this stands for.
    pub(crate) async fn with<T>(&self, with: impl AsyncFnOnce(Expected<'_>) -> T) -> T {
        match *self {
            Self::Any => with(Expected::Any).await,
            Self::Incarnation(token) => {
                with(Expected::Incarnation(Incarnation::from_bytes(token))).await
            }
            Self::Revision(version) => with(Expected::Revision(revision(version))).await,
            Self::Lease(held, version, released) => {
                let (lease, revision, then) = (lease(held), revision(version), then(released));
                with(Expected::Lease { lease: &lease, revision, then }).await
            }
        }
    }
}

impl From<Locked> for Answer {
    fn from(locked: Locked) -> Self {
        Self::Locked(locked.lease.as_ref().map(held), locked.record.map(Kept::from))
    }
}

impl From<SweepReport> for Answer {
    fn from(report: SweepReport) -> Self {
        Self::Report(Report {
            scanned: report.scanned,
            deleted: report.deleted,
            skipped: report.skipped,
            oldest_lag: report.oldest_lag,
            next: report.next.map(|cursor| cursor.as_bytes().to_vec()),
        })
    }
}

impl From<Report> for SweepReport {
    fn from(told: Report) -> Self {
        let mut report = Self::default();
        (report.scanned, report.deleted) = (told.scanned, told.deleted);
        (report.skipped, report.oldest_lag) = (told.skipped, told.oldest_lag);
        report.next = told.next.map(Cursor::new);
        report
    }
}

impl From<KeyPage> for Answer {
    fn from(page: KeyPage) -> Self {
        let keys = page.keys.iter().map(|key| *key.digest().as_bytes()).collect();
        Self::Keys(keys, page.next.map(|cursor| cursor.as_bytes().to_vec()))
    }
}

impl From<Error> for Answer {
    fn from(mut error: Error) -> Self {
        Self::Failed(Failure {
            current: error.take_current().map(Kept::from),
            kind: format!("{:?}", error.kind()),
            text: error.to_string(),
            maybe_applied: error.maybe_applied(),
            retry_after: error.retry_after(),
        })
    }
}

impl Failure {
    pub(crate) fn into_error(self, operation: Operation) -> Error {
        use ErrorKind::{
            AlreadyExists, Conflict, Corrupt, InvalidId, LockHeld, LockLost, LockTimeout, NotFound,
            Timeout, TooLarge, TooManyWaiters, Unavailable, Unsupported,
        };
        let kinds = [
            AlreadyExists,
            Conflict,
            Corrupt,
            InvalidId,
            LockHeld,
            LockLost,
            LockTimeout,
            NotFound,
            Timeout,
            TooLarge,
            TooManyWaiters,
            Unavailable,
            Unsupported,
        ];
        let kind = kinds.into_iter().find(|kind| format!("{kind:?}") == self.kind);
        let error = Error::new(kind.unwrap_or(ErrorKind::Backend), "files", operation)
            .with_detail(self.text)
            .with_retry_after(self.retry_after)
            .with_current(self.current.map(Record::from));
        if self.maybe_applied { error.with_maybe_applied() } else { error }
    }
}
