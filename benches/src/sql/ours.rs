//! Our store.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use session_core::{
    Expected, Key, KeyHasher, LockRequest, OpToken, ReadOptions, Revision, SessionId, SessionStore,
    Then, Write,
};
use session_sql::SqlStore;

use super::{CONNECTIONS, place::Place};
use crate::{
    measure::{Contender, Operation, Result, Role, Share, Work},
    setup::{LEASE, Setup, TTL},
};

/// A store with as many connections as the others have, and its tables.
pub(super) async fn open(place: &Place) -> Result<SqlStore> {
    let builder = SqlStore::builder(&place.url())?.max_connections(u32::try_from(CONNECTIONS)?);
    let store = builder.open().await?;
    store.migrate().await?;
    Ok(store)
}

pub(super) async fn contenders(place: &Place, setup: &Setup) -> Result<Vec<Contender>> {
    let store = open(place).await?;
    let mut sessions = Vec::with_capacity(setup.sessions);
    for _ in 0..setup.sessions {
        sessions.push(Session::create(&store, &setup.payload).await?);
    }
    let base = Base { store, sessions: sessions.into(), payload: setup.payload.clone() };
    use Operation::{Create, Locked, Read, Touch, Write};
    let all = [
        ("session-sql load", Read),
        ("session-sql save", Write),
        ("session-sql create", Create),
        ("session-sql lock + save", Locked),
        ("session-sql touch", Touch),
    ];
    let contender = |(name, operation)| {
        let base = base.clone();
        let make = move |share| Steps { base: base.clone(), operation, share };
        Contender::new(name, Role::Ours, operation, make)
    };
    Ok(all.into_iter().map(contender).collect())
}

pub(super) struct Session {
    key: Key,
    /// As the last save left it.
    revision: Mutex<Revision>,
}

impl Session {
    pub(super) async fn create(store: &SqlStore, payload: &Bytes) -> Result<Self> {
        let key = KeyHasher::plain().key(&SessionId::generate()?);
        let write = Write::new(payload.clone(), TTL);
        let revision = store.create(&key, write, OpToken::generate()?, None).await?;
        Ok(Self { key, revision: Mutex::new(revision) })
    }

    /// Replaces the payload.
    pub(super) async fn save(&self, store: &SqlStore, payload: &Bytes) -> Result<()> {
        let (write, op) = (Write::new(payload.clone(), TTL), OpToken::generate()?);
        let expected = Expected::Revision(self.revision());
        self.set_revision(store.save(&self.key, write, expected, op).await?);
        Ok(())
    }

    fn revision(&self) -> Revision {
        *self.revision.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_revision(&self, revision: Revision) {
        *self.revision.lock().unwrap_or_else(PoisonError::into_inner) = revision;
    }
}

#[derive(Clone)]
struct Base {
    store: SqlStore,
    sessions: Arc<[Session]>,
    payload: Bytes,
}

struct Steps {
    base: Base,
    operation: Operation,
    share: Share,
}

impl Work for Steps {
    async fn step(&mut self) -> Result<()> {
        let Base { store, sessions, payload } = &self.base;
        let any = &sessions[self.share.any()];
        let own = &sessions[self.share.any_own()];
        match self.operation {
            Operation::Read => {
                let record = store.load(&any.key, ReadOptions::latest()).await?;
                if record.is_none_or(|record| record.payload.len() != payload.len()) {
                    return Err("another record".into());
                }
            }
            Operation::Write => own.save(store, payload).await?,
            Operation::Create => drop(Session::create(store, payload).await?),
            Operation::Locked => own.set_revision(cycle(store, own, payload).await?),
            Operation::Touch => {
                let incarnation = own.revision().incarnation();
                store.touch(&own.key, TTL.into(), incarnation, OpToken::generate()?).await?;
            }
        }
        Ok(())
    }
}

async fn cycle(store: &SqlStore, session: &Session, payload: &Bytes) -> Result<Revision> {
    let request = LockRequest::new(OpToken::generate()?, LEASE, LEASE);
    let locked = store.lock(&session.key, request).await?;
    let (Some(lease), Some(record)) = (locked.lease, locked.record) else {
        return Err("no lease, or no record".into());
    };
    if record.payload.len() != payload.len() {
        return Err("another record".into());
    }
    let (write, op) = (Write::new(payload.clone(), TTL), OpToken::generate()?);
    let then = Then::Release;
    let expected = Expected::Lease { lease: &lease, revision: record.revision, then };
    Ok(store.save(&session.key, write, expected, op).await?)
}
