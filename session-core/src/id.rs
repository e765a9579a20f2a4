//! Session ids: secrets of 256 bits, and the keys that stores see instead of them.

use std::{cell::RefCell, fmt, process, sync::Arc};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::{Binding, Error, ErrorKind, Operation, Result};

/// A session id: the secret that the browser's cookie carries.
///
/// Ids made by [`generate`](Self::generate) are 256 random bits from the operating system, written
/// as 43 characters of unpadded base64url. [`parse`](Self::parse) also takes ids that other
/// systems made (PHP's, for instance): 1 to 256 characters out of `A-Z a-z 0-9 - _ ,`.
///
/// An id has no `Display`, and its `Debug` shows nothing of it. It is compared byte for byte: ids
/// that differ in case are different sessions.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// Length in characters of the ids that [`generate`](Self::generate) makes.
    pub const NATIVE_LEN: usize = 43;
    /// The longest id that [`parse`](Self::parse) takes, in characters. It is PHP's own limit.
    pub const MAX_LEN: usize = 256;

    /// Makes a new id of 256 random bits.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the operating system gives no random bytes.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0_u8; 32];
        fill_random(&mut bytes)?;
        Ok(Self(BASE64URL_NOPAD.encode(&bytes).into()))
    }

    /// Makes a new id of 128 random bits, in the form that tower-sessions knows.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the operating system gives no random bytes.
    pub fn generate_short() -> Result<Self> {
        let mut bytes = [0_u8; 16];
        fill_random(&mut bytes)?;
        Ok(Self(BASE64URL_NOPAD.encode(&bytes).into()))
    }

    /// Makes a new id of 128 random bits as PHP makes them: 32 hexadecimal digits, which every save
    /// handler of PHP takes.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the operating system gives no random bytes.
    pub fn generate_php() -> Result<Self> {
        let mut bytes = [0_u8; 16];
        fill_random(&mut bytes)?;
        Ok(Self(HEXLOWER.encode(&bytes).into()))
    }

    /// Checks an id that came from outside.
    ///
    /// # Errors
    /// [`InvalidId`](ErrorKind::InvalidId) when it is empty, longer than [`MAX_LEN`](Self::MAX_LEN)
    /// or holds another character than `A-Z a-z 0-9 - _ ,`.
    pub fn parse(text: &str) -> Result<Self> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b',');
        // All of them are looked at, so that many can be at once.
        let is_legal = || text.bytes().fold(true, |so_far, byte| so_far & legal(byte));
        if text.is_empty() || text.len() > Self::MAX_LEN || !is_legal() {
            return Err(invalid_id());
        }
        Ok(Self(text.into()))
    }

    /// Checks an id that must be of the form that [`generate`](Self::generate) makes.
    ///
    /// # Errors
    /// [`InvalidId`](ErrorKind::InvalidId) when it is not the canonical base64url text of 32 bytes.
    pub fn parse_native(text: &str) -> Result<Self> {
        let is_native = text.len() == Self::NATIVE_LEN
            && BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut [0; 32]).is_ok();
        if !is_native {
            return Err(invalid_id());
        }
        Ok(Self(text.into()))
    }

    /// The id's text, for the cookie. Whoever reads it holds the session: keep it out of logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The form of the ids that new sessions get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum IdForm {
    /// 256 random bits, in 43 characters: [`SessionId::generate`].
    #[default]
    Native,
    /// 128 random bits, in 22 characters: [`SessionId::generate_short`]. For applications that
    /// share their cookie with tower-sessions.
    Short,
    /// 128 random bits, in 32 hexadecimal digits: [`SessionId::generate_php`]. For applications
    /// that share their sessions with PHP.
    Php,
}

impl IdForm {
    /// Makes a new id of this form.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the operating system gives no random bytes.
    pub fn generate(self) -> Result<SessionId> {
        match self {
            Self::Native => SessionId::generate(),
            Self::Short => SessionId::generate_short(),
            Self::Php => SessionId::generate_php(),
        }
    }
}

fn invalid_id() -> Error {
    Error::new(ErrorKind::InvalidId, "session", Operation::Id)
}

pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|source| {
        Error::new(ErrorKind::Unavailable, "session", Operation::Id)
            .with_detail("the operating system gave no random bytes")
            .with_source(source)
    })
}

/// Sixteen random bytes for names that must never come twice, and need not be secret: of the operating
/// system, which is asked once for many of them, as it takes 260 ns for these and 1,200 for 512.
pub(crate) fn random_token() -> Result<[u8; 16]> {
    const ASKED_FOR: usize = 32;
    struct Supply {
        tokens: [[u8; 16]; ASKED_FOR],
        left: usize,
        /// The process that asked: a fork of it begins with the same memory.
        process: u32,
    }
    thread_local! {
        static SUPPLY: RefCell<Supply> =
            const { RefCell::new(Supply { tokens: [[0; 16]; ASKED_FOR], left: 0, process: 0 }) };
    }
    let process = process::id();
    SUPPLY.with_borrow_mut(|supply| {
        if supply.left == 0 || supply.process != process {
            fill_random(supply.tokens.as_flattened_mut())?;
            (supply.left, supply.process) = (ASKED_FOR, process);
        }
        supply.left -= 1;
        #[expect(clippy::indexing_slicing, reason = "no more are left than there are")]
        Ok(supply.tokens[supply.left])
    })
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// The digest under which a session is stored.
///
/// It does not lead back to the id, and presented as an id it finds nothing. Its `Debug` shows
/// nothing of it; use [`Key::log_id`] where a log must tell sessions apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// A digest read back from a store, by enumeration for instance.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest's bytes, for a store's own key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(..)")
    }
}

/// What a store is asked for: the digest of an id and, where the caller has it, the id itself.
///
/// Native layouts use the digest only. Layouts that other systems defined need the id and answer
/// [`Unsupported`](ErrorKind::Unsupported) without it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    digest: KeyDigest,
    secret: Option<SessionId>,
}

impl Key {
    /// A key without the id, as enumeration and aliases give it.
    #[must_use]
    pub const fn from_digest(digest: KeyDigest) -> Self {
        Self { digest, secret: None }
    }

    /// The digest, which native layouts store under.
    #[must_use]
    pub const fn digest(&self) -> &KeyDigest {
        &self.digest
    }

    /// The raw id, for layouts that other systems defined.
    #[must_use]
    pub const fn secret(&self) -> Option<&SessionId> {
        self.secret.as_ref()
    }

    /// A name for this session that is safe to log: it leads back neither to the id nor to the
    /// key in the store.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        let hash = Sha256::new().chain_update(b"session log id\0").chain_update(self.digest.0);
        let mut short = [0_u8; 6];
        short.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        LogId(short)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.log_id())
    }
}

/// A log-safe name of a session: 12 hexadecimal digits of a one-way hash of its key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId([u8; 6]);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogId({self})")
    }
}

/// Turns ids and principals into the digests that stores see: one function for every native
/// layout.
///
/// Plain, it is SHA-256. With a *pepper* (a secret of the fleet that the store does not know) it
/// is HMAC-SHA-256, so that even somebody who can guess ids learns nothing from a copy of the
/// store. All servers of a fleet need the same pepper; changing it ends all sessions.
#[derive(Clone)]
pub struct KeyHasher {
    pepper: Option<Hmac<Sha256>>,
}

impl KeyHasher {
    /// SHA-256 without a pepper. Ids have 256 random bits, so there is nothing to guess.
    #[must_use]
    pub const fn plain() -> Self {
        Self { pepper: None }
    }

    /// HMAC-SHA-256 with `pepper`.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the pepper has fewer than 16 bytes.
    pub fn peppered(pepper: &[u8]) -> Result<Self> {
        let error = || Error::new(ErrorKind::Config, "session", Operation::Open);
        if pepper.len() < 16 {
            return Err(error().with_detail("a pepper needs at least 16 bytes"));
        }
        let mac = Hmac::new_from_slice(pepper).map_err(|source| error().with_source(source))?;
        Ok(Self { pepper: Some(mac) })
    }

    /// The key of a session id.
    #[must_use]
    pub fn key(&self, id: &SessionId) -> Key {
        let digest = self.digest(b"session key\0", id.expose().as_bytes());
        Key { digest: KeyDigest(digest), secret: Some(id.clone()) }
    }

    /// The digest of a principal's name (a user id, an account name, of any length and alphabet).
    #[must_use]
    pub fn principal(&self, name: &str) -> PrincipalDigest {
        PrincipalDigest(self.digest(b"session principal\0", name.as_bytes()))
    }

    /// The digest of properties of a client, to recognise them by: the order and the bounds of the
    /// properties count.
    ///
    /// Such properties can be guessed, so with a plain hasher the digest hides them from nobody
    /// who reads the store; with a pepper it does.
    #[must_use]
    pub fn binding(&self, properties: &[&str]) -> Binding {
        let mut data = Vec::new();
        for property in properties {
            data.extend(property.len().to_le_bytes());
            data.extend(property.as_bytes());
        }
        Binding::from_bytes(self.digest(b"session binding\0", &data))
    }

    fn digest(&self, purpose: &[u8], data: &[u8]) -> [u8; 32] {
        match &self.pepper {
            None => Sha256::new().chain_update(purpose).chain_update(data).finalize().into(),
            Some(mac) => {
                mac.clone().chain_update(purpose).chain_update(data).finalize().into_bytes().into()
            }
        }
    }
}

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHasher").field("peppered", &self.pepper.is_some()).finish()
    }
}

/// The digest of the principal (user) that a session belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrincipalDigest([u8; 32]);

impl PrincipalDigest {
    /// A digest read back from a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest's bytes, for a store's own index.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for PrincipalDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrincipalDigest(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

    #[test]
    fn no_token_comes_twice() {
        let some = || (0..100).map(|_| random_token().unwrap()).collect::<Vec<_>>();
        let mut all = some();
        all.extend(thread::spawn(some).join().unwrap());
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 200);
        assert!(!all.contains(&[0; 16]));
    }
}
