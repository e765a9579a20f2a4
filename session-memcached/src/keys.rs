//! The names of keys.

use data_encoding::BASE64URL_NOPAD;
use session_core::Key;

use crate::link::Name;

/// The length of a digest in base64url.
const DIGEST: usize = 43;

/// Names keys: a prefix, and the digest in 43 characters.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: Vec<u8>,
}

/// The name of an item.
#[derive(Debug)]
pub(crate) struct ItemName(Vec<u8>);

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.as_bytes().to_vec() }
    }

    /// The name of a session's item.
    pub(crate) fn name(&self, key: &Key) -> ItemName {
        let start = self.prefix.len();
        let mut name = Vec::with_capacity(start + DIGEST);
        name.extend_from_slice(&self.prefix);
        name.resize(start + DIGEST, 0);
        BASE64URL_NOPAD
            .encode_mut(key.digest().as_bytes(), name.get_mut(start..).unwrap_or_default());
        ItemName(name)
    }
}

impl ItemName {
    /// The prefix does not decide about the server: as with libmemcached's
    /// `MEMCACHED_CALLBACK_PREFIX_KEY`.
    pub(crate) fn get(&self) -> Name<'_> {
        let start = self.0.len().saturating_sub(DIGEST);
        Name { hashed: self.0.get(start..).unwrap_or_default(), key: &self.0 }
    }
}

#[cfg(test)]
mod tests {
    use session_core::KeyDigest;

    use super::*;

    #[test]
    fn a_name_is_the_prefix_and_the_digest_and_fits_with_the_longest_prefix() {
        let key = Key::from_digest(KeyDigest::from_bytes([255; 32]));
        let name = Keys::new("app:").name(&key);
        assert_eq!(name.get().key, b"app:__________________________________________8");
        assert_eq!(name.get().hashed, b"__________________________________________8");
        let longest = Keys::new(&"p".repeat(128)).name(&key);
        assert!(longest.get().key.len() <= 250);
    }
}
