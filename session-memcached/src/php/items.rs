//! The two items of a session, and what is asked about one of them.

use std::time::Duration;

use bytes::Bytes;
use session_core::{Clock as _, Operation, Result, SystemClock, Ttl};
use tokio::time::Instant;

use crate::{
    keys::Name,
    link::{Command, ConnectionId, Fault, Link, Pinned, Reply},
};

/// A longer expiry is a date to the server.
const LONGEST_DURATION: u64 = 60 * 60 * 24 * 30;

/// An item of a session: the record, or the lock.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) link: &'a Link,
    pub(super) name: Name<'a>,
    pub(super) operation: Operation,
    pub(super) deadline: Instant,
}

/// An item as it is stored.
pub(super) struct Found {
    pub(super) value: Bytes,
    pub(super) life: Ttl,
    pub(super) version: Version,
}

/// Which of its states an item is in.
#[derive(Clone, Copy)]
pub(super) struct Version {
    number: u64,
    connection: ConnectionId,
}

/// What has come of a conditional write.
pub(super) enum Written {
    /// It is done.
    Done,
    /// The item was another one. `in_doubt`: perhaps it is another one by this very write.
    Missed { in_doubt: bool },
}

impl Item<'_> {
    /// The item as it is now.
    pub(super) async fn look(&self) -> Result<Option<Found>> {
        let asked = self.link.ask(&self.name, &[Command::Look], self.deadline).await;
        let answer = asked.map_err(|fault| self.failed(fault, false))?;
        let connection = answer.connection;
        match answer.reply {
            Reply::Absent => Ok(None),
            Reply::Living(value, number, life) => {
                Ok(Some(Found { value, life, version: Version { number, connection } }))
            }
            other => Err(self.failed(Fault::of(&other), false)),
        }
    }

    /// How long it still lives.
    pub(super) async fn life(&self) -> Result<Option<Ttl>> {
        let asked = self.link.ask(&self.name, &[Command::Life], self.deadline).await;
        match asked.map_err(|fault| self.failed(fault, false))?.reply {
            Reply::Absent => Ok(None),
            Reply::Living(_, _, life) => Ok(Some(life)),
            other => Err(self.failed(Fault::of(&other), false)),
        }
    }

    /// Stores it where there is none. What is over by now is not stored.
    pub(super) async fn add(&self, value: &[u8], life: Ttl) -> Result<Added> {
        if is_over(life) {
            return Ok(if self.life().await?.is_some() { Added::Taken } else { Added::Over });
        }
        let add = Command::Add { value: [value, b""], expiry: expiry(life) };
        let asked = self.link.ask(&self.name, &[add], self.deadline).await;
        let answer = asked.map_err(|fault| self.failed(fault, true))?;
        let connection = answer.connection;
        match answer.reply {
            Reply::Done(Some(number)) => Ok(Added::Done(Version { number, connection })),
            Reply::NotStored if answer.resent => Ok(Added::InDoubt),
            Reply::NotStored => Ok(Added::Taken),
            other => Err(self.failed(Fault::of(&other), true)),
        }
    }

    /// Replaces the item of this version; by nothing, if the life is over.
    pub(super) async fn replace(
        &self,
        version: Version,
        value: &[u8],
        life: Ttl,
    ) -> Result<Written> {
        if is_over(life) {
            return self.remove(version).await;
        }
        let (number, expiry) = (version.number, expiry(life));
        self.write(version, Command::Replace { value: [value, b""], expiry, number }).await
    }

    /// Removes the item of this version.
    pub(super) async fn remove(&self, version: Version) -> Result<Written> {
        self.write(version, Command::Delete { number: Some(version.number) }).await
    }

    /// Removes it, whatever it is.
    pub(super) async fn remove_any(&self) -> Result<()> {
        self.done(Command::Delete { number: None }).await.map(drop)
    }

    /// Lets it live for so long from now on; whether it is there.
    pub(super) async fn touch(&self, life: Ttl) -> Result<bool> {
        self.done(Command::Touch { expiry: expiry(life) }).await
    }

    async fn done(&self, command: Command<'_>) -> Result<bool> {
        let asked = self.link.ask(&self.name, &[command], self.deadline).await;
        match asked.map_err(|fault| self.failed(fault, true))?.reply {
            Reply::Done(_) => Ok(true),
            Reply::Absent => Ok(false),
            other => Err(self.failed(Fault::of(&other), true)),
        }
    }

    async fn write(&self, version: Version, command: Command<'_>) -> Result<Written> {
        let asked = self.link.ask_on(version.connection, &self.name, command, self.deadline).await;
        match asked.map_err(|fault| self.failed(fault, true))? {
            Pinned::Answered(Reply::Done(_)) => Ok(Written::Done),
            Pinned::Answered(Reply::Changed | Reply::Absent | Reply::NotStored) => {
                Ok(Written::Missed { in_doubt: false })
            }
            Pinned::Answered(other) => Err(self.failed(Fault::of(&other).in_doubt(true), true)),
            Pinned::Moved { in_doubt } => Ok(Written::Missed { in_doubt }),
        }
    }

    pub(super) fn failed(&self, fault: Fault, writes: bool) -> session_core::Error {
        fault.into_error(self.operation, writes)
    }
}

/// What has come of adding an item.
pub(super) enum Added {
    /// It is there, in this version.
    Done(Version),
    /// There is one already.
    Taken,
    /// There is one, perhaps by this very command.
    InDoubt,
    /// There is none, and its life would have been over.
    Over,
}

fn is_over(life: Ttl) -> bool {
    life.duration().is_some_and(|life| life.is_zero())
}

/// The seconds for which the server keeps an item, or the date until which it does. Its clock moves in
/// whole seconds, so that the first of them may be over at once: it gets one more.
pub(super) fn seconds(life: Ttl) -> Option<u64> {
    let life = life.duration()?;
    Some(u64::try_from(life.as_millis()).unwrap_or(u64::MAX).div_ceil(1_000).saturating_add(1))
}

fn expiry(life: Ttl) -> u32 {
    let Some(seconds) = seconds(life) else { return 0 };
    let expiry = if seconds <= LONGEST_DURATION {
        seconds
    } else {
        (SystemClock::default().now().as_millis() / 1_000).saturating_add(seconds)
    };
    // Beyond what the server can count in 2038, it never drops it.
    i32::try_from(expiry).map_or(0, i32::unsigned_abs)
}

/// For how much longer the lock of such an item is held at the most, without the second on top.
pub(super) fn held_for(life: Ttl) -> Option<Duration> {
    life.duration().map(|life| life.saturating_sub(Duration::from_secs(1)))
}

/// For how much longer than asked an item may be there.
pub(super) const PRECISION: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_of_more_than_thirty_days_is_a_date() {
        let days = |days: u64| Ttl::from(Duration::from_secs(days * 86_400));
        assert_eq!(expiry(days(29)), 29 * 86_400 + 1);
        let now = u32::try_from(SystemClock::default().now().as_millis() / 1_000).unwrap();
        let date = expiry(days(31));
        assert!((now + 31 * 86_400..now + 31 * 86_400 + 10).contains(&date), "{date}");
        assert_eq!(expiry(Ttl::NEVER), 0);
        assert_eq!(expiry(days(400 * 365)), 0);
    }

    #[test]
    fn no_life_is_cut_short_by_the_servers_seconds() {
        assert_eq!(expiry(Duration::from_millis(1).into()), 2);
        assert_eq!(expiry(Duration::from_secs(1440).into()), 1441);
    }
}
