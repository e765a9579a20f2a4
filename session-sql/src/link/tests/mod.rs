use session_core::ErrorKind;

use super::*;

#[cfg(feature = "sqlite")]
mod engines;

/// A statement of a test.
pub(super) fn reads(text: &str) -> Statement {
    Statement { text: text.into(), names: Arc::new([]), reads: true }
}

pub(super) fn writes(text: &str) -> Statement {
    Statement { text: text.into(), names: Arc::new([]), reads: false }
}

pub(super) fn config(url: &str) -> SqlConfig {
    SqlConfig::from_url(url).unwrap()
}
