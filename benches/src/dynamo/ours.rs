//! Our store.

use session_core::{Expected, OpToken, SessionStore};
use session_dynamo::{DynamoConfig, DynamoStore, DynamoStoreBuilder, Leases};
use test_servers::dynamodb::Server;

use super::{ATTEMPT, REGION, table};
use crate::{
    measure::{Contender, Operation, Result, Role, Work},
    setup::Setup,
    stored::{Session, Stored},
};

/// A store on a table of its own, by this name.
pub(super) async fn open(
    server: &Server,
    name: &'static str,
    leases: Leases,
) -> Result<DynamoStore> {
    Ok(builder(server, table(server, name).await?).leases(leases).open().await?)
}

/// What opens a store on a table.
pub(super) fn builder(server: &Server, table: &str) -> DynamoStoreBuilder {
    let builder = DynamoStoreBuilder::from(DynamoConfig::new(table)).endpoint(server.url());
    let builder = builder.region(REGION).credentials("key", "secret");
    builder.attempt_timeout(ATTEMPT).connect_timeout(ATTEMPT).timeout(ATTEMPT)
}

pub(super) async fn contenders(server: &Server, setup: &Setup) -> Result<Vec<Contender>> {
    let ours = Stored::fill(open(server, "ours", Leases::InItem).await?, setup).await?;
    let aside = Stored::fill(open(server, "aside", Leases::Aside).await?, setup).await?;
    let mut all = vec![
        ours.contender("session-dynamo load", Operation::Read),
        ours.contender("session-dynamo save", Operation::Write),
        ours.contender("session-dynamo lock + save", Operation::Locked),
        ours.contender("session-dynamo touch", Operation::Touch),
        aside.contender("aside: save", Operation::Write),
        aside.contender("aside: lock + save", Operation::Locked),
    ];
    let make = move |_share| CreateAndDelete(ours.clone());
    let name = "session-dynamo create + delete";
    all.push(Contender::new(name, Role::Ours, Operation::Create, make));
    Ok(all)
}

/// What is made goes again, as with the bare requests.
pub(super) struct CreateAndDelete(pub(super) Stored<DynamoStore>);

impl Work for CreateAndDelete {
    async fn step(&mut self) -> Result<()> {
        let Stored { store, payload, .. } = &self.0;
        let session = Session::create(store, payload).await?;
        store.delete(&session.key, Expected::Any, OpToken::generate()?).await?;
        Ok(())
    }
}
