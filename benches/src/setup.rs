//! What is the same for all contenders.

use std::time::Duration;

use bytes::Bytes;

pub(crate) const TTL: Duration = Duration::from_secs(3600);
pub(crate) const LEASE: Duration = Duration::from_secs(10);

/// What is the same for all contenders.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) sessions: usize,
    pub(crate) payload: Bytes,
}

impl Setup {
    /// So many sessions of so many bytes.
    pub(crate) fn of(sessions: usize, bytes: usize) -> Self {
        let letters = (0..bytes).map(|_| fastrand::alphanumeric()).collect::<String>();
        Self { sessions, payload: letters.into() }
    }

    /// The payload as the text of an entry.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }
}
