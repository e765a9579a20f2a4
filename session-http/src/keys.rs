//! The keys that session ids are signed with.

use std::{env, fmt, sync::Arc};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use session_core::Result;
use sha2::Sha256;

use crate::failure::wrong_setting;

/// Keys shorter than the MAC weaken it.
const MIN_KEY: usize = 32;

/// The name of a key: a truncated MAC of a fixed text, which leads back to nothing of the key.
///
/// It stands in each signed cookie, and may be logged. Nodes that share a key show the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 6]);

impl KeyId {
    /// Length of its text in characters.
    pub(crate) const TEXT_LEN: usize = 8;

    fn of(key: &Hmac<Sha256>) -> Self {
        let digest = key.clone().chain_update(b"session key id\0").finalize().into_bytes();
        let mut short = [0; 6];
        short.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(short)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The keys that session ids are signed with, the newest first; the same on all nodes of a fleet.
///
/// The newest key signs, every key is accepted. So that no node meets a key that it does not have
/// yet, a new key is brought in by two deployments: first behind the old one, then, when all nodes
/// have it, in front of it. A key may go when no cookie is left that it signed: after the absolute
/// lifetime of a session.
///
/// A clone is a handle to the same keys. `Debug` shows their ids only.
///
/// ```
/// use session_http::KeyRing;
///
/// // In base64 or hexadecimal, separated by commas or blanks: what `openssl rand -base64 32` prints.
/// let ring = KeyRing::parse("3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=")?;
/// assert!(KeyRing::parse("hunter2").is_err());
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyRing(Arc<[Key]>);

struct Key {
    id: KeyId,
    mac: Hmac<Sha256>,
}

/// What a signature proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    ByNewest,
    ByOlder,
    Forged,
    UnknownKey,
}

impl KeyRing {
    /// A ring of these keys, the newest first.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) when there is none, one is shorter than 32 bytes or nothing but
    /// one byte repeated, or two are the same.
    pub fn new<K: AsRef<[u8]>>(keys: impl IntoIterator<Item = K>) -> Result<Self> {
        let keys: Vec<Key> =
            keys.into_iter().map(|key| checked(key.as_ref())).collect::<Result<_>>()?;
        let is_double = |(at, key): (usize, &Key)| keys.iter().skip(at + 1).any(|k| k.id == key.id);
        if keys.is_empty() {
            return Err(wrong_setting("a key ring needs a key"));
        }
        if keys.iter().enumerate().any(is_double) {
            return Err(wrong_setting("two keys of the ring are the same"));
        }
        Ok(Self(keys.into()))
    }

    /// A ring of keys written in base64 (of either alphabet, with or without padding) or in
    /// hexadecimal, separated by commas or white space, the newest first.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) as [`new`](Self::new), and when a key is in neither form.
    pub fn parse(text: &str) -> Result<Self> {
        let words = text.split(|c: char| c == ',' || c.is_whitespace());
        let keys = words.filter(|word| !word.is_empty()).map(decode);
        Self::new(keys.collect::<Result<Vec<_>>>()?)
    }

    /// The ring that an environment variable holds, in the form of [`parse`](Self::parse).
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) as [`parse`](Self::parse), and when it is not set. The error
    /// names the variable and shows nothing of its value.
    pub fn from_env(variable: &str) -> Result<Self> {
        let text = env::var(variable).map_err(|_absent_or_not_text| {
            wrong_setting(&format!("{variable} is not set, or not text"))
        })?;
        Self::parse(&text).map_err(|error| {
            wrong_setting(&format!("{variable} holds no key ring")).with_source(error)
        })
    }

    /// The ids of the keys, the newest first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.0.iter().map(|key| key.id)
    }

    /// Signs with the newest key.
    pub(crate) fn sign(&self, message: &[&[u8]]) -> Option<(KeyId, [u8; 32])> {
        let newest = self.0.first()?;
        Some((newest.id, newest.over(message).finalize().into_bytes().into()))
    }

    /// Compares in constant time.
    pub(crate) fn verify(&self, id: KeyId, message: &[&[u8]], mac: &[u8]) -> Verdict {
        let Some(at) = self.0.iter().position(|key| key.id == id) else {
            return Verdict::UnknownKey;
        };
        match self.0.get(at).map(|key| key.over(message).verify_slice(mac)) {
            Some(Ok(())) if at == 0 => Verdict::ByNewest,
            Some(Ok(())) => Verdict::ByOlder,
            _ => Verdict::Forged,
        }
    }
}

impl Key {
    fn over(&self, message: &[&[u8]]) -> Hmac<Sha256> {
        message.iter().fold(self.mac.clone(), |mac, part| mac.chain_update(part))
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

fn checked(key: &[u8]) -> Result<Key> {
    if key.len() < MIN_KEY {
        return Err(wrong_setting("a signing key needs at least 32 bytes"));
    }
    if key.iter().all(|byte| Some(byte) == key.first()) {
        return Err(wrong_setting("a signing key of one byte repeated is no key"));
    }
    let mac =
        Hmac::new_from_slice(key).map_err(|error| wrong_setting("no key").with_source(error))?;
    Ok(Key { id: KeyId::of(&mac), mac })
}

/// Text of hexadecimal digits only could be base64 as well, but no random key looks like that.
fn decode(word: &str) -> Result<Vec<u8>> {
    let hex = HEXLOWER_PERMISSIVE.decode(word.as_bytes());
    let bare = || word.trim_end_matches('=').as_bytes();
    hex.or_else(|_| BASE64_NOPAD.decode(bare()))
        .or_else(|_| BASE64URL_NOPAD.decode(bare()))
        .map_err(|_shows_characters| {
            wrong_setting("a signing key is neither base64 nor hexadecimal")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [u8; 32] = *b"0123456789abcdef0123456789abcdef";
    const NEW: [u8; 32] = *b"fedcba9876543210fedcba9876543210";

    fn ring(keys: &[[u8; 32]]) -> KeyRing {
        KeyRing::new(keys).unwrap()
    }

    fn why(text: &str) -> String {
        KeyRing::parse(text).expect_err("no ring").to_string()
    }

    #[test]
    fn the_newest_key_signs_and_every_key_is_accepted() {
        let (before, after) = (ring(&[OLD]), ring(&[NEW, OLD]));
        let (old, mac) = before.sign(&[b"a", b"b"]).unwrap();
        assert_eq!(before.verify(old, &[b"ab"], &mac), Verdict::ByNewest);
        assert_eq!(after.verify(old, &[b"ab"], &mac), Verdict::ByOlder);
        let (new, mac) = after.sign(&[b"ab"]).unwrap();
        assert_eq!(after.verify(new, &[b"ab"], &mac), Verdict::ByNewest);
        assert_eq!(before.verify(new, &[b"ab"], &mac), Verdict::UnknownKey);
    }

    #[test]
    fn sec_07_any_other_message_or_mac_is_a_forgery() {
        let ring = ring(&[NEW]);
        let (id, mac) = ring.sign(&[b"message"]).unwrap();
        assert_eq!(ring.verify(id, &[b"another"], &mac), Verdict::Forged);
        for bit in 0..256 {
            let mut other = mac;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(ring.verify(id, &[b"message"], &other), Verdict::Forged);
        }
        for len in [0, 1, 31] {
            assert_eq!(ring.verify(id, &[b"message"], &mac[..len]), Verdict::Forged);
        }
    }

    #[test]
    fn keys_are_read_in_hexadecimal_and_both_alphabets_of_base64() {
        let key: Vec<u8> = (0..32).map(|n| 251_u8.wrapping_add(n)).collect();
        let hex = HEXLOWER_PERMISSIVE.encode(&key);
        let padded = format!("{}=", BASE64_NOPAD.encode(&key));
        let (bare, url) = (BASE64_NOPAD.encode(&key), BASE64URL_NOPAD.encode(&key));
        assert!(bare.contains('/') && url.contains('_'), "the alphabets differ");
        let expected: Vec<KeyId> = KeyRing::new([&key]).unwrap().ids().collect();
        for text in [&hex, &hex.to_uppercase(), &padded, &bare, &url] {
            assert_eq!(KeyRing::parse(text).unwrap().ids().collect::<Vec<_>>(), expected);
        }
        let two = format!("{hex},\n {}", BASE64_NOPAD.encode(&OLD));
        assert_eq!(KeyRing::parse(&two).unwrap().ids().count(), 2);
    }

    #[test]
    fn what_is_no_ring_is_refused_by_name_and_not_repeated() {
        assert!(why("").contains("needs a key"));
        assert!(why("cGxhbnRlZA==").contains("at least 32 bytes"));
        assert!(why(&"00".repeat(32)).contains("one byte repeated"));
        let key = HEXLOWER_PERMISSIVE.encode(&NEW);
        assert!(why(&format!("{key} {key}")).contains("the same"));
        let error = KeyRing::parse("planted-secret!").expect_err("no key");
        assert!(error.to_string().contains("neither base64 nor hexadecimal"));
        assert!(!format!("{error:?}").contains("planted"), "{error:?}");
        let folder = KeyRing::from_env("CARGO_MANIFEST_DIR").expect_err("a path is no key");
        assert!(folder.to_string().ends_with("CARGO_MANIFEST_DIR holds no key ring"));
        assert!(!format!("{folder:?}").contains(env!("CARGO_MANIFEST_DIR")));
        let unset = KeyRing::from_env("SESSION_HTTP_NO_SUCH_VARIABLE").expect_err("unset");
        assert!(unset.to_string().contains("SESSION_HTTP_NO_SUCH_VARIABLE is not set"));
    }

    #[test]
    fn sec_44_a_ring_shows_the_ids_of_its_keys_and_nothing_of_the_keys() {
        let ring = ring(&[NEW, OLD]);
        let shown = format!("{ring:?}");
        for id in ring.ids() {
            assert!(shown.contains(&id.to_string()));
            assert_eq!(KeyId::parse(&id.to_string()), Some(id));
            assert_eq!(id.to_string().len(), KeyId::TEXT_LEN);
        }
        for key in [NEW, OLD] {
            assert!(!shown.contains(std::str::from_utf8(&key[..8]).unwrap()));
            assert!(!shown.contains(&BASE64URL_NOPAD.encode(&key[..6])));
        }
    }
}
