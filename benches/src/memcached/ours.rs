//! Our store.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use session_core::{
    Expected, Key, KeyHasher, LockRequest, OpToken, ReadOptions, Revision, SessionId, SessionStore,
    Then, Write,
};
use session_memcached::MemcachedStore;
use test_servers::memcached::Server;

use crate::{
    measure::{Contender, Operation, Result, Role, Share, Work},
    setup::{LEASE, Setup, TTL},
};

pub(crate) async fn contenders(server: &Server, setup: &Setup) -> Result<Vec<Contender>> {
    let store = MemcachedStore::open(&server.url()).await?;
    let mut sessions = Vec::with_capacity(setup.sessions);
    for _ in 0..setup.sessions {
        sessions.push(Session::create(&store, &setup.payload).await?);
    }
    let base = Base { store, sessions: sessions.into(), payload: setup.payload.clone() };
    let make = |kind| {
        let base = base.clone();
        move |share| Steps { base: base.clone(), kind, share }
    };
    use Operation::{Locked, Read, Touch, Write};
    let contender = |name, operation, kind| Contender::new(name, Role::Ours, operation, make(kind));
    Ok(vec![
        contender("session-memcached load", Read, Kind::Load),
        contender("session-memcached save", Write, Kind::Save),
        contender("session-memcached lock + save", Locked, Kind::Cycle),
        contender("session-memcached touch", Touch, Kind::Touch),
    ])
}

struct Session {
    key: Key,
    /// As the last save left it.
    revision: Mutex<Revision>,
}

impl Session {
    async fn create(store: &MemcachedStore, payload: &Bytes) -> Result<Self> {
        let key = KeyHasher::plain().key(&SessionId::generate()?);
        let write = Write::new(payload.clone(), TTL);
        let revision = store.create(&key, write, OpToken::generate()?, None).await?;
        Ok(Self { key, revision: Mutex::new(revision) })
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
    store: MemcachedStore,
    sessions: Arc<[Session]>,
    payload: Bytes,
}

#[derive(Clone, Copy)]
enum Kind {
    Load,
    Save,
    Cycle,
    Touch,
}

struct Steps {
    base: Base,
    kind: Kind,
    share: Share,
}

impl Work for Steps {
    async fn step(&mut self) -> Result<()> {
        let Base { store, sessions, payload } = &self.base;
        let any = &sessions[self.share.any()];
        let own = &sessions[self.share.any_own()];
        match self.kind {
            Kind::Load => {
                let record = store.load(&any.key, ReadOptions::latest()).await?;
                if record.is_none_or(|record| record.payload.len() != payload.len()) {
                    return Err("another record".into());
                }
            }
            Kind::Save => {
                let (write, op) = (Write::new(payload.clone(), TTL), OpToken::generate()?);
                let expected = Expected::Revision(own.revision());
                own.set_revision(store.save(&own.key, write, expected, op).await?);
            }
            Kind::Cycle => own.set_revision(cycle(store, own, payload).await?),
            Kind::Touch => {
                let incarnation = any.revision().incarnation();
                store.touch(&any.key, TTL.into(), incarnation, OpToken::generate()?).await?;
            }
        }
        Ok(())
    }
}

async fn cycle(store: &MemcachedStore, session: &Session, payload: &Bytes) -> Result<Revision> {
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
