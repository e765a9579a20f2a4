//! The Redis store of actix-session, on redis 0.32. Its data is one entry with the payload as
//! JSON text, and the whole is JSON again.

use std::{collections::HashMap, sync::Arc};

use actix_session::storage::{RedisSessionStore, SessionKey, SessionStore};
use time::Duration;

use crate::{
    measure::{Contender, Operation, Result, Role, Share, Work},
    redis::Place,
    setup::Setup,
};

const TTL: Duration = Duration::hours(1);

pub(crate) async fn contenders(place: &Place, setup: &Setup) -> Result<Vec<Contender>> {
    let url = place.urls().into_iter().next().ok_or("no server")?;
    let store = RedisSessionStore::new(format!("{url}/?protocol=resp3")).await?;
    let entry = serde_json::to_string(&setup.text())?;
    let state = HashMap::from([("payload".to_owned(), entry)]);
    let mut keys = Vec::with_capacity(setup.sessions);
    for _ in 0..setup.sessions {
        keys.push(String::from(store.save(state.clone(), &TTL).await?));
    }
    let base = Base { store, keys: keys.into(), state };
    let make = |kind| {
        let base = base.clone();
        move |share| Steps { base: base.clone(), kind, share }
    };
    use Operation::{Read, Touch, Write};
    Ok(vec![
        Contender::new("actix-session load", Role::Peer, Read, make(Kind::Load)),
        Contender::new("actix-session update", Role::Peer, Write, make(Kind::Update)),
        Contender::new("actix-session update_ttl", Role::Peer, Touch, make(Kind::Touch)),
    ])
}

#[derive(Clone)]
struct Base {
    store: RedisSessionStore,
    keys: Arc<[String]>,
    state: HashMap<String, String>,
}

#[derive(Clone, Copy)]
enum Kind {
    Load,
    Update,
    Touch,
}

struct Steps {
    base: Base,
    kind: Kind,
    share: Share,
}

impl Work for Steps {
    async fn step(&mut self) -> Result<()> {
        let Base { store, keys, state } = &self.base;
        let key = |index: usize| SessionKey::try_from(keys[index].clone());
        match self.kind {
            Kind::Load => {
                let found = store.load(&key(self.share.any())?).await?;
                if found.is_none_or(|found| found.len() != 1) {
                    return Err("another state".into());
                }
            }
            Kind::Update => {
                store.update(key(self.share.any_own())?, state.clone(), &TTL).await?;
            }
            Kind::Touch => store.update_ttl(&key(self.share.any())?, &TTL).await?,
        }
        Ok(())
    }
}
