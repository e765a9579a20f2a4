//! The epochs of principals. Memcached enumerates nothing, so no sessions are listed.

use async_trait::async_trait;
use session_core::{
    Cursor, Error, ErrorKind, Key, KeyPage, Operation, PrincipalDigest, PrincipalIndex, Result,
};

use tokio::time::Instant;

use crate::{
    BACKEND, MemcachedStore,
    keys::Name,
    link::{Command, Fault, Pinned, Reply},
};

const INDEX: Operation = Operation::Index;

impl MemcachedStore {
    /// Nothing, if somebody else was faster.
    async fn try_to_bump(&self, name: &Name<'_>, deadline: Instant) -> Result<Option<u64>> {
        let link = &self.0.link;
        let seen = link.ask(name, &[Command::Get], deadline).await.map_err(failed)?;
        // Later than all that was counted before, be it forgotten here or counted on another server.
        let now = self.0.clock.now().as_millis();
        let (epoch, written) = match &seen.reply {
            Reply::Absent => {
                let text = now.to_string();
                let add = Command::Add { value: [text.as_bytes(), b""], expiry: 0 };
                (now, link.ask(name, &[add], deadline).await.map_err(failed)?.reply)
            }
            reply @ Reply::Value(_, number) => {
                let epoch = now.max(epoch_in(reply)?.saturating_add(1));
                let text = epoch.to_string();
                let value = [text.as_bytes(), b"".as_slice()];
                let replace = Command::Replace { value, expiry: 0, number: *number };
                match link.ask_on(seen.connection, name, replace, deadline).await.map_err(failed)? {
                    Pinned::Answered(reply) => (epoch, reply),
                    Pinned::Moved { .. } => return Ok(None),
                }
            }
            other => return Err(unexpected(other)),
        };
        match written {
            Reply::Done(_) => Ok(Some(epoch)),
            Reply::NotStored | Reply::Changed | Reply::Absent => Ok(None),
            other => Err(unexpected(&other)),
        }
    }
}

#[async_trait]
impl PrincipalIndex for MemcachedStore {
    async fn list(
        &self,
        _principal: &PrincipalDigest,
        _cursor: Option<&Cursor>,
        _limit: usize,
    ) -> Result<KeyPage> {
        Err(unsupported())
    }

    async fn epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        let name = self.0.keys.epoch_of(principal);
        let (link, get) = (&self.0.link, [Command::Get]);
        let asked = link.ask(&name, &get, link.deadline()).await;
        match asked.map_err(|fault| fault.into_error(INDEX, false))?.reply {
            Reply::Absent => Ok(0),
            reply => epoch_in(&reply),
        }
    }

    async fn bump_epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        let name = self.0.keys.epoch_of(principal);
        let deadline = self.0.link.deadline();
        while Instant::now() < deadline {
            if let Some(epoch) = self.try_to_bump(&name, deadline).await? {
                return Ok(epoch);
            }
        }
        Err(Fault::timeout().in_doubt(true).into_error(INDEX, true))
    }

    async fn revoke(&self, _principal: &PrincipalDigest, _except: Option<&Key>) -> Result<usize> {
        Err(unsupported())
    }
}

fn unsupported() -> Error {
    Error::new(ErrorKind::Unsupported, BACKEND, INDEX).with_detail("Memcached lists no sessions")
}

fn epoch_in(reply: &Reply) -> Result<u64> {
    let Reply::Value(text, _) = reply else { return Err(unexpected(reply)) };
    let epoch = str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
    epoch.ok_or_else(|| {
        Error::new(ErrorKind::Corrupt, BACKEND, INDEX).with_detail("an epoch is no number")
    })
}

fn failed(fault: Fault) -> Error {
    fault.into_error(INDEX, true)
}

fn unexpected(reply: &Reply) -> Error {
    Fault::of(reply).into_error(INDEX, false)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use session_core::{Clock, OffsetClock, SystemClock};
    use test_servers::memcached::{Options, Server};

    use super::*;

    /// What another server counted meanwhile is not known here.
    #[tokio::test]
    async fn a_bump_is_later_than_what_was_counted_elsewhere_before() {
        let server = Server::start(&Options::new()).await.unwrap();
        for protocol in ["newest", "classic"] {
            let clock = Arc::new(OffsetClock::new(SystemClock::default()));
            let url = format!("{}?protocol={protocol}&session.prefix={protocol}:", server.url());
            let builder = MemcachedStore::builder(&url).unwrap().clock(Arc::clone(&clock));
            let store = builder.open().await.unwrap();
            let principal = PrincipalDigest::from_bytes([7; 32]);
            assert_eq!(store.epoch(&principal).await.unwrap(), 0);
            let first = store.bump_epoch(&principal).await.unwrap();
            let second = store.bump_epoch(&principal).await.unwrap();
            assert!(second > first);
            clock.advance(Duration::from_secs(3_600));
            let elsewhere = clock.now().as_millis();
            assert!(store.bump_epoch(&principal).await.unwrap() >= elsewhere);
            clock.step_back(Duration::from_secs(7_200));
            let last = store.bump_epoch(&principal).await.unwrap();
            assert!(last > elsewhere, "a clock that is put back");
            assert_eq!(store.epoch(&principal).await.unwrap(), last);
        }
    }
}
