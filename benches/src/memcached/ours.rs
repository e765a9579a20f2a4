//! Our store.

use session_memcached::MemcachedStore;
use test_servers::memcached::Server;

use crate::{
    measure::{Contender, Operation, Result},
    setup::Setup,
    stored::Stored,
};

pub(crate) async fn contenders(server: &Server, setup: &Setup) -> Result<Vec<Contender>> {
    let ours = Stored::fill(MemcachedStore::open(&server.url()).await?, setup).await?;
    Ok(vec![
        ours.contender("session-memcached load", Operation::Read),
        ours.contender("session-memcached save", Operation::Write),
        ours.contender("session-memcached lock + save", Operation::Locked),
        ours.contender("session-memcached touch", Operation::Touch),
    ])
}
