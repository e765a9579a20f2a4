//! The same work on each of our stores.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use session_core::{
    Expected, Key, KeyHasher, LockRequest, OpToken, ReadOptions, Revision, SessionId, SessionStore,
    Then, Write,
};

use crate::{
    measure::{Contender, Operation, Result, Role, Share, Work},
    setup::{LEASE, Setup, TTL},
};

/// A session in a store.
pub(crate) struct Session {
    pub(crate) key: Key,
    /// As the last save left it.
    revision: Mutex<Revision>,
}

impl Session {
    pub(crate) async fn create(store: &impl SessionStore, payload: &Bytes) -> Result<Self> {
        let key = KeyHasher::plain().key(&SessionId::generate()?);
        let write = Write::new(payload.clone(), TTL);
        let revision = store.create(&key, write, OpToken::generate()?, None).await?;
        Ok(Self { key, revision: Mutex::new(revision) })
    }

    /// Replaces the payload.
    pub(crate) async fn save(&self, store: &impl SessionStore, payload: &Bytes) -> Result<()> {
        let expected = Expected::Revision(self.revision());
        self.write(store, payload, expected).await
    }

    /// Locks with loading, and saves with releasing.
    async fn cycle(&self, store: &impl SessionStore, payload: &Bytes) -> Result<()> {
        let request = LockRequest::new(OpToken::generate()?, LEASE, LEASE);
        let locked = store.lock(&self.key, request).await?;
        let (Some(lease), Some(record)) = (locked.lease, locked.record) else {
            return Err("no lease, or no record".into());
        };
        if record.payload.len() != payload.len() {
            return Err("another record".into());
        }
        let then = Then::Release;
        let expected = Expected::Lease { lease: &lease, revision: record.revision, then };
        self.write(store, payload, expected).await
    }

    async fn write(
        &self,
        store: &impl SessionStore,
        payload: &Bytes,
        expected: Expected<'_>,
    ) -> Result<()> {
        let (write, op) = (Write::new(payload.clone(), TTL), OpToken::generate()?);
        let revision = store.save(&self.key, write, expected, op).await?;
        *self.revision.lock().unwrap_or_else(PoisonError::into_inner) = revision;
        Ok(())
    }

    async fn touch(&self, store: &impl SessionStore) -> Result<()> {
        let incarnation = self.revision().incarnation();
        store.touch(&self.key, TTL.into(), incarnation, OpToken::generate()?).await?;
        Ok(())
    }

    fn revision(&self) -> Revision {
        *self.revision.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store with the sessions that are worked on.
#[derive(Clone)]
pub(crate) struct Stored<S> {
    pub(crate) store: S,
    sessions: Arc<[Session]>,
    pub(crate) payload: Bytes,
}

impl<S: SessionStore + Clone + 'static> Stored<S> {
    pub(crate) async fn fill(store: S, setup: &Setup) -> Result<Self> {
        let mut sessions = Vec::with_capacity(setup.sessions);
        for _ in 0..setup.sessions {
            sessions.push(Session::create(&store, &setup.payload).await?);
        }
        Ok(Self { store, sessions: sessions.into(), payload: setup.payload.clone() })
    }

    pub(crate) fn contender(&self, name: &'static str, operation: Operation) -> Contender {
        let stored = self.clone();
        let make = move |share| stored.steps(operation, share);
        Contender::new(name, Role::Ours, operation, make)
    }

    /// What one task does.
    pub(crate) fn steps(&self, operation: Operation, share: Share) -> Steps<S> {
        Steps { stored: self.clone(), operation, share }
    }
}

/// What one task does with a store.
pub(crate) struct Steps<S> {
    stored: Stored<S>,
    operation: Operation,
    share: Share,
}

impl<S: SessionStore + 'static> Work for Steps<S> {
    async fn step(&mut self) -> Result<()> {
        let Stored { store, sessions, payload } = &self.stored;
        let own = || &sessions[self.share.any_own()];
        match self.operation {
            Operation::Read => {
                let any = &sessions[self.share.any()];
                let record = store.load(&any.key, ReadOptions::latest()).await?;
                if record.is_none_or(|record| record.payload.len() != payload.len()) {
                    return Err("another record".into());
                }
                Ok(())
            }
            Operation::Write => own().save(store, payload).await,
            Operation::Create => Session::create(store, payload).await.map(drop),
            Operation::Locked => own().cycle(store, payload).await,
            Operation::Touch => own().touch(store).await,
        }
    }
}
