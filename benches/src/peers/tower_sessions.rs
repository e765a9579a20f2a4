//! The Redis store of tower-sessions, on fred. Its data is one entry with the payload as text,
//! which it encodes as MessagePack.

use std::{collections::HashMap, sync::Arc};

use ::fred::prelude::Client;
use time::{Duration, OffsetDateTime};
use tower_sessions_core::{
    SessionStore,
    session::{Id, Record},
};
use tower_sessions_redis_store::RedisStore;

use crate::{
    measure::{Contender, Operation, Result, Role, Share, Work},
    redis::{Place, fred},
    setup::Setup,
};

pub(crate) async fn contenders(place: &Place, setup: &Setup) -> Result<Vec<Contender>> {
    let store = RedisStore::new(fred::client(place).await?);
    let data = HashMap::from([("payload".to_owned(), setup.text().into())]);
    let expiry_date = OffsetDateTime::now_utc() + Duration::hours(1);
    let template = Record { id: Id::default(), data, expiry_date };
    let mut ids = Vec::with_capacity(setup.sessions);
    for _ in 0..setup.sessions {
        let mut record = Record { id: Id::default(), ..template.clone() };
        store.create(&mut record).await?;
        ids.push(record.id);
    }
    let base = Base { store, ids: ids.into(), template };
    let (load, save) = (base.clone(), base);
    use Operation::{Read, Write};
    Ok(vec![
        Contender::new("tower-sessions load", Role::Peer, Read, move |share| {
            Load(load.clone(), share)
        }),
        Contender::new("tower-sessions save", Role::Peer, Write, move |share| {
            Save(save.clone(), share)
        }),
    ])
}

#[derive(Clone)]
struct Base {
    store: RedisStore<Client>,
    ids: Arc<[Id]>,
    template: Record,
}

struct Load(Base, Share);
struct Save(Base, Share);

impl Work for Load {
    async fn step(&mut self) -> Result<()> {
        let Self(base, share) = self;
        let record = base.store.load(&base.ids[share.any()]).await?;
        if record.is_none_or(|record| record.data.len() != 1) {
            return Err("another record".into());
        }
        Ok(())
    }
}

impl Work for Save {
    async fn step(&mut self) -> Result<()> {
        let Self(base, share) = self;
        base.template.id = base.ids[share.any_own()];
        base.store.save(&base.template).await?;
        Ok(())
    }
}
