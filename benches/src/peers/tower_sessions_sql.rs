//! The stores of tower-sessions on MySQL and PostgreSQL, on sqlx 0.8 and its pool. Their data is one
//! entry with the payload as text, which they encode as MessagePack.

use std::{collections::HashMap, sync::Arc};

use time::{Duration, OffsetDateTime};
use tower_sessions_core::{
    SessionStore,
    session::{Id, Record},
};
use tower_sessions_sqlx_store::{
    MySqlStore, PostgresStore,
    sqlx::{mysql::MySqlPoolOptions, postgres::PgPoolOptions},
};

use crate::{
    measure::{Contender, Operation, Result, Role, Share, Work},
    setup::Setup,
    sql::{CONNECTIONS, Engine, Place},
};

pub(crate) async fn contenders(place: &Place, setup: &Setup) -> Result<Vec<Contender>> {
    let (url, most) = (place.url(), u32::try_from(CONNECTIONS)?);
    match place.engine {
        Engine::MariaDb | Engine::MySql => {
            let pool = MySqlPoolOptions::new().max_connections(most).connect(&url).await?;
            let store = MySqlStore::new(pool).with_schema_name("app")?;
            store.migrate().await?;
            on(store, setup).await
        }
        Engine::Postgres => {
            let pool = PgPoolOptions::new().max_connections(most).connect(&url).await?;
            let store = PostgresStore::new(pool);
            store.migrate().await?;
            on(store, setup).await
        }
        Engine::Sqlite => Ok(Vec::new()),
    }
}

async fn on<S: SessionStore + Clone>(store: S, setup: &Setup) -> Result<Vec<Contender>> {
    let data = HashMap::from([("payload".to_owned(), setup.text().into())]);
    let expiry_date = OffsetDateTime::now_utc() + Duration::hours(1);
    let template = Record { id: Id::default(), data, expiry_date };
    let mut ids = Vec::with_capacity(setup.sessions);
    for _ in 0..setup.sessions {
        let record = Record { id: Id::default(), ..template.clone() };
        store.save(&record).await?;
        ids.push(record.id);
    }
    let base = Base { store, ids: ids.into(), template };
    use Operation::{Create, Read, Write};
    let all = [
        ("tower-sessions load", Read),
        ("tower-sessions save", Write),
        ("tower-sessions create", Create),
    ];
    let contender = |(name, operation)| {
        let base = base.clone();
        let make = move |share| Steps { base: base.clone(), operation, share };
        Contender::new(name, Role::Peer, operation, make)
    };
    Ok(all.into_iter().map(contender).collect())
}

#[derive(Clone)]
struct Base<S> {
    store: S,
    ids: Arc<[Id]>,
    template: Record,
}

struct Steps<S> {
    base: Base<S>,
    operation: Operation,
    share: Share,
}

impl<S: SessionStore> Work for Steps<S> {
    async fn step(&mut self) -> Result<()> {
        let Base { store, ids, template } = &mut self.base;
        template.expiry_date = OffsetDateTime::now_utc() + Duration::hours(1);
        match self.operation {
            Operation::Read => {
                let record = store.load(&ids[self.share.any()]).await?;
                if record.is_none_or(|record| record.data.len() != 1) {
                    return Err("another record".into());
                }
            }
            Operation::Create => {
                template.id = Id::default();
                store.create(template).await?;
            }
            _ => {
                template.id = ids[self.share.any_own()];
                store.save(template).await?;
            }
        }
        Ok(())
    }
}
