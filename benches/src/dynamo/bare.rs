//! The bare commands on the SDK: each of the same kind as ours, with as many bytes and one condition.

use std::sync::Arc;

use aws_sdk_dynamodb::{
    Client,
    primitives::Blob,
    types::{AttributeValue, ReturnConsumedCapacity, ReturnValue},
};
use data_encoding::BASE64URL_NOPAD;
use test_servers::dynamodb::Server;

use super::{client, table};
use crate::{
    measure::{Contender, Operation, Result, Role, Share, Work},
    setup::Setup,
};

/// What our store keeps beside the payload.
const BESIDE: usize = 180;

pub(super) async fn contenders(server: &Server, setup: &Setup) -> Result<Vec<Contender>> {
    let table = table(server, "bare").await?;
    let value = [setup.payload.to_vec(), vec![b'x'; BESIDE]].concat();
    let names = (0..setup.sessions).map(|_| name()).collect();
    let base = Base { client: client(server), table, names, value: value.into() };
    for name in base.names.iter() {
        base.put(name).await?;
    }
    let make = |kind| {
        let base = base.clone();
        move |share| Steps { base: base.clone(), kind, share }
    };
    use Operation::{Create, Locked, Read, Touch, Write};
    let bare = |name, operation, kind| Contender::new(name, Role::Bare, operation, make(kind));
    Ok(vec![
        bare("GetItem", Read, Kind::Get),
        bare("UpdateItem", Write, Kind::Update),
        bare("UpdateItem twice", Locked, Kind::Twice),
        bare("UpdateItem of a number", Touch, Kind::Number),
        bare("UpdateItem + DeleteItem", Create, Kind::PutAndDelete),
    ])
}

/// As long as the names of our store's items.
pub(super) fn name() -> String {
    let digest: [u8; 32] = std::array::from_fn(|_| fastrand::u8(..));
    format!("session:{}", BASE64URL_NOPAD.encode(&digest))
}

fn number() -> AttributeValue {
    AttributeValue::N(fastrand::u64(..1 << 50).to_string())
}

fn id(name: &str) -> AttributeValue {
    AttributeValue::S(name.to_owned())
}

const UNITS: ReturnConsumedCapacity = ReturnConsumedCapacity::Total;

#[derive(Clone)]
struct Base {
    client: Client,
    table: &'static str,
    names: Arc<[String]>,
    value: Arc<[u8]>,
}

impl Base {
    async fn put(&self, name: &str) -> Result<()> {
        let put = self.client.update_item().table_name(self.table).key("id", id(name));
        let put = put.update_expression("SET d = :d, x = :x").return_consumed_capacity(UNITS);
        let put = put.condition_expression("attribute_not_exists(id)");
        let data = AttributeValue::B(Blob::new(self.value.to_vec()));
        put.expression_attribute_values(":d", data)
            .expression_attribute_values(":x", number())
            .send()
            .await?;
        Ok(())
    }

    async fn get(&self, name: &str) -> Result<()> {
        let get = self.client.get_item().table_name(self.table).key("id", id(name));
        let got = get.consistent_read(true).return_consumed_capacity(UNITS).send().await?;
        let data = got.item().and_then(|item| item.get("d")).and_then(|data| data.as_b().ok());
        if data.is_none_or(|data| data.as_ref().len() != self.value.len()) {
            return Err("another item".into());
        }
        Ok(())
    }

    async fn update(&self, name: &str) -> Result<()> {
        let update = self.client.update_item().table_name(self.table).key("id", id(name));
        let update = update.update_expression("SET d = :d, x = :x").return_consumed_capacity(UNITS);
        let update = update.condition_expression("attribute_exists(x)");
        let data = AttributeValue::B(Blob::new(self.value.to_vec()));
        update
            .expression_attribute_values(":d", data)
            .expression_attribute_values(":x", number())
            .send()
            .await?;
        Ok(())
    }

    async fn number(&self, name: &str, returns: ReturnValue) -> Result<()> {
        let update = self.client.update_item().table_name(self.table).key("id", id(name));
        let update = update.update_expression("SET x = :x").return_consumed_capacity(UNITS);
        let update = update.condition_expression("attribute_exists(x)").return_values(returns);
        update.expression_attribute_values(":x", number()).send().await?;
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let delete = self.client.delete_item().table_name(self.table).key("id", id(name));
        delete.return_consumed_capacity(UNITS).send().await?;
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Get,
    Update,
    Twice,
    Number,
    PutAndDelete,
}

struct Steps {
    base: Base,
    kind: Kind,
    share: Share,
}

impl Work for Steps {
    async fn step(&mut self) -> Result<()> {
        let Self { base, kind, share } = self;
        let (any, own) = (&base.names[share.any()], &base.names[share.any_own()]);
        match kind {
            Kind::Get => base.get(any).await,
            Kind::Update => base.update(own).await,
            Kind::Twice => {
                base.number(own, ReturnValue::AllNew).await?;
                base.update(own).await
            }
            Kind::Number => base.number(any, ReturnValue::None).await,
            Kind::PutAndDelete => {
                let name = name();
                base.put(&name).await?;
                base.delete(&name).await
            }
        }
    }
}
