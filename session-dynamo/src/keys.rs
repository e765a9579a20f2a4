//! The names of items.

use data_encoding::BASE64URL_NOPAD;
use session_core::{Key, KeyDigest, PrincipalDigest};

const LOCK: &str = ":lock";

/// Names items: a prefix, and the digest in 43 characters.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// What every name begins with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The name of a session's item.
    pub(crate) fn name(&self, key: &Key) -> String {
        self.prefix.clone() + &BASE64URL_NOPAD.encode(key.digest().as_bytes())
    }

    /// The name of the item of its lock, where that is another one.
    pub(crate) fn lock_name(&self, key: &Key) -> String {
        self.name(key) + LOCK
    }

    /// The session that an item is the lock of, if it is one.
    pub(crate) fn locked(&self, name: &str) -> Option<Key> {
        name.strip_suffix(LOCK).and_then(|name| self.key(name))
    }

    /// The name of the item that holds a principal's epoch. It is no session's.
    pub(crate) fn epoch_of(&self, principal: &PrincipalDigest) -> String {
        format!("{}epoch:{}", self.prefix, BASE64URL_NOPAD.encode(principal.as_bytes()))
    }

    /// The name of the item that says how the table is used. It is no session's.
    pub(crate) fn mark(&self) -> String {
        format!("{}ping", self.prefix)
    }

    /// The session that an item belongs to, if it is one of ours.
    pub(crate) fn key(&self, name: &str) -> Option<Key> {
        let digest = name.strip_prefix(&self.prefix)?;
        let digest = BASE64URL_NOPAD.decode(digest.as_bytes()).ok()?;
        Some(Key::from_digest(KeyDigest::from_bytes(digest.try_into().ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_key_and_no_other_does() {
        let key = Key::from_digest(KeyDigest::from_bytes([255; 32]));
        let keys = Keys::new("app:");
        let name = keys.name(&key);
        assert_eq!(name, "app:__________________________________________8");
        assert_eq!(keys.key(&name).as_ref(), Some(&key));
        let lock = keys.lock_name(&key);
        assert_eq!((keys.locked(&lock), keys.key(&lock)), (Some(key), None));
        assert_eq!(keys.locked(&name), None);
        let epoch = keys.epoch_of(&PrincipalDigest::from_bytes([255; 32]));
        assert_eq!((keys.key(&epoch), keys.locked(&epoch)), (None, None));
        for other in ["app:", "app:x", "PHPSESSID_x", &format!("x{name}"), &format!("{name}A")] {
            assert_eq!(keys.key(other), None, "{other}");
        }
    }
}
