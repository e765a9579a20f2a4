//! The names of keys.

use data_encoding::BASE64URL_NOPAD;
use session_core::{Key, KeyDigest, PrincipalDigest};

/// Names keys: a prefix, and the digest in 43 characters.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: Vec<u8>,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.as_bytes().to_vec() }
    }

    /// The name of a session's key, and of the channel on which its release is told.
    pub(crate) fn name(&self, key: &Key) -> Vec<u8> {
        self.named("", key.digest().as_bytes())
    }

    /// The name of the key that lists the sessions of a principal.
    pub(crate) fn sessions_of(&self, principal: &PrincipalDigest) -> Vec<u8> {
        self.named("of:", principal.as_bytes())
    }

    /// The name of the key that holds the epoch of a principal.
    pub(crate) fn epoch_of(&self, principal: &PrincipalDigest) -> Vec<u8> {
        self.named("epoch:", principal.as_bytes())
    }

    fn named(&self, kind: &str, digest: &[u8; 32]) -> Vec<u8> {
        let start = self.prefix.len() + kind.len();
        let mut name = Vec::with_capacity(start + BASE64URL_NOPAD.encode_len(digest.len()));
        name.extend_from_slice(&self.prefix);
        name.extend_from_slice(kind.as_bytes());
        name.resize(name.capacity(), 0);
        BASE64URL_NOPAD.encode_mut(digest, name.get_mut(start..).unwrap_or_default());
        name
    }

    /// The digest in a name.
    pub(crate) fn digest(&self, name: &[u8]) -> Option<KeyDigest> {
        let rest = name.strip_prefix(&*self.prefix)?;
        let digest = BASE64URL_NOPAD.decode(rest).ok()?;
        Some(KeyDigest::from_bytes(digest.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use session_core::KeyHasher;

    use super::*;

    #[test]
    fn names_show_their_kind_and_lead_back_to_the_digest() {
        let keys = Keys::new("app:");
        let key = Key::from_digest(KeyDigest::from_bytes([255; 32]));
        let name = keys.name(&key);
        assert_eq!(name, b"app:__________________________________________8");
        assert_eq!(keys.digest(&name).as_ref(), Some(key.digest()));
        let principal = KeyHasher::plain().principal("ada");
        for name in [keys.sessions_of(&principal), keys.epoch_of(&principal), b"x".to_vec()] {
            assert_eq!(keys.digest(&name), None);
        }
    }
}
