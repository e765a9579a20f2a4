//! Our store.

use session_sql::SqlStore;

use super::{CONNECTIONS, place::Place};
use crate::{
    measure::{Contender, Operation, Result},
    setup::Setup,
    stored::Stored,
};

/// A store with as many connections as the others have, and its tables.
pub(super) async fn open(place: &Place) -> Result<SqlStore> {
    let builder = SqlStore::builder(&place.url())?.max_connections(u32::try_from(CONNECTIONS)?);
    let store = builder.open().await?;
    store.migrate().await?;
    Ok(store)
}

pub(super) async fn contenders(place: &Place, setup: &Setup) -> Result<Vec<Contender>> {
    let ours = Stored::fill(open(place).await?, setup).await?;
    Ok(vec![
        ours.contender("session-sql load", Operation::Read),
        ours.contender("session-sql save", Operation::Write),
        ours.contender("session-sql create", Operation::Create),
        ours.contender("session-sql lock + save", Operation::Locked),
        ours.contender("session-sql touch", Operation::Touch),
    ])
}
