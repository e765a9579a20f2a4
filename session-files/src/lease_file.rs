//! The bytes of a lease's file; `docs/formats/files.md` describes them one by one.

use std::time::Duration;

use session_core::{KeyDigest, OpToken};

use crate::{
    fields::{Fields, checksum},
    record_file::Damage,
};

const MAGIC: [u8; 8] = *b"SESSLEA\n";
const VERSION: u16 = 1;
const BODY: usize = 36;

/// What a lease's file says. The moment of the grant is the file's modification time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeaseFile {
    pub(crate) token: OpToken,
    pub(crate) duration: Duration,
}

impl LeaseFile {
    pub(crate) fn encode(&self, digest: &KeyDigest) -> Vec<u8> {
        let millis = u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX);
        let mut file = Vec::with_capacity(BODY + 4);
        file.extend_from_slice(&MAGIC);
        file.extend_from_slice(&VERSION.to_le_bytes());
        file.extend_from_slice(&[0; 2]);
        file.extend_from_slice(self.token.as_bytes());
        file.extend_from_slice(&millis.to_le_bytes());
        let crc = checksum(digest, &[&file]);
        file.extend_from_slice(&crc.to_le_bytes());
        file
    }

    /// `None` for a file whose writer was stopped in the middle: nobody was granted that lease.
    ///
    /// # Errors
    /// A lease that a newer program wrote may be live, so it must not be taken for nothing.
    pub(crate) fn decode(digest: &KeyDigest, file: &[u8]) -> Result<Option<Self>, Damage> {
        let Some((body, crc)) = file.split_last_chunk() else { return Ok(None) };
        if body.len() != BODY || checksum(digest, &[body]) != u32::from_le_bytes(*crc) {
            return Ok(None);
        }
        let mut fields = Fields(body);
        if fields.take() != Some(MAGIC) || fields.u16() != Some(VERSION) {
            return Err("the lease is of another format version");
        }
        Ok(Self::fields(&mut fields))
    }

    fn fields(fields: &mut Fields<'_>) -> Option<Self> {
        fields.take::<2>()?;
        let token = OpToken::from_bytes(fields.take()?);
        Some(Self { token, duration: Duration::from_millis(fields.u64()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: KeyDigest = KeyDigest::from_bytes([7; 32]);
    const LEASE: LeaseFile =
        LeaseFile { token: OpToken::from_bytes([3; 16]), duration: Duration::from_millis(30_000) };

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(LeaseFile::decode(&DIGEST, &LEASE.encode(&DIGEST)), Ok(Some(LEASE)));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let file = LEASE.encode(&DIGEST);
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(LeaseFile::decode(&DIGEST, &damaged), Ok(None), "bit {bit}");
        }
        for len in 0..file.len() {
            assert_eq!(LeaseFile::decode(&DIGEST, &file[..len]), Ok(None), "length {len}");
        }
    }

    #[test]
    fn a_lease_of_a_newer_format_is_not_taken_for_nothing() {
        let mut file = LEASE.encode(&DIGEST);
        file[8] = 2;
        let crc = checksum(&DIGEST, &[&file[..BODY]]);
        file[BODY..].copy_from_slice(&crc.to_le_bytes());
        assert!(LeaseFile::decode(&DIGEST, &file).is_err());
    }

    #[test]
    fn the_documented_bytes_stay_as_they_are() {
        let expected = [&b"SESSLEA\n\x01\0\0\0"[..], &[3; 16], b"\x30\x75\0\0\0\0\0\0"].concat();
        assert_eq!(LEASE.encode(&DIGEST)[..BODY], expected);
    }
}
