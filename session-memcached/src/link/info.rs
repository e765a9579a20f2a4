//! What a server says of itself.

use session_core::ErrorKind;

use super::{Dialect, fault::Fault};

/// The first version whose meta commands are what this crate speaks.
const META: [u32; 3] = [1, 6, 10];

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Info {
    version: Option<[u32; 3]>,
    /// Whether it drops items when its memory is full.
    pub(crate) evicts: bool,
    /// Whether it numbers the states of an item.
    numbers: bool,
    /// The largest item, with all that belongs to it.
    pub(crate) largest_item: usize,
}

impl Info {
    /// What holds where a server does not say.
    pub(crate) const UNKNOWN: Self =
        Self { version: None, evicts: true, numbers: true, largest_item: 1_048_576 };

    pub(super) fn read(version: &str, settings: &[(String, String)]) -> Self {
        let value = |name: &str| {
            settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
        };
        Self {
            version: parsed(version),
            evicts: value("evictions") != Some("off"),
            numbers: value("cas_enabled") != Some("no"),
            largest_item: value("item_size_max")
                .and_then(|bytes| bytes.parse().ok())
                .unwrap_or(Self::UNKNOWN.largest_item),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        if self.version >= Some(META) { Dialect::Meta } else { Dialect::Classic }
    }

    /// Without numbers no write can be conditional, and nothing would be safe.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.numbers {
            return Ok(());
        }
        let detail = "the server was started with -C, which turns compare-and-set off";
        Err(Fault::new(ErrorKind::Config, detail))
    }
}

fn parsed(version: &str) -> Option<[u32; 3]> {
    let digits = |part: &str| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part.get(..end)?.parse().ok()
    };
    let mut parts = version.split('.').map(digits);
    let mut part = || parts.next().flatten();
    Some([part()?, part()?, part().unwrap_or_default()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(version: &str, settings: &[(&str, &str)]) -> Info {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Info::read(version, &settings.iter().map(owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_version_decides_about_the_protocol() {
        for (version, dialect) in [
            ("1.6.18", Dialect::Meta),
            ("1.6.10", Dialect::Meta),
            ("1.10", Dialect::Meta),
            ("1.6.45-rc1", Dialect::Meta),
            ("1.6.9", Dialect::Classic),
            ("1.5.22", Dialect::Classic),
            ("", Dialect::Classic),
            ("Unknown", Dialect::Classic),
        ] {
            assert_eq!(info(version, &[]).dialect(), dialect, "{version}");
        }
    }

    #[test]
    fn settings_are_believed_and_their_absence_is_no_promise() {
        let told = info("1.6.18", &[("evictions", "off"), ("item_size_max", "4096")]);
        assert_eq!((told.evicts, told.largest_item), (false, 4096));
        assert!(told.check().is_ok());
        assert!(info("1.6.18", &[("cas_enabled", "no")]).check().is_err());
        let silent = info("1.4.0", &[]);
        assert_eq!((silent.evicts, silent.largest_item), (true, 1_048_576));
        assert!(silent.check().is_ok());
    }
}
