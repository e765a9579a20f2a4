//! The entries of a session as one request sees them: what was read, and what was changed since.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::config::MergeRules;
use crate::{Codec, Entries, Error, ErrorKind, Format, Operation, Result, decode_as, merge_entry};

/// A session's entries: what was read from the store, and the changes made since.
///
/// Values are decoded one by one, when they are asked for. All methods work in memory.
#[derive(Clone)]
pub struct SessionData {
    format: Arc<dyn Format>,
    codec: Codec,
    base: Arc<Entries>,
    changes: Changes,
}

#[derive(Clone, Default)]
struct Changes {
    /// All entries of the base were removed, and what others add is to be removed too.
    cleared: bool,
    /// New values, or `None` for removed entries.
    entries: BTreeMap<Box<str>, Option<Bytes>>,
    /// Something beside the entries is to be saved.
    forced: bool,
}

impl SessionData {
    pub(super) fn new(format: Arc<dyn Format>, codec: Codec, base: Entries) -> Self {
        Self { format, codec, base: Arc::new(base), changes: Changes::default() }
    }

    /// The value of an entry, or `None` when there is none of this name.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when the stored value is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.raw(name).map(|bytes| decode_as(&*self.format, self.codec, bytes)).transpose()
    }

    /// Sets an entry. Setting it to the value that it had when it was read is no change.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when the value cannot be encoded.
    pub fn insert<T: Serialize>(&mut self, name: &str, value: T) -> Result<()> {
        let bytes = self.format.encode_value(self.codec, &value)?;
        if !self.changes.cleared && self.base.get(name) == Some(&bytes) {
            self.changes.entries.remove(name);
        } else {
            self.changes.entries.insert(name.into(), Some(bytes));
        }
        Ok(())
    }

    /// Removes an entry and returns the value that it had.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when the stored value is not a `T`; the entry then
    /// stays.
    pub fn remove<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>> {
        let value = self.get(name)?;
        if !self.changes.cleared && self.base.contains(name) {
            self.changes.entries.insert(name.into(), None);
        } else {
            self.changes.entries.remove(name);
        }
        Ok(value)
    }

    /// Whether there is an entry of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// Removes all entries, those included that others add before this is saved.
    pub fn clear(&mut self) {
        self.changes.cleared = true;
        self.changes.entries.clear();
    }

    /// The names of all entries, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.current().names().map(Into::into).collect()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.current().is_empty()
    }

    pub(super) fn is_changed(&self) -> bool {
        let changes = &self.changes;
        changes.forced || !changes.entries.is_empty() || (changes.cleared && !self.base.is_empty())
    }

    pub(super) fn force(&mut self) {
        self.changes.forced = true;
    }

    pub(super) const fn codec(&self) -> Codec {
        self.codec
    }

    /// What the changes are changes of.
    pub(super) const fn base(&self) -> &Arc<Entries> {
        &self.base
    }

    /// The entries with the changes applied.
    pub(super) fn current(&self) -> Entries {
        let mut entries = if self.changes.cleared { Entries::new() } else { (*self.base).clone() };
        for (name, value) in &self.changes.entries {
            set(&mut entries, name, value.clone());
        }
        entries
    }

    /// The same changes, made to newer entries: the three-way merge.
    pub(super) fn rebased(&self, newer: Arc<Entries>, rules: &MergeRules) -> Result<Self> {
        let (cleared, forced) = (self.changes.cleared, self.changes.forced);
        let mut changes = Changes { cleared, entries: BTreeMap::new(), forced };
        for (name, mine) in &self.changes.entries {
            let (base, theirs) = if self.changes.cleared {
                (None, None)
            } else {
                (self.base.get(name), newer.get(name))
            };
            let rule = rules.of(name);
            let merged = merge_entry(rule, &*self.format, self.codec, base, mine.as_ref(), theirs)?;
            if merged.as_ref() != theirs {
                changes.entries.insert(name.clone(), merged);
            }
        }
        Ok(self.with(newer, changes))
    }

    /// Entries of another codec, as long as nothing was changed yet.
    pub(super) fn recoded(&self, codec: Codec, entries: Entries) -> Result<Self> {
        if self.is_changed() {
            let error = Error::new(ErrorKind::Conflict, "session", Operation::Decode);
            return Err(error.with_detail("the session was rewritten with another codec"));
        }
        Ok(Self::new(Arc::clone(&self.format), codec, entries))
    }

    /// Only the changes made since `earlier`, a copy of these data: changes to what it showed.
    pub(super) fn changed_since(&self, earlier: &Self) -> Option<Self> {
        let (known, mut later) = (&earlier.changes, self.changes.clone());
        later.forced &= !known.forced;
        later.cleared &= !known.cleared;
        if !later.cleared {
            for name in known.entries.keys() {
                later.entries.insert(name.clone(), self.raw(name).cloned());
            }
            later.entries.retain(|name, value| value.as_ref() != earlier.raw(name));
        }
        let is_changed = later.forced || later.cleared || !later.entries.is_empty();
        is_changed.then(|| self.with(Arc::new(earlier.current()), later))
    }

    /// These changes, made to what `saved` will be.
    pub(super) fn on_top_of(&self, saved: &Self, rules: &MergeRules) -> Result<Self> {
        self.rebased(Arc::new(saved.current()), rules)
    }

    /// The same entries without changes: they were saved, as `entries`.
    pub(super) fn saved(&self, entries: Entries) -> Self {
        self.with(Arc::new(entries), Changes::default())
    }

    /// The entries without the changes.
    pub(super) fn unchanged(&self) -> Self {
        self.with(Arc::clone(&self.base), Changes::default())
    }

    /// The same entries, all of them changes: nothing of it is stored.
    pub(super) fn unsaved(&self) -> Self {
        let entries = self.current();
        let entries = entries.iter().map(|(name, value)| (name.into(), Some(value.clone())));
        let changes = Changes { entries: entries.collect(), ..Changes::default() };
        self.with(Arc::default(), changes)
    }

    fn with(&self, base: Arc<Entries>, changes: Changes) -> Self {
        Self { format: Arc::clone(&self.format), codec: self.codec, base, changes }
    }

    fn raw(&self, name: &str) -> Option<&Bytes> {
        match self.changes.entries.get(name) {
            Some(changed) => changed.as_ref(),
            None if self.changes.cleared => None,
            None => self.base.get(name),
        }
    }
}

fn set(entries: &mut Entries, name: &str, value: Option<Bytes>) {
    match value {
        Some(value) => drop(entries.insert(name, value)),
        None => drop(entries.remove(name)),
    }
}

impl fmt::Debug for SessionData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionData")
            .field("entries", &self.base.len())
            .field("changes", &self.changes.entries.len())
            .field("cleared", &self.changes.cleared)
            .finish_non_exhaustive()
    }
}
