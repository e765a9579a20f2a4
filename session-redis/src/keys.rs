//! The names of keys.

use data_encoding::BASE64URL_NOPAD;
use session_core::{Key, KeyDigest};

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
        let digest = key.digest().as_bytes();
        let mut name = vec![0; self.prefix.len() + BASE64URL_NOPAD.encode_len(digest.len())];
        let (prefix, rest) = name.split_at_mut(self.prefix.len());
        prefix.copy_from_slice(&self.prefix);
        BASE64URL_NOPAD.encode_mut(digest, rest);
        name
    }

    /// The digest in a name.
    pub(crate) fn digest(&self, name: &[u8]) -> Option<KeyDigest> {
        let rest = name.strip_prefix(&*self.prefix)?;
        let digest = BASE64URL_NOPAD.decode(rest).ok()?;
        Some(KeyDigest::from_bytes(digest.try_into().ok()?))
    }
}
