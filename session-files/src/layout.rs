//! Where the files of a key are, and how a deadline is written into a file's times.

use data_encoding::HEXLOWER;
use nix::sys::time::TimeSpec;
use session_core::{Deadline, KeyDigest, Timestamp};

/// The modification time, in seconds, that stands for "never": 2106-02-07, the latest that every
/// file system keeps that keeps times beyond 2038.
pub(crate) const NEVER_SECS: i64 = u32::MAX as i64;

/// The directory of lock files.
pub(crate) const LOCKS: &str = ".locks";
/// The file that is touched to learn the file server's time.
pub(crate) const CLOCK: &str = ".clock";
/// How the names of files begin whose times show which times the file system can keep.
pub(crate) const PROBE: &str = ".probe";

const LEASE: &str = ".lease";
const TEMP: &str = ".tmp";
const HEX_LEN: usize = 64;
const NUMBER_LEN: usize = 16;

/// The paths of one key's files, below the root.
#[derive(Debug)]
pub(crate) struct Place {
    directory: String,
    hex: String,
}

impl Place {
    pub(crate) fn of(digest: &KeyDigest) -> Self {
        Self { directory: leaf_path(leaf_of(digest)), hex: HEXLOWER.encode(digest.as_bytes()) }
    }

    /// The directory that holds the files: `abc`.
    pub(crate) fn directory(&self) -> &str {
        &self.directory
    }

    pub(crate) fn record(&self) -> String {
        format!("{}/{}", self.directory, self.hex)
    }

    /// A state of the key, where states have numbers: the record's name is then a directory.
    pub(crate) fn state(&self, number: u64) -> String {
        format!("{}/{number:0NUMBER_LEN$x}", self.record())
    }

    /// A state that is being written, to have that number.
    pub(crate) fn draft(&self, number: u64, nonce: u64) -> String {
        format!("{}/.{number:0NUMBER_LEN$x}.{nonce:016x}{TEMP}", self.record())
    }

    pub(crate) fn lease(&self) -> String {
        format!("{}/{}{LEASE}", self.directory, self.hex)
    }

    pub(crate) fn temp(&self, nonce: u64) -> String {
        format!("{}/.{}.{nonce:016x}{TEMP}", self.directory, self.hex)
    }
}

/// The number of a state's file.
pub(crate) fn parse_number(name: &[u8]) -> Option<u64> {
    let name = std::str::from_utf8(name).ok().filter(|name| name.len() == NUMBER_LEN)?;
    u64::from_str_radix(name, 16).ok().filter(|number| format!("{number:016x}") == name)
}

/// Which of the 4,096 directories a key's files are in.
pub(crate) fn leaf_of(digest: &KeyDigest) -> u16 {
    let [first, second, ..] = *digest.as_bytes();
    u16::from_be_bytes([first, second]) >> 4
}

/// The path of a directory: `abc`.
pub(crate) fn leaf_path(leaf: u16) -> String {
    format!("{leaf:03x}")
}

/// The directory that a name stands for.
pub(crate) fn parse_leaf(name: &[u8]) -> Option<u16> {
    let name = std::str::from_utf8(name).ok().filter(|name| name.len() == 3)?;
    u16::from_str_radix(name, 16).ok().filter(|leaf| leaf_path(*leaf) == name)
}

/// What a file in a leaf directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Record,
    Lease,
    Temp,
}

/// The key and kind of a file; `None` for files that are not ours.
pub(crate) fn parse_name(name: &[u8]) -> Option<(KeyDigest, FileKind)> {
    let (kind, hex) = if let Some(hidden) = name.strip_prefix(b".") {
        hidden.strip_suffix(TEMP.as_bytes())?;
        (FileKind::Temp, hidden.get(..HEX_LEN)?)
    } else if let Some(hex) = name.strip_suffix(LEASE.as_bytes()) {
        (FileKind::Lease, hex)
    } else {
        (FileKind::Record, name)
    };
    let bytes = HEXLOWER.decode(hex).ok()?;
    Some((KeyDigest::from_bytes(bytes.try_into().ok()?), kind))
}

/// Which lock file a key uses, and which byte of it.
pub(crate) fn lock_place(digest: &KeyDigest) -> (u8, u64) {
    let [_, _, file, a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    (file & 0x3f, u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1)
}

/// The path of a lock file.
pub(crate) fn lock_path(file: u8) -> String {
    format!("{LOCKS}/{file:02x}")
}

/// A deadline as a modification time, rounded up to whole units of `granularity` milliseconds.
pub(crate) fn mtime_of(deadline: Deadline, granularity: u64) -> TimeSpec {
    let never = TimeSpec::new(NEVER_SECS, 0);
    let Some(when) = deadline.timestamp() else { return never };
    let millis = when.as_millis().div_ceil(granularity.max(1)).saturating_mul(granularity.max(1));
    match i64::try_from(millis / 1_000) {
        Ok(secs) if secs < NEVER_SECS => time_spec(secs, millis % 1_000),
        _ => never,
    }
}

/// A point in time as a file's time.
pub(crate) fn time_spec_of(when: Timestamp) -> TimeSpec {
    let millis = when.as_millis();
    time_spec(i64::try_from(millis / 1_000).unwrap_or(NEVER_SECS), millis % 1_000)
}

fn time_spec(secs: i64, millis: u64) -> TimeSpec {
    TimeSpec::new(secs, i64::try_from(millis * 1_000_000).unwrap_or_default())
}

/// The deadline that a modification time stands for.
pub(crate) fn deadline_of(mtime: TimeSpec) -> Deadline {
    if mtime.tv_sec() >= NEVER_SECS { Deadline::NEVER } else { Deadline::at(timestamp_of(mtime)) }
}

/// A file's time as a point in time; times before 1970 count as 1970.
pub(crate) fn timestamp_of(time: TimeSpec) -> Timestamp {
    let secs = u64::try_from(time.tv_sec()).unwrap_or_default();
    let millis = u64::try_from(time.tv_nsec()).unwrap_or_default() / 1_000_000;
    Timestamp::from_millis(secs.saturating_mul(1_000).saturating_add(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> KeyDigest {
        KeyDigest::from_bytes(std::array::from_fn(|n| u8::try_from(n).unwrap() + 0xa0))
    }

    #[test]
    fn names_lead_back_to_the_key() {
        let place = Place::of(&digest());
        let parse = |path: String| parse_name(path.rsplit('/').next().unwrap().as_bytes());
        assert!(place.record().starts_with("a0a/a0a1a2"));
        assert_eq!(parse(place.record()), Some((digest(), FileKind::Record)));
        assert_eq!(parse(place.lease()), Some((digest(), FileKind::Lease)));
        assert_eq!(parse(place.temp(7)), Some((digest(), FileKind::Temp)));
    }

    #[test]
    fn every_directory_has_one_name() {
        for leaf in 0..0x1000 {
            assert_eq!(parse_leaf(leaf_path(leaf).as_bytes()), Some(leaf));
        }
        for name in ["", ".locks", "a0", "a0a0", "A0A", "+0a", "00g"] {
            assert_eq!(parse_leaf(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn every_state_has_one_name() {
        let path = Place::of(&digest()).state(0x1f);
        let (directory, name) = path.rsplit_once('/').unwrap();
        assert_eq!(directory, Place::of(&digest()).record());
        assert_eq!(parse_number(name.as_bytes()), Some(0x1f));
        for name in ["", "1f", "000000000000001F", "+00000000000001f", ".000000000000001f"] {
            assert_eq!(parse_number(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn foreign_names_are_nobodys() {
        let hex = "a0".repeat(32);
        for name in ["", ".", "..", ".nfs0001", "README", &hex[1..], &hex.to_uppercase()] {
            assert_eq!(parse_name(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn deadlines_survive_the_way_through_a_file_time() {
        let exact = Deadline::at(Timestamp::from_millis(1_700_000_000_123));
        assert_eq!(deadline_of(mtime_of(exact, 1)), exact);
        assert_eq!(deadline_of(mtime_of(Deadline::NEVER, 1)), Deadline::NEVER);
        let up = Deadline::at(Timestamp::from_millis(1_700_000_001_000));
        assert_eq!(deadline_of(mtime_of(exact, 1_000)), up);
    }

    #[test]
    fn a_deadline_that_no_file_system_keeps_counts_as_never() {
        let far = Deadline::at(Timestamp::from_millis(u64::MAX - 1));
        assert_eq!(deadline_of(mtime_of(far, 1)), Deadline::NEVER);
    }
}
