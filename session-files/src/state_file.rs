//! The bytes of a state's file, which holds all of a key where commits are claimed by links;
//! `docs/formats/files.md` describes them one by one.

use session_core::{Deadline, Holder, KeyDigest, OpToken, Slot, Timestamp};

use crate::{
    fields::{Fields, checksum},
    record_file::{self, Damage},
};

const MAGIC: [u8; 8] = *b"SESSSTA\n";
const VERSION: u16 = 1;
const HAS_RECORD: u16 = 1;
const HAS_HOLDER: u16 = 2;
/// Stands for a deadline that never comes.
const NEVER: u64 = u64::MAX;
/// Length of the header without its checksum.
const HEADER: usize = 44;

/// A state's file.
pub(crate) fn encode(digest: &KeyDigest, slot: &Slot) -> Vec<u8> {
    let (record, holder) = (slot.record.as_ref(), slot.holder.as_ref());
    let mut flags = 0;
    flags |= if record.is_some() { HAS_RECORD } else { 0 };
    flags |= if holder.is_some() { HAS_HOLDER } else { 0 };
    let deadline =
        record.map_or(0, |it| it.deadline.timestamp().map_or(NEVER, Timestamp::as_millis));
    let mut file = Vec::with_capacity(HEADER + 4);
    file.extend_from_slice(&MAGIC);
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&u16::to_le_bytes(flags));
    file.extend_from_slice(&deadline.to_le_bytes());
    file.extend_from_slice(&holder.map_or([0; 16], |holder| *holder.token.as_bytes()));
    file.extend_from_slice(&holder.map_or(0, |holder| holder.until.as_millis()).to_le_bytes());
    let crc = checksum(digest, &[&file]);
    file.extend_from_slice(&crc.to_le_bytes());
    file.extend(record.map(|record| record_file::encode(digest, record)).unwrap_or_default());
    file
}

/// Reads a state's file.
pub(crate) fn decode(digest: &KeyDigest, file: &[u8]) -> Result<Slot, Damage> {
    let (whole, rest) = file.split_at_checked(HEADER).ok_or("the file is too short")?;
    let (crc, record) = rest.split_first_chunk().ok_or("the file is too short")?;
    let mut header = Fields(whole);
    if header.take() != Some(MAGIC) {
        return Err("the file is not a session's state");
    }
    if header.u16() != Some(VERSION) {
        return Err("the state is of another format version");
    }
    if checksum(digest, &[whole]) != u32::from_le_bytes(*crc) {
        return Err("the checksum does not match");
    }
    let (flags, deadline, holder) = fields(&mut header).ok_or("the file is too short")?;
    let deadline = match deadline {
        NEVER => Deadline::NEVER,
        millis => Deadline::at(Timestamp::from_millis(millis)),
    };
    let record = match flags & HAS_RECORD {
        0 if record.is_empty() => None,
        0 => return Err("the header contradicts itself"),
        _ => Some(record_file::decode(digest, record.to_vec(), deadline)?),
    };
    Ok(Slot::new(record, (flags & HAS_HOLDER != 0).then_some(holder)))
}

fn fields(header: &mut Fields<'_>) -> Option<(u16, u64, Holder)> {
    let (flags, deadline) = (header.u16()?, header.u64()?);
    let token = OpToken::from_bytes(header.take()?);
    Some((flags, deadline, Holder::new(token, Timestamp::from_millis(header.u64()?))))
}

#[cfg(test)]
mod tests {
    use session_core::{Incarnation, Meta, RecentOps, StoredRecord};

    use super::*;

    const DIGEST: KeyDigest = KeyDigest::from_bytes([7; 32]);

    fn slots() -> [Slot; 4] {
        let ops: RecentOps = [OpToken::from_bytes([4; 16])].into_iter().collect();
        let incarnation = Incarnation::from_bytes([1; 16]);
        let record = |deadline| {
            StoredRecord::new("payload".into(), Meta::new(), incarnation, 1, ops, deadline)
        };
        let holder = Holder::new(OpToken::from_bytes([3; 16]), Timestamp::from_millis(9));
        [
            Slot::default(),
            Slot::new(None, Some(holder)),
            Slot::new(Some(record(Deadline::NEVER)), None),
            Slot::new(Some(record(Deadline::at(Timestamp::from_millis(5)))), Some(holder)),
        ]
    }

    #[test]
    fn what_is_written_is_read_back() {
        for slot in slots() {
            assert_eq!(decode(&DIGEST, &encode(&DIGEST, &slot)), Ok(slot));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        for slot in slots() {
            let file = encode(&DIGEST, &slot);
            for bit in 0..file.len() * 8 {
                let mut damaged = file.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(decode(&DIGEST, &damaged).is_err(), "bit {bit}");
            }
            for len in 0..file.len() {
                assert!(decode(&DIGEST, &file[..len]).is_err(), "length {len}");
            }
        }
    }

    #[test]
    fn the_documented_bytes_stay_as_they_are() {
        let [_, held, ..] = slots();
        let expected =
            [&b"SESSSTA\n\x01\0\x02\0\0\0\0\0\0\0\0\0"[..], &[3; 16], b"\x09\0\0\0\0\0\0\0"]
                .concat();
        assert_eq!(encode(&DIGEST, &held)[..HEADER], expected);
    }
}
