//! The names of keys.

use data_encoding::BASE64URL_NOPAD;
use session_core::{Key, PrincipalDigest};

/// The length of a digest in base64url.
const DIGEST: usize = 43;

/// Names keys: a prefix, and the digest in 43 characters.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    sessions: Vec<u8>,
    epochs: Vec<u8>,
}

/// The name of an item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name<'a> {
    prefix: &'a [u8],
    rest: Rest<'a>,
}

/// What follows the prefix.
#[derive(Debug, Clone, Copy)]
enum Rest<'a> {
    Digest([u8; DIGEST]),
    #[cfg_attr(not(feature = "php"), expect(dead_code, reason = "PHP's layout has such names"))]
    Text(&'a [u8]),
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { sessions: prefix.into(), epochs: format!("{prefix}epoch:").into() }
    }

    /// The name of a session's item.
    pub(crate) fn name(&self, key: &Key) -> Name<'_> {
        Name::new(&self.sessions, key.digest().as_bytes())
    }

    /// The name of the item that holds the epoch of a principal.
    pub(crate) fn epoch_of(&self, principal: &PrincipalDigest) -> Name<'_> {
        Name::new(&self.epochs, principal.as_bytes())
    }
}

impl<'a> Name<'a> {
    fn new(prefix: &'a [u8], of: &[u8; 32]) -> Self {
        let mut digest = [0; DIGEST];
        BASE64URL_NOPAD.encode_mut(of, &mut digest);
        Self { prefix, rest: Rest::Digest(digest) }
    }

    /// A name that somebody else has decided about.
    #[cfg(feature = "php")]
    pub(crate) const fn of_text(prefix: &'a [u8], text: &'a [u8]) -> Self {
        Self { prefix, rest: Rest::Text(text) }
    }
}

impl Name<'_> {
    /// What decides about the server: not the prefix, as with libmemcached's
    /// `MEMCACHED_CALLBACK_PREFIX_KEY`.
    pub(crate) const fn rest(&self) -> &[u8] {
        match &self.rest {
            Rest::Digest(digest) => digest,
            Rest::Text(text) => text,
        }
    }

    /// The item's key, in two parts.
    pub(crate) const fn parts(&self) -> [&[u8]; 2] {
        [self.prefix, self.rest()]
    }
}

#[cfg(test)]
mod tests {
    use session_core::KeyDigest;

    use super::*;

    #[test]
    fn a_name_is_the_prefix_and_the_digest_and_fits_with_the_longest_prefix() {
        let key = Key::from_digest(KeyDigest::from_bytes([255; 32]));
        let keys = Keys::new("app:");
        let name = keys.name(&key);
        assert_eq!(name.parts().concat(), b"app:__________________________________________8");
        assert_eq!(name.rest(), b"__________________________________________8");
        let keys = Keys::new(&"p".repeat(128));
        let epoch = keys.epoch_of(&PrincipalDigest::from_bytes([0; 32]));
        assert!(epoch.parts().concat().len() <= 250);
    }
}
