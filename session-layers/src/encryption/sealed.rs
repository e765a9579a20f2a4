//! The bytes of an encrypted payload; `docs/formats/encrypted.md` describes them.

use bytes::{Bytes, BytesMut};
use chacha20poly1305::{AeadInOut, XNonce};
use hmac::Mac;
use session_core::{KeyDigest, Meta, OpToken};

use super::keys::{Derived, KeyId, KeyRing};

/// How much longer a payload becomes.
pub(super) const OVERHEAD: usize = HEADER + TAG;

/// No UTF-8 text has the first byte, and no payload of the native format the second.
const MAGIC: [u8; 4] = [0xF5, b'E', b'N', b'C'];
const VERSION: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;
/// Magic, version, key id.
const PREFIX: usize = MAGIC.len() + 1 + KeyId::LEN;
const HEADER: usize = PREFIX + NONCE;

/// Why a payload cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    Plain,
    Newer,
    CutOff,
    UnknownKey,
    Forged,
}

impl Unreadable {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "the payload is not encrypted",
            Self::Newer => "the payload was encrypted by a newer version of this program",
            Self::CutOff => "the encrypted payload is not whole",
            Self::UnknownKey => "the payload was encrypted with a key that is not in the ring",
            Self::Forged => {
                "the encrypted payload is damaged, or was written for another session, namespace or meta"
            }
        }
    }

    /// As a label of a metric.
    #[cfg(feature = "observe")]
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Newer => "newer",
            Self::CutOff => "cut_off",
            Self::UnknownKey => "unknown_key",
            Self::Forged => "forged",
        }
    }
}

/// An encrypted payload, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Parts<'a> {
    key: KeyId,
    nonce: [u8; NONCE],
    /// Ciphertext and tag.
    body: &'a [u8],
}

impl<'a> Parts<'a> {
    fn parse(payload: &'a [u8]) -> Result<Self, Unreadable> {
        let rest = payload.strip_prefix(&MAGIC).ok_or(Unreadable::Plain)?;
        let (version, rest) = rest.split_first().ok_or(Unreadable::CutOff)?;
        if *version != VERSION {
            return Err(Unreadable::Newer);
        }
        let (key, rest) = rest.split_first_chunk().ok_or(Unreadable::CutOff)?;
        let (nonce, body) = rest.split_first_chunk().ok_or(Unreadable::CutOff)?;
        if body.len() < TAG {
            return Err(Unreadable::CutOff);
        }
        Ok(Self { key: KeyId::from_bytes(*key), nonce: *nonce, body })
    }
}

/// What a payload is bound to: nothing of it can be exchanged without the payload becoming
/// unreadable.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) key: &'a KeyDigest,
    pub(super) meta: &'a Meta,
    pub(super) namespace: &'a str,
}

impl Place<'_> {
    /// Each part has a fixed length but the last, so that no two places look alike.
    fn associated_data(&self, prefix: &[u8; PREFIX]) -> Vec<u8> {
        let mut data = Vec::with_capacity(PREFIX + 128 + self.namespace.len());
        data.extend_from_slice(prefix);
        data.extend_from_slice(self.key.as_bytes());
        let principal = self.meta.principal.as_ref();
        data.push(u8::from(principal.is_some()));
        data.extend_from_slice(principal.map_or(&[0; 32], |principal| principal.as_bytes()));
        data.extend_from_slice(&self.meta.epoch.to_le_bytes());
        let deadline = self.meta.absolute_deadline;
        data.push(u8::from(deadline.is_some()));
        let deadline = deadline.map_or(0, |deadline| deadline.as_millis());
        data.extend_from_slice(&deadline.to_le_bytes());
        data.extend_from_slice(self.namespace.as_bytes());
        data
    }
}

fn prefix(key: KeyId) -> [u8; PREFIX] {
    let mut prefix = [0; PREFIX];
    let parts = MAGIC.iter().chain(&[VERSION]).chain(key.as_bytes());
    prefix.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
    prefix
}

/// Encrypts a payload for `place`. The same operation gives the same bytes, so that it can be
/// sent again; see `docs/decisions/0073-encrypted-payloads.md`.
pub(super) fn seal(
    ring: &KeyRing,
    place: &Place<'_>,
    op: OpToken,
    payload: &[u8],
) -> Result<Bytes, chacha20poly1305::Error> {
    let key = ring.newest();
    let prefix = prefix(key.id);
    let associated = place.associated_data(&prefix);
    let nonce = nonce(key, op, &associated, payload);
    let mut sealed = BytesMut::with_capacity(payload.len() + OVERHEAD);
    sealed.extend_from_slice(&prefix);
    sealed.extend_from_slice(&nonce);
    let mut body = sealed.split_off(HEADER);
    body.extend_from_slice(payload);
    let tag = key.cipher.encrypt_inout_detached(&nonce, &associated, (&mut body[..]).into())?;
    body.extend_from_slice(&tag);
    sealed.unsplit(body);
    Ok(sealed.freeze())
}

/// Decrypts what was encrypted for `place`.
pub(super) fn open(ring: &KeyRing, place: &Place<'_>, payload: &[u8]) -> Result<Bytes, Unreadable> {
    let parts = Parts::parse(payload)?;
    let key = ring.find(parts.key).ok_or(Unreadable::UnknownKey)?;
    let associated = place.associated_data(&prefix(parts.key));
    let mut body = parts.body.to_vec();
    let opened = key.cipher.decrypt_in_place(&parts.nonce.into(), &associated, &mut body);
    match opened {
        Ok(()) => Ok(body.into()),
        Err(_) => Err(Unreadable::Forged),
    }
}

/// A nonce that no other operation, place or payload gets: of 192 bits, so that no two of all
/// that are ever made are equal by chance.
fn nonce(key: &Derived, op: OpToken, associated: &[u8], payload: &[u8]) -> XNonce {
    let length = u64::try_from(associated.len()).unwrap_or(u64::MAX).to_le_bytes();
    let parts = [op.as_bytes(), &length[..], associated, payload];
    let mac = parts.iter().fold(key.nonces.clone(), |mac, part| mac.chain_update(part));
    let mut nonce = [0; NONCE];
    nonce.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(to, from)| *to = from);
    nonce.into()
}
