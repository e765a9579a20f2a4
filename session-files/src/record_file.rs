//! The bytes of a record's file; `docs/formats/files.md` describes them one by one.

use bytes::Bytes;
use session_core::{
    Deadline, Incarnation, KeyDigest, Meta, OpToken, PrincipalDigest, REMEMBERED_OPS, RecentOps,
    StoredRecord, Timestamp,
};

use crate::fields::{Fields, checksum};

const MAGIC: [u8; 8] = *b"SESSREC\n";
const VERSION: u16 = 1;
const HAS_PRINCIPAL: u16 = 1;
const HAS_ABSOLUTE_DEADLINE: u16 = 2;
const OPS: usize = REMEMBERED_OPS as usize;

/// Length of the header without its checksum.
const HEADER: usize = 152;
/// Where the payload starts.
pub(crate) const PAYLOAD_AT: usize = HEADER + 4;

/// Why a file is not a record that this program can read.
pub(crate) type Damage = &'static str;

/// A record's file.
pub(crate) fn encode(digest: &KeyDigest, record: &StoredRecord) -> Vec<u8> {
    let meta = &record.meta;
    let principal = meta.principal.map_or([0; 32], |principal| *principal.as_bytes());
    let mut flags = 0;
    flags |= if meta.principal.is_some() { HAS_PRINCIPAL } else { 0 };
    flags |= if meta.absolute_deadline.is_some() { HAS_ABSOLUTE_DEADLINE } else { 0 };

    let mut file = Vec::with_capacity(PAYLOAD_AT + record.payload.len());
    file.extend_from_slice(&MAGIC);
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&flags.to_le_bytes());
    file.extend_from_slice(&length(record.payload.len()).to_le_bytes());
    file.extend_from_slice(record.incarnation.as_bytes());
    file.extend_from_slice(&record.version.to_le_bytes());
    file.extend_from_slice(&meta.epoch.to_le_bytes());
    let absolute = meta.absolute_deadline.map_or(0, Timestamp::as_millis);
    file.extend_from_slice(&absolute.to_le_bytes());
    file.extend_from_slice(&principal);
    record.ops.iter().for_each(|op| file.extend_from_slice(op.as_bytes()));
    file.resize(HEADER, 0);
    let crc = checksum(digest, &[&file, &record.payload]);
    file.extend_from_slice(&crc.to_le_bytes());
    file.extend_from_slice(&record.payload);
    file
}

/// Payloads are bounded far below 4 GiB by the configuration.
fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Reads a record's file. The payload shares the memory of `file`.
pub(crate) fn decode(
    digest: &KeyDigest,
    file: Vec<u8>,
    deadline: Deadline,
) -> Result<StoredRecord, Damage> {
    let (header, rest) = file.split_at_checked(HEADER).ok_or("the file is too short")?;
    let mut header = Fields(header);
    if header.take() != Some(MAGIC) {
        return Err("the file is not a session record");
    }
    if header.u16() != Some(VERSION) {
        return Err("the record is of another format version");
    }
    let (crc, payload) = rest.split_first_chunk().ok_or("the file is too short")?;
    let whole = file.get(..HEADER).unwrap_or_default();
    if checksum(digest, &[whole, payload]) != u32::from_le_bytes(*crc) {
        return Err("the checksum does not match");
    }
    let payload_len = payload.len();
    let mut record = fields(&mut header, payload_len).ok_or("the header contradicts itself")?;
    record.deadline = deadline;
    record.payload = Bytes::from(file).slice(PAYLOAD_AT..);
    Ok(record)
}

/// Reads the header from behind the version on.
fn fields(header: &mut Fields<'_>, payload_len: usize) -> Option<StoredRecord> {
    let flags = header.u16()?;
    if header.u32()? != length(payload_len) {
        return None;
    }
    let incarnation = Incarnation::from_bytes(header.take()?);
    let version = header.u64()?;
    let epoch = header.u64()?;
    let absolute = Timestamp::from_millis(header.u64()?);
    let principal = PrincipalDigest::from_bytes(header.take()?);
    let absolute = (flags & HAS_ABSOLUTE_DEADLINE != 0).then_some(absolute);
    let principal = (flags & HAS_PRINCIPAL != 0).then_some(principal);
    let meta = Meta::new().with_absolute_deadline(absolute).with_principal(principal, epoch);
    // A record of version n has had n commits, so fewer than four tokens need no count.
    let known = usize::try_from(version).map_or(OPS, |commits| commits.min(OPS));
    let ops: Option<RecentOps> =
        (0..known).map(|_| header.take().map(OpToken::from_bytes)).collect();
    Some(StoredRecord::new(Bytes::new(), meta, incarnation, version, ops?, Deadline::NEVER))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: KeyDigest = KeyDigest::from_bytes([7; 32]);
    const DEADLINE: Deadline = Deadline::at(Timestamp::from_millis(5));

    fn record(version: u64, payload: &'static [u8]) -> StoredRecord {
        let meta = Meta::new()
            .with_absolute_deadline(Some(Timestamp::from_millis(99)))
            .with_principal(Some(PrincipalDigest::from_bytes([9; 32])), 3);
        let ops = (0..version.min(4)).map(|n| OpToken::from_bytes([u8::try_from(n).unwrap(); 16]));
        let incarnation = Incarnation::from_bytes([1; 16]);
        StoredRecord::new(payload.into(), meta, incarnation, version, ops.collect(), DEADLINE)
    }

    #[test]
    fn what_is_written_is_read_back() {
        for version in [1, 3, 4, 5, u64::MAX] {
            for payload in [&b""[..], b"\0\r\n\xff payload"] {
                let record = record(version, payload);
                assert_eq!(decode(&DIGEST, encode(&DIGEST, &record), DEADLINE), Ok(record));
            }
        }
    }

    #[test]
    fn absent_meta_stays_absent() {
        let mut record = record(1, b"x");
        record.meta = Meta::new();
        assert_eq!(decode(&DIGEST, encode(&DIGEST, &record), DEADLINE), Ok(record));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let file = encode(&DIGEST, &record(2, b"payload"));
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&DIGEST, damaged, DEADLINE).is_err(), "bit {bit}");
        }
        for len in 0..file.len() {
            assert!(decode(&DIGEST, file[..len].to_vec(), DEADLINE).is_err(), "length {len}");
        }
        let longer = [&file[..], b"x"].concat();
        assert!(decode(&DIGEST, longer, DEADLINE).is_err());
    }

    #[test]
    fn a_file_under_another_keys_name_is_not_its_record() {
        let other = KeyDigest::from_bytes([8; 32]);
        let damage = decode(&other, encode(&DIGEST, &record(1, b"x")), DEADLINE);
        assert_eq!(damage, Err("the checksum does not match"));
    }

    #[test]
    fn a_newer_format_is_named_as_such() {
        let mut file = encode(&DIGEST, &record(1, b"x"));
        file[8] = 2;
        let damage = decode(&DIGEST, file, DEADLINE);
        assert_eq!(damage, Err("the record is of another format version"));
    }

    #[test]
    fn the_documented_bytes_stay_as_they_are() {
        let file = encode(&DIGEST, &record(2, b"pay"));
        let expected = [
            &b"SESSREC\n\x01\0\x03\0\x03\0\0\0"[..],
            &[1; 16],
            b"\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x63\0\0\0\0\0\0\0",
            &[9; 32],
            &[0; 16],
            &[1; 16],
            &[0; 32],
        ]
        .concat();
        assert_eq!(file[..HEADER], expected);
        assert_eq!(file[PAYLOAD_AT..], *b"pay");
    }
}
