//! How much is read.

/// How much is read before it is refused. Memory goes by the length of what is read, never by a
/// length or a count that stands in it: about twelve times as much is usual for one value; up to
/// fifty times for a session of nothing but tiny variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest input, in bytes; with `igbinary` also of what repeated strings stand for. At most
    /// 1 GiB.
    pub bytes: usize,
    /// How deep arrays and objects nest.
    pub depth: usize,
    /// How many values there are, those in arrays and objects included.
    pub values: usize,
}

impl Limits {
    /// 16 MiB, and a million values. They nest 4096 levels deep, as in PHP (`unserialize_max_depth`).
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: 16 << 20, depth: 4096, values: 1_000_000 }
    }

    /// As these, with inputs of at most so many bytes.
    #[must_use]
    pub const fn bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// As these, with at most so many levels.
    #[must_use]
    pub const fn depth(self, depth: usize) -> Self {
        Self { depth, ..self }
    }

    /// As these, with at most so many values.
    #[must_use]
    pub const fn values(self, values: usize) -> Self {
        Self { values, ..self }
    }

    /// Offsets are kept in 32 bits, with room for what is inserted.
    pub(crate) fn check_length(self, length: usize) -> crate::Result<()> {
        if length > self.bytes.min(1 << 30) {
            return Err(crate::Error::new(crate::ErrorKind::TooLarge, "the input is too long"));
        }
        Ok(())
    }

    /// Whether a text of this length can be too deep, or have too many values: a level takes ten
    /// bytes (`a:1:{i:0;}`), a value two.
    pub(crate) const fn may_refuse(self, length: usize) -> bool {
        length / 10 > self.depth || length / 2 > self.values
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
