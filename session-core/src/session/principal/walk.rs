//! Reading the sessions of a principal.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::{PrincipalSessions, SessionInfo, Theirs};
use crate::{
    Error, ErrorKind, Header, Key, Operation, ReadOptions, Record, Result, SessionHandle,
    Timestamp, session::config::EpochCheck,
};

/// How many sessions are asked of the index at a time.
const PAGE: usize = 100;
/// How many of them are read at a time.
const AT_ONCE: usize = 8;

impl PrincipalSessions {
    /// The sessions that can be read, each once, and none that was revoked.
    pub(in crate::session) async fn distinct(&self, at_most: usize) -> Result<Vec<Theirs>> {
        let checked = self.manager.settings().epoch_check == EpochCheck::EachLoad;
        let epoch = if checked { self.manager.index()?.epoch(&self.principal).await? } else { 0 };
        let mut sessions = BTreeMap::new();
        for theirs in self.all(at_most).await? {
            if theirs.header.is_some() && theirs.meta.epoch >= epoch {
                // While an id is being rotated there is a copy.
                sessions.insert(theirs.handle, theirs);
            }
        }
        Ok(sessions.into_values().collect())
    }

    /// All sessions that the index knows, as far as they are the principal's.
    pub(super) async fn all(&self, at_most: usize) -> Result<Vec<Theirs>> {
        let index = self.manager.index()?;
        let (mut sessions, mut cursor) = (Vec::new(), None);
        loop {
            let limit = at_most.saturating_sub(sessions.len()).min(PAGE);
            let page = index.list(&self.principal, cursor.as_ref(), limit).await?;
            for (key, record) in self.records(page.keys).await? {
                sessions.extend(self.theirs(key, &record));
            }
            cursor = page.next;
            if cursor.is_none() || sessions.len() >= at_most {
                return Ok(sessions);
            }
        }
    }

    /// Reads records, a few at a time.
    async fn records(&self, keys: Vec<Key>) -> Result<Vec<(Key, Record)>> {
        let (mut records, mut reading) = (Vec::with_capacity(keys.len()), JoinSet::new());
        let mut keys = keys.into_iter();
        loop {
            for key in keys.by_ref().take(AT_ONCE - reading.len()) {
                let store = Arc::clone(self.manager.store());
                reading.spawn(async move {
                    let record = (*store).load(&key, ReadOptions::latest()).await?;
                    Ok::<_, Error>(record.map(|record| (key, record)))
                });
            }
            match reading.join_next().await {
                None => return Ok(records),
                Some(read) => records.extend(read.map_err(interrupted)??),
            }
        }
    }

    /// An index may be behind, and name a session that is somebody else's by now.
    fn theirs(&self, key: Key, record: &Record) -> Option<Theirs> {
        if record.meta.principal != Some(self.principal) {
            return None;
        }
        let header = self.manager.decode(&key, record).ok().map(|document| document.header);
        let given = header.as_ref().and_then(|header| header.handle);
        Some(Theirs {
            handle: given.unwrap_or_else(|| handle_of(&key)),
            key,
            incarnation: record.revision.incarnation(),
            meta: record.meta,
            header,
            remaining: record.remaining,
        })
    }

    pub(in crate::session) fn info(
        &self,
        theirs: &Theirs,
        current: Option<SessionHandle>,
    ) -> Option<SessionInfo> {
        let header = theirs.header.as_ref()?;
        let (last_used, last_used_within) = self.last_used(theirs, header);
        Some(SessionInfo {
            handle: theirs.handle,
            is_current: current == Some(theirs.handle),
            created_at: header.created_at,
            authenticated_at: header.authenticated_at,
            last_used,
            last_used_within,
            client: header.client.clone(),
        })
    }

    /// What the rest of a session's life tells of when it was extended.
    fn last_used(&self, theirs: &Theirs, header: &Header) -> (Timestamp, Duration) {
        let (now, settings) = (self.manager.now(), self.manager.settings());
        let written = [Some(header.created_at), header.authenticated_at, header.rotated_at];
        let written = written.into_iter().flatten().max().unwrap_or_default();
        let idle = settings.idle(header.idle);
        let (from, within) = match (idle.duration(), theirs.remaining.duration()) {
            (Some(whole), Some(left)) => {
                let precision = self.manager.backend().capabilities().expiry_precision;
                let end = now.after(left);
                let absolute = theirs.meta.absolute_deadline;
                let is_clamped = absolute.is_some_and(|absolute| end.after(precision) >= absolute);
                let exact = settings.touch_after(idle).saturating_add(precision);
                (before(end, whole), if is_clamped { Duration::MAX } else { exact })
            }
            _ => (written, Duration::MAX),
        };
        let from = from.max(written).min(now);
        (from, within.min(now.since(from)))
    }
}

fn before(at: Timestamp, by: Duration) -> Timestamp {
    let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(at.as_millis().saturating_sub(by))
}

/// The name of a session that was logged in without one: a one-way hash, which changes with the id.
pub(super) fn handle_of(key: &Key) -> SessionHandle {
    let hash =
        Sha256::new().chain_update(b"session handle\0").chain_update(key.digest().as_bytes());
    let mut short = [0_u8; 16];
    short.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    SessionHandle::from_bytes(short)
}

fn interrupted(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Backend, "session", Operation::Load).with_source(error)
}
