//! The requests of our store without our store: what is left is the way from a call to a request, and
//! back. They are taken from the store itself, so that they are its own whatever becomes of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::{
    Client,
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::BeforeSerializationInterceptorContextRef,
    },
    error::BoxError,
    operation::{
        delete_item::DeleteItemInput, get_item::GetItemInput, update_item::UpdateItemInput,
    },
    primitives::Blob,
    types::AttributeValue,
};
use session_core::{Clock, SystemClock};
use test_servers::dynamodb::Server;
use tokio::sync::Mutex as Turn;

use super::{bare::name, client, ours, table};
use crate::{
    measure::{Contender, Operation, Result, Role, Share, Work},
    setup::{LEASE, Setup, TTL},
    stored::Stored,
};

/// A commit's token has one of so many places, by the version.
const PLACES: usize = 4;

pub(super) async fn contenders(server: &Server, setup: &Setup) -> Result<Vec<Contender>> {
    let requests = Requests::of(server, setup).await?;
    let mut base = Base {
        client: client(server),
        table: table(server, "same").await?,
        requests: Arc::new(requests),
        rows: Arc::new([]),
    };
    let mut rows = Vec::with_capacity(setup.sessions);
    for _ in 0..setup.sessions {
        rows.push(Turn::new(base.create().await?));
    }
    base.rows = rows.into();
    let one = |(name, operation)| {
        let base = base.clone();
        let make = move |share| Steps { base: base.clone(), operation, share };
        Contender::new(name, Role::Same, operation, make)
    };
    let all = [
        ("our request of a load", Operation::Read),
        ("our request of a save", Operation::Write),
        ("our requests of a locked cycle", Operation::Locked),
        ("our request of a touch", Operation::Touch),
        ("our requests to create and delete", Operation::Create),
    ];
    Ok(all.into_iter().map(one).collect())
}

/// One of each, as the store sent it.
#[derive(Debug)]
struct Requests {
    load: GetItemInput,
    create: UpdateItemInput,
    /// By the place of the token.
    save: Vec<UpdateItemInput>,
    lock: UpdateItemInput,
    commit: Vec<UpdateItemInput>,
    touch: UpdateItemInput,
    delete: DeleteItemInput,
}

#[derive(Debug, Default, Clone)]
struct Seen(Arc<Mutex<Sent>>);

#[derive(Debug, Default)]
struct Sent {
    gets: Vec<GetItemInput>,
    updates: Vec<UpdateItemInput>,
    deletes: Vec<DeleteItemInput>,
}

impl Intercept for Seen {
    fn name(&self) -> &'static str {
        "seen"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let (mut sent, input) =
            (self.0.lock().unwrap_or_else(PoisonError::into_inner), context.input());
        sent.gets.extend(input.downcast_ref::<GetItemInput>().cloned());
        sent.updates.extend(input.downcast_ref::<UpdateItemInput>().cloned());
        sent.deletes.extend(input.downcast_ref::<DeleteItemInput>().cloned());
        Ok(())
    }
}

impl Requests {
    /// Has a store of one session do everything, and looks at what it sends.
    async fn of(server: &Server, setup: &Setup) -> Result<Self> {
        let seen = Seen::default();
        let config = client(server).config().to_builder().interceptor(seen.clone());
        let table = table(server, "seen").await?;
        let store = ours::builder(server, table).client(Client::from_conf(config.build()));
        let setup = Setup { sessions: 1, ..setup.clone() };
        let stored = Stored::fill(store.open().await?, &setup).await?;
        let operations = [Operation::Write; PLACES].into_iter();
        let operations = operations.chain([Operation::Locked; PLACES]);
        let share = Share::of(0, 1, 1);
        for operation in operations.chain([Operation::Touch, Operation::Read]) {
            stored.steps(operation, share.clone()).step().await?;
        }
        ours::CreateAndDelete(stored).step().await?;
        let mut sent = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut updates = std::mem::take(&mut sent.updates).into_iter();
        let mut next = || updates.next().ok_or("a request that was not sent");
        let create = next()?;
        let save = by_place((0..PLACES).map(|_| next()).collect::<std::result::Result<_, _>>()?);
        let cycles = (0..PLACES).map(|_| Ok((next()?, next()?)));
        let (mut locks, commits): (Vec<_>, Vec<_>) =
            cycles.collect::<std::result::Result<Vec<_>, &str>>()?.into_iter().unzip();
        Ok(Self {
            load: sent.gets.pop().ok_or("no load")?,
            create,
            save,
            lock: locks.pop().ok_or("no lock")?,
            commit: by_place(commits),
            touch: next()?,
            delete: sent.deletes.pop().ok_or("no delete")?,
        })
    }
}

/// The first is of the second version.
fn by_place(mut requests: Vec<UpdateItemInput>) -> Vec<UpdateItemInput> {
    requests.rotate_right(2);
    requests
}

struct Row {
    name: String,
    incarnation: [u8; 16],
    version: usize,
}

#[derive(Clone)]
struct Base {
    client: Client,
    table: &'static str,
    requests: Arc<Requests>,
    rows: Arc<[Turn<Row>]>,
}

fn token() -> [u8; 16] {
    std::array::from_fn(|_| fastrand::u8(..))
}

fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn bytes(bytes: [u8; 16]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

fn key(name: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([("id".to_owned(), AttributeValue::S(name.to_owned()))])
}

/// The values of a request for this row and this moment.
fn values(
    request: &UpdateItemInput,
    row: &Row,
    lease: [u8; 16],
) -> Option<HashMap<String, AttributeValue>> {
    let now = SystemClock::default().now();
    let op = token();
    let values = request.expression_attribute_values()?;
    let ends = if values.contains_key(":s_u") { now.after(LEASE) } else { now.after(TTL) };
    let own = |(name, value): (&String, &AttributeValue)| {
        let value = match name.as_str() {
            ":i" | ":s_i" => bytes(row.incarnation),
            ":v" => number(row.version),
            ":s_v" => number(row.version + 1),
            ":now" => number(now.as_millis()),
            ":h" | ":s_h" => bytes(lease),
            ":op" | ":s_o0" | ":s_o1" | ":s_o2" | ":s_o3" => bytes(op),
            ":s_u" | ":s_x" => number(ends.as_millis()),
            ":s_t" => number(ends.as_millis().div_ceil(1_000)),
            _ => value.clone(),
        };
        (name.clone(), value)
    };
    Some(values.iter().map(own).collect())
}

impl Base {
    async fn create(&self) -> Result<Row> {
        let row = Row { name: name(), incarnation: token(), version: 0 };
        self.update(&self.requests.create, &row, token()).await?;
        Ok(Row { version: 1, ..row })
    }

    async fn update(&self, request: &UpdateItemInput, row: &Row, lease: [u8; 16]) -> Result<()> {
        let update = self.client.update_item().table_name(self.table).set_key(Some(key(&row.name)));
        update
            .set_update_expression(request.update_expression.clone())
            .set_condition_expression(request.condition_expression.clone())
            .set_expression_attribute_names(request.expression_attribute_names.clone())
            .set_expression_attribute_values(values(request, row, lease))
            .set_return_values(request.return_values.clone())
            .set_return_values_on_condition_check_failure(
                request.return_values_on_condition_check_failure.clone(),
            )
            .set_return_consumed_capacity(request.return_consumed_capacity.clone())
            .send()
            .await?;
        Ok(())
    }

    async fn save(
        &self,
        requests: &[UpdateItemInput],
        row: &mut Row,
        lease: [u8; 16],
    ) -> Result<()> {
        self.update(&requests[(row.version + 1) % PLACES], row, lease).await?;
        row.version += 1;
        Ok(())
    }

    async fn load(&self, row: &Row) -> Result<()> {
        let request = &self.requests.load;
        let get = self.client.get_item().table_name(self.table).set_key(Some(key(&row.name)));
        let get = get.set_consistent_read(request.consistent_read);
        let get = get.set_return_consumed_capacity(request.return_consumed_capacity.clone());
        let got = get.send().await?;
        if got.item().is_none_or(|item| !item.contains_key("d")) {
            return Err("another item".into());
        }
        Ok(())
    }

    async fn delete(&self, row: &Row) -> Result<()> {
        let request = &self.requests.delete;
        self.client
            .delete_item()
            .table_name(self.table)
            .set_key(Some(key(&row.name)))
            .set_return_values_on_condition_check_failure(
                request.return_values_on_condition_check_failure.clone(),
            )
            .set_return_consumed_capacity(request.return_consumed_capacity.clone())
            .send()
            .await?;
        Ok(())
    }
}

struct Steps {
    base: Base,
    operation: Operation,
    share: Share,
}

impl Work for Steps {
    async fn step(&mut self) -> Result<()> {
        let Self { base, operation, share } = self;
        let requests = &base.requests;
        if *operation == Operation::Create {
            let row = base.create().await?;
            return base.delete(&row).await;
        }
        let mut row = base.rows[share.any_own()].lock().await;
        match operation {
            Operation::Read => base.load(&row).await,
            Operation::Write => base.save(&requests.save, &mut row, token()).await,
            Operation::Touch => base.update(&requests.touch, &row, token()).await,
            _ => {
                let lease = token();
                base.update(&requests.lock, &row, lease).await?;
                base.save(&requests.commit, &mut row, lease).await
            }
        }
    }
}
