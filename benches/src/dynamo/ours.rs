//! Our store.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use session_core::{
    Expected, Key, KeyHasher, LockRequest, OpToken, ReadOptions, Revision, SessionId, SessionStore,
    Then, Write,
};
use session_dynamo::{DynamoConfig, DynamoStore, DynamoStoreBuilder, Leases};
use test_servers::dynamodb::Server;

use super::{ATTEMPT, REGION, table};
use crate::{
    measure::{Contender, Operation, Result, Role, Share, Work},
    setup::{LEASE, Setup, TTL},
};

/// A store on a table of its own, by this name.
pub(super) async fn open(
    server: &Server,
    name: &'static str,
    leases: Leases,
) -> Result<DynamoStore> {
    let config = DynamoConfig::new(table(server, name).await?);
    let builder = DynamoStoreBuilder::from(config).endpoint(server.url()).region(REGION);
    let builder = builder.credentials("key", "secret").leases(leases);
    Ok(builder.attempt_timeout(ATTEMPT).connect_timeout(ATTEMPT).timeout(ATTEMPT).open().await?)
}

pub(super) async fn contenders(server: &Server, setup: &Setup) -> Result<Vec<Contender>> {
    let inside = Base::fill(open(server, "ours", Leases::InItem).await?, setup).await?;
    let aside = Base::fill(open(server, "aside", Leases::Aside).await?, setup).await?;
    let make = |base: &Base, kind| {
        let base = base.clone();
        move |share| Steps { base: base.clone(), kind, share }
    };
    use Operation::{Create, Locked, Read, Touch, Write};
    let ours =
        |name, operation, kind| Contender::new(name, Role::Ours, operation, make(&inside, kind));
    Ok(vec![
        ours("session-dynamo load", Read, Kind::Load),
        ours("session-dynamo save", Write, Kind::Save),
        ours("session-dynamo lock + save", Locked, Kind::Cycle),
        ours("session-dynamo touch", Touch, Kind::Touch),
        ours("session-dynamo create + delete", Create, Kind::Create),
        Contender::new("aside: save", Role::Ours, Write, make(&aside, Kind::Save)),
        Contender::new("aside: lock + save", Role::Ours, Locked, make(&aside, Kind::Cycle)),
    ])
}

struct Session {
    key: Key,
    /// As the last save left it.
    revision: Mutex<Revision>,
}

impl Session {
    async fn create(store: &DynamoStore, payload: &Bytes) -> Result<Self> {
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
    store: DynamoStore,
    sessions: Arc<[Session]>,
    payload: Bytes,
}

impl Base {
    async fn fill(store: DynamoStore, setup: &Setup) -> Result<Self> {
        let mut sessions = Vec::with_capacity(setup.sessions);
        for _ in 0..setup.sessions {
            sessions.push(Session::create(&store, &setup.payload).await?);
        }
        Ok(Self { store, sessions: sessions.into(), payload: setup.payload.clone() })
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Load,
    Save,
    Cycle,
    Touch,
    Create,
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
            Kind::Create => {
                let session = Session::create(store, payload).await?;
                store.delete(&session.key, Expected::Any, OpToken::generate()?).await?;
            }
        }
        Ok(())
    }
}

async fn cycle(store: &DynamoStore, session: &Session, payload: &Bytes) -> Result<Revision> {
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
