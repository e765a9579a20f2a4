//! The epochs of principals. Memcached enumerates nothing, so no sessions are listed.

use async_trait::async_trait;
use session_core::{
    Cursor, Error, ErrorKind, Key, KeyPage, Operation, PrincipalDigest, PrincipalIndex, Result,
};

use crate::{
    BACKEND, MemcachedStore,
    keys::Name,
    link::{Command, Fault, Reply},
};

const INDEX: Operation = Operation::Index;
/// How often an epoch that comes and goes in between is counted up anew.
const TRIES: u32 = 5;

impl MemcachedStore {
    async fn ask_of_epoch(&self, name: &Name<'_>, command: Command<'_>) -> Result<Reply> {
        let (link, writes) = (&self.0.link, !matches!(command, Command::Get));
        let asked = link.ask(name, &[command], link.deadline()).await;
        Ok(asked.map_err(|fault| fault.into_error(INDEX, writes))?.reply)
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
        match self.ask_of_epoch(&name, Command::Get).await? {
            Reply::Absent => Ok(0),
            reply => number(&reply),
        }
    }

    async fn bump_epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        let name = self.0.keys.epoch_of(principal);
        // Later than all that was counted before, if that was forgotten.
        let first = self.0.clock.now().as_millis();
        for _ in 0..TRIES {
            match self.ask_of_epoch(&name, Command::Count { first }).await? {
                Reply::Absent => {}
                reply => return number(&reply),
            }
            // The older protocol counts only what is there.
            let value = first.to_string();
            let add = Command::Add { value: [value.as_bytes(), b""], expiry: 0 };
            match self.ask_of_epoch(&name, add).await? {
                Reply::Done(_) => return Ok(first),
                Reply::NotStored => {}
                other => return Err(error(&other)),
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

fn number(reply: &Reply) -> Result<u64> {
    match reply {
        Reply::Count(number) => Ok(*number),
        Reply::Value(text, _) => {
            let number = str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
            number.ok_or_else(|| {
                Error::new(ErrorKind::Corrupt, BACKEND, INDEX).with_detail("an epoch is no number")
            })
        }
        other => Err(error(other)),
    }
}

fn error(reply: &Reply) -> Error {
    Fault::of(reply).into_error(INDEX, false)
}
