//! What is compared: a session library on a store, as an application uses it.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::measure::Result;

/// How requests of one session get along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// Reads and nothing else.
    ReadOnly,
    /// Reads all, writes all: who writes last wins.
    Plain,
    /// Requests run side by side, and what they changed is merged when they save.
    Merge,
    /// What is read is changed and saved in one atomic step.
    Update,
    /// One request at a time.
    Exclusive,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Plain => "no protection",
            Self::Merge => "merge",
            Self::Update => "update",
            Self::Exclusive => "exclusive",
        }
    }

    /// Whether a request in this mode promises to count right.
    pub(crate) fn counts(self) -> bool {
        matches!(self, Self::Update | Self::Exclusive)
    }
}

/// What came of asking for another id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rotated {
    /// The cookie would hold this from now on.
    To(String),
    /// A parallel request was quicker, and its answer has the new id: this one's sets no cookie.
    ByAnother,
    /// The id that was presented had just been replaced by another.
    Refused,
}

/// What a request does: it reads the session, works, adds one to the entry `count` and sets the entry
/// `entry`.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) entry: String,
    pub(crate) work: Duration,
}

impl Change {
    /// Without work, as a page that remembers when it was last seen.
    pub(crate) fn last() -> Self {
        Self { entry: "last".to_owned(), work: Duration::ZERO }
    }

    pub(crate) async fn work(&self) {
        if !self.work.is_zero() {
            tokio::time::sleep(self.work).await;
        }
    }
}

/// The entry that all changes add to.
pub(crate) const COUNT: &str = "count";
/// With what the names of entries begin that changes add.
pub(crate) const ADDED: char = 'k';
/// An entry that is there from the beginning.
pub(crate) const FIRST: &str = "part0";
/// Into so many entries is the payload divided.
pub(crate) const PARTS: usize = 8;

/// What is left of changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) count: u64,
    pub(crate) entries: usize,
}

impl Kept {
    /// From the entries' names and the count; none where what was there from the beginning is gone:
    /// then nobody is logged in.
    pub(crate) fn of(
        count: Option<u64>,
        names: impl IntoIterator<Item: AsRef<str>>,
    ) -> Option<Self> {
        let (mut there, mut entries) = (false, 0);
        for name in names {
            there |= name.as_ref() == FIRST;
            entries += usize::from(name.as_ref().starts_with(ADDED));
        }
        there.then_some(Self { count: count.unwrap_or_default(), entries })
    }
}

/// A session library on a store. Every method is what one request of an application does.
#[async_trait]
pub(crate) trait Library: Send + Sync + 'static {
    /// The modes that changes can be made in, the usual one first.
    fn modes(&self) -> &'static [Mode];

    /// Whether a life can be extended without a rewrite by the application.
    fn touches(&self) -> bool {
        true
    }

    /// Begins a session with `PARTS` entries and the count; returns what the cookie would hold.
    async fn create(&self) -> Result<String>;

    /// Reads one entry; whether there was such a session.
    async fn read(&self, id: &str) -> Result<bool>;

    /// Changes the session and saves it; returns the id that the cookie would hold from now on, where
    /// it is another.
    async fn change(&self, id: &str, change: &Change, mode: Mode) -> Result<Option<String>>;

    /// Reads one entry and extends the session's life.
    async fn touch(&self, id: &str) -> Result<()>;

    /// Logs out.
    async fn destroy(&self, id: &str) -> Result<()>;

    /// Gives the session another id, as at a log-in.
    async fn rotate(&self, id: &str) -> Result<Rotated>;

    /// What changes have left; none where there is no session, or nobody logged in.
    async fn kept(&self, id: &str) -> Result<Option<Kept>>;

    /// Begins a session that lives for so long; none where a life cannot be chosen.
    async fn create_for(&self, _life: Duration) -> Result<Option<String>> {
        Ok(None)
    }

    /// Processes of the library beside this program.
    fn processes(&self) -> Vec<i32> {
        Vec::new()
    }

    /// Removes all that has expired; none where the server does that by itself, or nobody.
    async fn sweep(&self) -> Result<Option<u64>> {
        Ok(None)
    }
}

/// The entries of a fresh session, together about so many bytes.
pub(crate) fn entries(bytes: usize) -> Vec<(String, String)> {
    let part = |_| (0..bytes.div_ceil(PARTS)).map(|_| fastrand::alphanumeric()).collect();
    (0..PARTS).map(|index| (format!("part{index}"), part(index))).collect()
}

/// The entry that a reading page looks at.
pub(crate) fn any_part() -> String {
    format!("part{}", fastrand::usize(..PARTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_told_from_what_was_there() {
        let names = ["part0", "k1", "k2", COUNT, "last"];
        assert_eq!(Kept::of(Some(7), names), Some(Kept { count: 7, entries: 2 }));
        assert_eq!(Kept::of(Some(7), ["k1", COUNT]), None);
    }

    #[test]
    fn a_session_is_as_large_as_asked_for() {
        let all = entries(1024);
        assert_eq!(all.iter().map(|(_, text)| text.len()).sum::<usize>(), 1024);
    }
}
