//! The keys, and what is derived from them.

use std::{fmt, sync::Arc};

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, Mac};
use session_core::{Error, ErrorKind, Operation, Result};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A secret of 256 bits from which the keys are derived that payloads are encrypted with.
///
/// Its `Debug` shows nothing but its [id](Self::id), and its bytes are wiped when it is dropped.
#[derive(Clone)]
pub struct EncryptionKey(Zeroizing<[u8; KEY]>);

impl EncryptionKey {
    /// The key with these bytes, which must be random: a password is no key.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key that 64 hexadecimal digits write, as `openssl rand -hex 32` makes them.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when it is anything else. The error does not quote it.
    pub fn from_hex(text: &str) -> Result<Self> {
        let mut bytes = Zeroizing::new([0; KEY]);
        let fits = HEXLOWER_PERMISSIVE.decode_len(text.len()).is_ok_and(|len| len == KEY);
        if !fits || HEXLOWER_PERMISSIVE.decode_mut(text.as_bytes(), &mut *bytes).is_err() {
            let error = Error::new(ErrorKind::Config, "encryption", Operation::Open);
            return Err(error.with_detail("a key is written as 64 hexadecimal digits"));
        }
        Ok(Self(bytes))
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
        Ok(Self(bytes))
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
    /// A ring of one key.
    #[must_use]
    pub fn new(newest: &EncryptionKey) -> Self {
        Self { newest: Arc::new(Derived::new(newest)), older: Vec::new() }
    }

    /// With one more key that decrypts only.
    #[must_use]
    pub fn and(mut self, key: &EncryptionKey) -> Self {
        self.older.push(Arc::new(Derived::new(key)));
        self
    }

    /// The ring that a setting writes: keys as [`EncryptionKey::from_hex`] reads them, the newest
    /// first, with commas between them.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when one of them is no key. The error does not quote it.
    pub fn from_hex(text: &str) -> Result<Self> {
        let mut keys = text.split(',').map(|key| EncryptionKey::from_hex(key.trim()));
        let newest = keys.next().unwrap_or_else(|| EncryptionKey::from_hex(""))?;
        keys.try_fold(Self::new(&newest), |ring, key| Ok(ring.and(&key?)))
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
            nonces: keyed(&key.derive(b"session payload nonces")),
        }
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn keyed(key: &[u8; KEY]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Bytes of a key.
const KEY: usize = 32;
