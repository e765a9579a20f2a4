//! The table's rows: numbered cases, and what each needs.

use std::{fmt, pin::Pin};

use session_core::{
    Capabilities, Fencing, Idempotency, LockAbsent, LockScope, RevisionKind, SessionStore, Sweeping,
};

use crate::{Backend, Layout, context::Cx, outcome::Outcome};

/// One case of the contract: a statement that a store keeps or does not keep.
pub struct Case {
    /// Its number in the catalogue: `"C01"`. Two cases may show two sides of one number.
    pub number: &'static str,
    /// Its name, which says what it shows: `"create_then_read_round_trips"`.
    pub name: &'static str,
    /// What it needs of the store and of the fixture; without it the case is ignored.
    pub needs: &'static [Need],
    pub(crate) run: fn(Cx) -> CaseFuture,
}

pub(crate) type CaseFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;

impl Case {
    /// Number and name as one word, as the runner shows and filters it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}_{}", self.number, self.name)
    }

    /// Why the case does not apply to this store or fixture, if so.
    pub(crate) fn unmet(&self, backend: &dyn Backend, store: &dyn SessionStore) -> Option<String> {
        let unmet = self.needs.iter().find_map(|need| need.unmet(backend, store));
        unmet.map(str::to_owned)
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("number", &self.number)
            .field("name", &self.name)
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}

/// What a case needs. The first group is declared by the store, the second offered by the fixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Need {
    /// `locking: Yes`
    Locking,
    /// `locking: No`
    NoLocking,
    /// `lock_absent: Held`
    HeldAbsent,
    /// `lock_absent: NotHeld`
    NotHeldAbsent,
    /// `lock_scope: Commits`
    BreakableLocks,
    /// `locking: Yes`, and a `lock_scope` of more than `Commits`
    LocksForAllWriters,
    /// A `lock_scope` of less than `Store`
    LocksApart,
    /// `locking: Yes`, and `lock_scope: Store`
    LocksOfTheStore,
    /// `fencing` by token or content
    Fencing,
    /// `fencing: Token`
    TokenFencing,
    /// `fifo: Yes`
    Fifo,
    /// A `max_waiters` that can be reached in a test
    FewWaiters,
    /// `touch: Yes`
    Touch,
    /// `touch: No`
    NoTouch,
    /// `empty_payloads: Yes`
    EmptyPayloads,
    /// `empty_payloads: No`
    NoEmptyPayloads,
    /// `meta: Yes`
    Meta,
    /// `meta: No`
    NoMeta,
    /// `revision: Incarnation`
    Incarnations,
    /// `revision: Content`
    ContentRevisions,
    /// `idempotency: Window(n)`
    Idempotency,
    /// `sweeping: Needed`
    Sweeping,
    /// `sweeping: ByServer`
    ServerSweeps,
    /// A `max_payload` that can be reached in a test
    ReachableLimit,
    /// A principal index
    Index,
    /// No principal index
    NoIndex,
    /// `listing: Yes`
    Listing,
    /// `listing: No`
    NoListing,
    /// An enumeration
    Enumeration,

    /// [`Backend::clock`]
    Clock,
    /// [`Backend::raw`]
    RawAccess,
    /// [`Backend::skewed`]
    SkewedClocks,
    /// [`Backend::single_connection`]
    SingleConnection,
    /// [`Layout::Native`]
    NativeLayout,
}

impl Need {
    fn unmet(self, backend: &dyn Backend, store: &dyn SessionStore) -> Option<&'static str> {
        let (met, reason) = match self {
            Self::Clock => (backend.clock().is_some(), "the fixture cannot move the clock"),
            Self::RawAccess => {
                (backend.raw().is_some(), "the fixture cannot reach the stored bytes")
            }
            Self::SkewedClocks => {
                (backend.skewed().is_some(), "the fixture has no servers with wrong clocks")
            }
            Self::SingleConnection => {
                (backend.single_connection().is_some(), "the fixture has no pool of one connection")
            }
            Self::NativeLayout => {
                (backend.layout() == Layout::Native, "the layout is another system's")
            }
            Self::Index => (store.principal_index().is_some(), "the store has no principal index"),
            Self::NoIndex => (store.principal_index().is_none(), "the store has a principal index"),
            Self::Enumeration => (store.enumeration().is_some(), "the store has no enumeration"),
            declared => declared.declared(store.capabilities()),
        };
        (!met).then_some(reason)
    }

    fn declared(self, has: &Capabilities) -> (bool, &'static str) {
        match self {
            Self::Locking => (has.locking.is_yes(), "the store declares no locking"),
            Self::NoLocking => (!has.locking.is_yes(), "the store locks"),
            Self::HeldAbsent => {
                (has.lock_absent == LockAbsent::Held, "the store does not hold absent keys")
            }
            Self::NotHeldAbsent => {
                (has.lock_absent == LockAbsent::NotHeld, "the store holds absent keys")
            }
            Self::BreakableLocks => {
                (has.lock_scope == LockScope::Commits, "a lock keeps all writers out")
            }
            Self::LocksForAllWriters => {
                let keeps_out = has.locking.is_yes() && has.lock_scope != LockScope::Commits;
                (keeps_out, "locks keep out commits only")
            }
            Self::LocksApart => {
                (has.lock_scope != LockScope::Store, "a lock is one of the whole store")
            }
            Self::LocksOfTheStore => {
                let whole = has.locking.is_yes() && has.lock_scope == LockScope::Store;
                (whole, "a lock is one of a record")
            }
            Self::Fencing => (has.fencing != Fencing::None, "the store declares no fencing"),
            Self::TokenFencing => {
                (has.fencing == Fencing::Token, "the store does not fence by token")
            }
            Self::Fifo => (has.fifo.is_yes(), "the store declares no order of waiters"),
            Self::FewWaiters => (has.max_waiters <= 512, "the limit of waiters is out of reach"),
            Self::Touch => (has.touch.is_yes(), "the store declares no touch"),
            Self::NoTouch => (!has.touch.is_yes(), "the store touches"),
            Self::EmptyPayloads => {
                (has.empty_payloads.is_yes(), "a payload of no bytes is no record")
            }
            Self::NoEmptyPayloads => {
                (!has.empty_payloads.is_yes(), "a payload of no bytes is a record")
            }
            Self::Meta => (has.meta.is_yes(), "the store declares no meta"),
            Self::NoMeta => (!has.meta.is_yes(), "the store keeps meta"),
            Self::Listing => (has.listing.is_yes(), "the index lists no sessions"),
            Self::NoListing => (!has.listing.is_yes(), "the index lists sessions"),
            Self::Incarnations => {
                (has.revision == RevisionKind::Incarnation, "the store keeps no incarnation")
            }
            Self::ContentRevisions => {
                (has.revision == RevisionKind::Content, "the store keeps an incarnation")
            }
            Self::Idempotency => {
                (has.idempotency != Idempotency::None, "the store declares no idempotency")
            }
            Self::Sweeping => (has.sweeping == Sweeping::Needed, "the server sweeps by itself"),
            Self::ServerSweeps => (has.sweeping == Sweeping::ByServer, "the store needs sweeping"),
            Self::ReachableLimit => {
                (has.max_payload <= 16 << 20, "the limit of payloads is out of reach")
            }
            _ => (true, ""),
        }
    }
}
