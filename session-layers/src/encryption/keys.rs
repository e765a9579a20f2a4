//! The keys, and what is derived from them.

use std::{collections::HashSet, env, fmt, sync::Arc};

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, Mac};
use session_core::{Error, ErrorKind, Operation, Result};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::wrong_setting;

/// A secret of 32 bytes or more from which the keys are derived that payloads are encrypted with.
///
/// Its `Debug` shows nothing but its [id](Self::id), and its bytes are wiped when it is dropped.
#[derive(Clone)]
pub struct EncryptionKey(Zeroizing<Vec<u8>>);

impl EncryptionKey {
    /// The key with these bytes, which must be random: a password is no key.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when there are fewer than 32, or they are one byte repeated.
    pub fn from_bytes(bytes: impl AsRef<[u8]>) -> Result<Self> {
        let bytes = bytes.as_ref();
        if bytes.len() < KEY {
            return Err(wrong_setting("an encryption key needs at least 32 bytes"));
        }
        if bytes.iter().all(|byte| Some(byte) == bytes.first()) {
            return Err(wrong_setting("an encryption key of one byte repeated is no key"));
        }
        Ok(Self::unchecked(bytes))
    }

    /// The key that a text writes, in base64 (of either alphabet, with or without padding) or in
    /// hexadecimal.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) as [`from_bytes`](Self::from_bytes), and when it is in neither
    /// form. The error does not quote it.
    pub fn parse(text: &str) -> Result<Self> {
        Self::from_bytes(&*decode(text.trim())?)
    }

    pub(super) fn unchecked(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// A new random key, for tests: the key of a fleet is made once and kept.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when there are no random bytes.
    pub fn generate() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; KEY]);
        getrandom::fill(&mut *bytes).map_err(|source| {
            Error::new(ErrorKind::Unavailable, "encryption", Operation::Open)
                .with_detail("the operating system gave no random bytes")
                .with_source(source)
        })?;
        Ok(Self::unchecked(&*bytes))
    }

    /// The name of the key in what is encrypted with it. It is derived from the key, so that two
    /// servers never mean different keys by it, and leads nobody back to the key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let mut id = [0; KeyId::LEN];
        id.iter_mut()
            .zip(*self.derive(b"session payload key id"))
            .for_each(|(to, from)| *to = from);
        KeyId(id)
    }

    /// One key for each purpose.
    fn derive(&self, purpose: &[u8]) -> Zeroizing<[u8; KEY]> {
        Zeroizing::new(keyed(&self.0).chain_update(purpose).finalize().into_bytes().into())
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({})", self.id())
    }
}

/// The name of a key; see [`EncryptionKey::id`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; Self::LEN]);

impl KeyId {
    pub(super) const LEN: usize = 8;

    pub(super) const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The keys of a fleet: the newest encrypts, all decrypt. A clone shares them.
#[derive(Clone)]
pub struct KeyRing {
    newest: Arc<Derived>,
    older: Vec<Arc<Derived>>,
}

/// What is made of a key once, for all payloads.
pub(super) struct Derived {
    pub(super) id: KeyId,
    pub(super) cipher: XChaCha20Poly1305,
    pub(super) nonces: Hmac<Sha256>,
}

impl KeyRing {
    /// A ring of these keys, the newest first.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when there is none, or two are the same.
    pub fn new(keys: impl IntoIterator<Item = EncryptionKey>) -> Result<Self> {
        let mut keys = keys.into_iter().map(|key| Arc::new(Derived::new(&key)));
        let newest = keys.next().ok_or_else(|| wrong_setting("a key ring needs a key"))?;
        let ring = Self { newest, older: keys.collect() };
        let mut seen = HashSet::new();
        if !ring.ids().all(|id| seen.insert(id)) {
            return Err(wrong_setting("two keys of the ring are the same"));
        }
        Ok(ring)
    }

    /// The ring that a setting writes: keys as [`EncryptionKey::parse`] reads them, the newest
    /// first, separated by commas or white space.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) as [`new`](Self::new), and when one of them is no key. The
    /// error does not quote it.
    pub fn parse(text: &str) -> Result<Self> {
        let words = text.split(|c: char| c == ',' || c.is_whitespace());
        let keys = words.filter(|word| !word.is_empty()).map(EncryptionKey::parse);
        Self::new(keys.collect::<Result<Vec<_>>>()?)
    }

    /// The ring that an environment variable holds, in the form of [`parse`](Self::parse).
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) as [`parse`](Self::parse), and when it is not set. The error
    /// names the variable and shows nothing of its value.
    pub fn from_env(variable: &str) -> Result<Self> {
        let text = env::var(variable).map_err(|_absent_or_not_text| {
            wrong_setting(format!("{variable} is not set, or not text"))
        })?;
        Self::parse(&Zeroizing::new(text)).map_err(|error| {
            wrong_setting(format!("{variable} holds no key ring")).with_source(error)
        })
    }

    /// The names of the keys, the newest first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.all().map(|key| key.id)
    }

    pub(super) fn newest(&self) -> &Derived {
        &self.newest
    }

    pub(super) fn find(&self, id: KeyId) -> Option<&Derived> {
        self.all().find(|key| key.id == id)
    }

    fn all(&self) -> impl Iterator<Item = &Derived> {
        std::iter::once(&self.newest).chain(&self.older).map(|key| &**key)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

impl Derived {
    fn new(key: &EncryptionKey) -> Self {
        let cipher = key.derive(b"session payload encryption");
        Self {
            id: key.id(),
            cipher: XChaCha20Poly1305::new((&*cipher).into()),
            nonces: keyed(&*key.derive(b"session payload nonces")),
        }
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Text of hexadecimal digits only could be base64 as well, but no random key looks like that.
fn decode(word: &str) -> Result<Zeroizing<Vec<u8>>> {
    let hex = HEXLOWER_PERMISSIVE.decode(word.as_bytes());
    let bare = || word.trim_end_matches('=').as_bytes();
    hex.or_else(|_| BASE64_NOPAD.decode(bare()))
        .or_else(|_| BASE64URL_NOPAD.decode(bare()))
        .map(Zeroizing::new)
        .map_err(|_shows_characters| {
            wrong_setting("an encryption key is neither base64 nor hexadecimal")
        })
}

/// Bytes of a derived key, and the fewest of a secret.
const KEY: usize = 32;
