//! Stores that are wrong in one way each, to prove that the suite bites.
//!
//! Each wraps a store that is right and names the cases that are meant to catch it. The crate's
//! own test runs those cases against it and fails if one of them passes.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use session_core::{Result, SessionStore};

use crate::{Backend, MovableClock, Namespace, RawAccess, WriteCounter};

mod claims;
mod create;
mod delete;
mod handle;
mod index;
mod load;
mod lock;
pub(crate) mod mischief;
mod save;
mod sweep;
mod touch;

/// A store that is wrong in one way.
pub struct BrokenStore {
    /// Its name.
    pub name: &'static str,
    /// The [ids](crate::Case::id) of the cases that are meant to catch it.
    pub caught_by: &'static [&'static str],
    wrap: fn(Arc<dyn SessionStore>) -> Arc<dyn SessionStore>,
    merges_namespaces: bool,
}

impl BrokenStore {
    /// The broken store in front of one that is right.
    #[must_use]
    pub fn wrap(&self, right: Arc<dyn SessionStore>) -> Arc<dyn SessionStore> {
        (self.wrap)(right)
    }
}

impl fmt::Debug for BrokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokenStore")
            .field("name", &self.name)
            .field("caught_by", &self.caught_by)
            .finish_non_exhaustive()
    }
}

/// Writes a file's table: the mischief, and the cases that are meant to catch it.
macro_rules! broken {
    ($($mischief:ident: $($case:literal),+;)+) => {
        pub(super) const STORES: &[$crate::broken::BrokenStore] =
            &[$($crate::broken::BrokenStore {
                name: stringify!($mischief),
                caught_by: &[$($case),+],
                wrap: |right| {
                    let mischief = $mischief::default();
                    std::sync::Arc::new($crate::broken::mischief::Broken::new(right, mischief))
                },
                merges_namespaces: false,
            }),+];
    };
}
use broken;

/// Uses one place for all namespaces.
const FORGETS_THE_NAMESPACE: BrokenStore = BrokenStore {
    name: "ForgetsTheNamespace",
    caught_by: &["C19_namespaces_are_isolated", "N02_clear_namespace_is_possible"],
    wrap: |right| right,
    merges_namespaces: true,
};

const TABLES: &[&[BrokenStore]] = &[
    &[FORGETS_THE_NAMESPACE],
    create::STORES,
    load::STORES,
    save::STORES,
    touch::STORES,
    delete::STORES,
    lock::STORES,
    sweep::STORES,
    index::STORES,
    claims::STORES,
    handle::STORES,
];

/// All broken stores, by the operation that is wrong.
pub fn all() -> impl Iterator<Item = &'static BrokenStore> {
    TABLES.iter().copied().flatten()
}

/// A [`Backend`] whose stores are broken; its abilities are those of the right one.
#[derive(Debug)]
pub struct BrokenBackend<B> {
    right: B,
    broken: &'static BrokenStore,
    stores: Mutex<Stores>,
}

/// One for each namespace, since some mischief needs to remember.
type Stores = HashMap<Namespace, Arc<dyn SessionStore>>;

impl<B: Backend> BrokenBackend<B> {
    /// Breaks the stores of a backend.
    pub fn new(right: B, broken: &'static BrokenStore) -> Self {
        Self { right, broken, stores: Mutex::default() }
    }
}

#[async_trait]
impl<B: Backend> Backend for BrokenBackend<B> {
    fn name(&self) -> &str {
        self.broken.name
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        let right = self.right.open(namespace).await?;
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let first = stores.values().next().filter(|_| self.broken.merges_namespaces).cloned();
        let store = || first.unwrap_or_else(|| self.broken.wrap(right));
        Ok(Arc::clone(stores.entry(namespace.clone()).or_insert_with(store)))
    }

    async fn cleanup(&self, namespace: &Namespace) -> Result<()> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner).remove(namespace);
        self.right.cleanup(namespace).await
    }

    fn clock(&self) -> Option<&dyn MovableClock> {
        self.right.clock()
    }

    fn write_counter(&self) -> Option<&dyn WriteCounter> {
        self.right.write_counter()
    }

    fn raw(&self) -> Option<&dyn RawAccess> {
        self.right.raw()
    }
}

/// What a mischief remembers of each key.
#[derive(Debug)]
struct Memory<T>(Mutex<HashMap<session_core::Key, T>>);

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Memory<T> {
    fn put(&self, key: &session_core::Key, value: T) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), value)
    }

    fn get(&self, key: &session_core::Key) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn keys(&self) -> Vec<session_core::Key> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}
