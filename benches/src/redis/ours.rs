//! Our store.

use session_redis::RedisStore;

use super::place::Place;
use crate::{
    measure::{Contender, Operation, Result},
    setup::Setup,
    stored::Stored,
};

pub(crate) async fn contenders(place: &Place, setup: &Setup) -> Result<Vec<Contender>> {
    let ours = Stored::fill(RedisStore::open(&place.our_url()).await?, setup).await?;
    Ok(vec![
        ours.contender("session-redis load", Operation::Read),
        ours.contender("session-redis save", Operation::Write),
        ours.contender("session-redis lock + save", Operation::Locked),
        ours.contender("session-redis touch", Operation::Touch),
    ])
}
