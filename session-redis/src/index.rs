//! The index of sessions by principal.
//!
//! A sorted set for each principal holds the digests of its sessions. It is written after a session
//! got its principal, in a step of its own, because in a cluster it is on another node. So it may
//! miss a session whose server died in between, and hold sessions that are no more; these are left
//! out of listings and removed. Each log-in looks after two others, so a set does not grow on.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use session_core::{
    Cursor, Error, ErrorKind, Expected, Incarnation, Key, KeyDigest, KeyPage, OpToken, Operation,
    PrincipalDigest, PrincipalIndex, Result, SessionStore, Write,
};
use tokio::time::timeout;

use crate::{
    BACKEND, RedisStore,
    answer::nonsense,
    link::{Command, Request, Value},
    record,
};

/// How long a set is kept at least after the last log-in: sessions that are used live on, and say
/// nothing here.
const KEPT: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// How long a log-in waits for the index, which in a cluster may be on a part that is down.
const AT_MOST: Duration = Duration::from_secs(1);
/// How many sessions are looked at in one round trip.
const PAGE: usize = 100;
const INDEX: Operation = Operation::Index;

type Digest = [u8; 32];

/// Notes that a session belongs to a principal from now on. A failure is a gap in the listing, not
/// one of the session.
pub(crate) async fn enlist(store: &RedisStore, key: &Key, write: &Write) {
    let Some(principal) = write.meta.principal else { return };
    // Most writes do not come here, and are to have small futures.
    let enlisted = timeout(AT_MOST, Box::pin(try_enlist(store, key, &principal, write))).await;
    let error = match enlisted {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(_) => Error::new(ErrorKind::Timeout, BACKEND, INDEX),
    };
    tracing::warn!(session = %key.log_id(), %error, "a session may be missing in the index");
}

async fn try_enlist(
    store: &RedisStore,
    key: &Key,
    principal: &PrincipalDigest,
    write: &Write,
) -> Result<()> {
    let kept = record::millis(write.ttl).max(record::millis(KEPT.into())).to_string();
    let name = store.0.keys.sessions_of(principal);
    let arguments = [key.digest().as_bytes().as_slice(), kept.as_bytes()];
    let script = &store.0.scripts.enlist;
    let mut reply = store.run_on(INDEX, script, name, &arguments).await?;
    let others = reply.parts.array().ok_or_else(|| nonsense(INDEX))?;
    verified(store, principal, digests(others)).await.map(drop)
}

/// Which of these sessions live and belong to the principal. The others are taken off the list.
async fn verified(
    store: &RedisStore,
    principal: &PrincipalDigest,
    sessions: Vec<Digest>,
) -> Result<Vec<(Key, Incarnation)>> {
    let looks = sessions.into_iter().map(|digest| async move {
        let key = Key::from_digest(KeyDigest::from_bytes(digest));
        let name = store.0.keys.name(&key);
        let last = (record::UP_TO_PRINCIPAL - 1).to_string();
        let command = Command::new("GETRANGE", &[&name, b"0", last.as_bytes()]);
        match ask(store, name, command).await? {
            Value::BulkString(head) => Ok((key, record::belongs_to(&head, principal))),
            _ => Err(nonsense(INDEX)),
        }
    });
    let looks: Result<Vec<_>> = join_all(looks).await.into_iter().collect();
    let (live, dead): (Vec<_>, Vec<_>) = looks?.into_iter().partition(|(_, of)| of.is_some());
    if !dead.is_empty() {
        let name = store.0.keys.sessions_of(principal);
        let mut arguments = vec![&*name];
        arguments.extend(dead.iter().map(|(key, _)| key.digest().as_bytes().as_slice()));
        ask(store, name.clone(), Command::new("ZREM", &arguments)).await?;
    }
    Ok(live.into_iter().filter_map(|(key, incarnation)| Some((key, incarnation?))).collect())
}

/// A page of sessions that live, and the last digest that was looked at if there may be more.
async fn page(
    store: &RedisStore,
    principal: &PrincipalDigest,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<(Vec<(Key, Incarnation)>, Option<Digest>)> {
    let name = store.0.keys.sessions_of(principal);
    let from = after.map_or_else(|| b"-".to_vec(), |last| [b"(", last].concat());
    let limit = limit.clamp(1, PAGE);
    let count = limit.to_string();
    let arguments: [&[u8]; 6] = [&name, &from, b"+", b"LIMIT", b"0", count.as_bytes()];
    let command = Command::new("ZRANGEBYLEX", &arguments);
    let Value::Array(members) = ask(store, name.clone(), command).await? else {
        return Err(nonsense(INDEX));
    };
    let members = digests(members);
    let last = members.last().copied().filter(|_| members.len() == limit);
    Ok((verified(store, principal, members).await?, last))
}

async fn ask(store: &RedisStore, key: Vec<u8>, command: Command) -> Result<Value> {
    let request = Request { key, commands: vec![command], replica: false };
    let mut answer = store.ask(INDEX, request).await?;
    answer.values.pop().ok_or_else(|| nonsense(INDEX))
}

fn digests(values: Vec<Value>) -> Vec<Digest> {
    let digest = |value| match value {
        Value::BulkString(bytes) => bytes.as_ref().try_into().ok(),
        _ => None,
    };
    values.into_iter().filter_map(digest).collect()
}

#[async_trait]
impl PrincipalIndex for RedisStore {
    async fn list(
        &self,
        principal: &PrincipalDigest,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<KeyPage> {
        let (mut keys, mut after) = (Vec::new(), cursor.map(|cursor| cursor.as_bytes().to_vec()));
        loop {
            let left = limit.max(1) - keys.len();
            let (found, last) = page(self, principal, after.as_deref(), left).await?;
            keys.extend(found.into_iter().map(|(key, _)| key));
            let Some(last) = last else { return Ok(KeyPage::new(keys, None)) };
            if keys.len() >= limit {
                return Ok(KeyPage::new(keys, Some(Cursor::new(last.to_vec()))));
            }
            after = Some(last.to_vec());
        }
    }

    async fn epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        let name = self.0.keys.epoch_of(principal);
        match ask(self, name.clone(), Command::new("GET", &[&name])).await? {
            Value::Nil => Ok(0),
            Value::BulkString(digits) => {
                let digits = str::from_utf8(&digits).ok().and_then(|digits| digits.parse().ok());
                digits.ok_or_else(|| nonsense(INDEX))
            }
            _ => Err(nonsense(INDEX)),
        }
    }

    async fn bump_epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        let name = self.0.keys.epoch_of(principal);
        let mut reply = self.run_on(INDEX, &self.0.scripts.bump, name, &[]).await?;
        let epoch = reply.parts.number().and_then(|epoch| u64::try_from(epoch).ok());
        epoch.ok_or_else(|| nonsense(INDEX))
    }

    async fn revoke(&self, principal: &PrincipalDigest, except: Option<&Key>) -> Result<usize> {
        let (mut revoked, mut after) = (0, None);
        loop {
            let (found, last) = page(self, principal, after.as_deref(), PAGE).await?;
            let spared = except.map(Key::digest);
            let theirs = found.into_iter().filter(|(key, _)| Some(key.digest()) != spared);
            for (key, incarnation) in theirs {
                let expected = Expected::Incarnation(incarnation);
                match self.delete(&key, expected, OpToken::generate()?).await {
                    Ok(()) => revoked += 1,
                    // It is another one by now.
                    Err(error) if error.kind() == ErrorKind::Conflict => {}
                    Err(error) => return Err(error),
                }
            }
            let Some(last) = last else { return Ok(revoked) };
            after = Some(last.to_vec());
        }
    }
}
