//! The Redis pool of axum_session, with the JSON that its session store puts into it. Its data is
//! one entry with the payload as JSON text.

use std::{collections::HashMap, sync::Arc};

use axum_session::DatabasePool;
use axum_session_redispool::SessionRedisPool;
use redis_pool::SingleRedisPool;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    measure::{Contender, Operation, Result, Role, Share, Work},
    redis::{Place, names},
    setup::Setup,
};

const TABLE: &str = "sessions";
const LIFE: i64 = 3600;

pub(crate) async fn contenders(place: &Place, setup: &Setup) -> Result<Vec<Contender>> {
    let url = place.urls().into_iter().next().ok_or("no server")?;
    let pool = SingleRedisPool::from(redis::Client::open(format!("{url}/?protocol=resp3"))?);
    let pool = SessionRedisPool::from(pool);
    let entry = serde_json::to_string(&setup.text())?;
    let data = HashMap::from([("payload".to_owned(), entry)]);
    let data = Arc::new(SessionData { data, longterm: false });
    let ids: Arc<Vec<String>> = Arc::new(names(setup, ""));
    let base = Base { pool, ids, data };
    for index in 0..setup.sessions {
        base.store(index).await?;
    }
    let (load, store) = (base.clone(), base);
    use Operation::{Read, Write};
    Ok(vec![
        Contender::new("axum_session load", Role::Peer, Read, move |share| {
            Load(load.clone(), share)
        }),
        Contender::new("axum_session store", Role::Peer, Write, move |share| {
            Store(store.clone(), share)
        }),
    ])
}

/// Written as its own type of this name, which is private.
#[derive(Serialize, Deserialize)]
struct SessionData {
    data: HashMap<String, String>,
    longterm: bool,
}

#[derive(Clone)]
struct Base {
    pool: SessionRedisPool,
    ids: Arc<Vec<String>>,
    data: Arc<SessionData>,
}

impl Base {
    async fn store(&self, index: usize) -> Result<()> {
        let text = serde_json::to_string(&*self.data)?;
        let expires = OffsetDateTime::now_utc().unix_timestamp() + LIFE;
        self.pool.store(&self.ids[index], &text, expires, TABLE).await?;
        Ok(())
    }
}

struct Load(Base, Share);
struct Store(Base, Share);

impl Work for Load {
    async fn step(&mut self) -> Result<()> {
        let Self(base, share) = self;
        let text = base.pool.load(&base.ids[share.any()], TABLE).await?;
        let session: SessionData = serde_json::from_str(&text.ok_or("no session")?)?;
        if session.data.len() != 1 || session.longterm {
            return Err("another session".into());
        }
        Ok(())
    }
}

impl Work for Store {
    async fn step(&mut self) -> Result<()> {
        self.0.store(self.1.any_own()).await
    }
}
