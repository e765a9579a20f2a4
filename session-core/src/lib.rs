//! The contract of shared web sessions.
//!
//! This crate holds what every backend and every web framework of the family agrees on:
//!
//! - [`SessionStore`], the contract of a store, with [`MemoryStore`] as its reference
//!   implementation;
//! - the types it speaks of: [`SessionId`] and [`Key`], [`Record`] and [`Revision`], [`Lease`],
//!   [`Capabilities`], [`Error`] with its [`ErrorKind`];
//! - how a session becomes a payload: [`Format`] and [`NativeFormat`], [`Document`], [`Codec`],
//!   [`MergeRule`];
//! - what stores share: [`Slot`] (the commit rule as plain data), [`LockQueue`] (the in-process
//!   line of waiters), [`Jitter`] (their pauses), [`Holds`] (the leases that a process has), [`Clock`], [`settings`] (the query of a store's URL).
//!
//! It does no network I/O and knows no web framework and no backend. It uses tokio's timers and
//! synchronisation.

mod capabilities;
mod codec;
mod envelope;
mod error;
mod format;
mod forward;
mod holds;
mod id;
mod jitter;
mod memory;
mod merge;
mod queue;
mod record;
mod session;
pub mod settings;
mod slot;
mod store;
mod time;

pub use capabilities::{
    Capabilities, Fencing, Idempotency, LeaseCheck, LockAbsent, LockScope, RevisionKind, Support,
    Sweeping,
};
pub use codec::{Codec, ValueVisitor};
pub use envelope::Compression;
pub use error::{Error, ErrorKind, Operation, Result};
pub use format::{
    Alias, Binding, ClientHint, Document, DocumentState, Entries, Format, FormatCapabilities,
    Frame, Header, NativeFormat, SessionHandle, decode_as,
};
#[doc(hidden)]
pub use forward::StoreFuture;
pub use holds::Holds;
pub use id::{IdForm, Key, KeyDigest, KeyHasher, LogId, PrincipalDigest, SessionId};
pub use jitter::Jitter;
pub use memory::{MemoryStore, MemoryStoreBuilder};
pub use merge::{MergeRule, merge_entry};
pub use queue::{LockQueue, QueueError, Turn};
pub use record::{Incarnation, Lease, Lineage, Meta, OpToken, Record, Revision, Write};
pub use session::{
    ClientMatch, CookieChange, EpochCheck, Lifetime, LockedSession, Login, OnChange, OverLimit,
    PrincipalSessions, ReadOnlySession, Session, SessionData, SessionEvent, SessionFacts,
    SessionInfo, SessionManager, SessionManagerBuilder, SessionSnapshot,
};
pub use slot::{Holder, LockOutcome, REMEMBERED_OPS, RecentOps, Slot, StoredRecord};
pub use store::{
    Cursor, Enumeration, Expected, KeyPage, LockRequest, Locked, PrincipalIndex, ReadOptions,
    SessionStore, SweepBudget, SweepReport, Then, Under,
};
pub use time::{
    Clock, Deadline, FrozenClock, OffsetClock, SteadyClock, SystemClock, Timestamp, Ttl,
    instant_after,
};
