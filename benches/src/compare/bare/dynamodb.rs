//! The AWS SDK: items with the hash key `id` and the value in one attribute.

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    primitives::Blob,
    types::{AttributeValue, AttributeValue::S},
};
use aws_smithy_http_client::{Builder, tls};
use time::OffsetDateTime;

use super::{LIFE, Values};
use crate::measure::Result;

const ID: &str = "id";
const DATA: &str = "data";

pub(crate) struct DynamoDb {
    client: Client,
    table: &'static str,
}

impl DynamoDb {
    pub(crate) fn new(address: &str, table: &'static str) -> Self {
        Self { client: client(address), table }
    }
}

/// The SDK for a server that asks for no signature.
pub(crate) fn client(address: &str) -> Client {
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let http = Builder::new().tls_provider(provider).build_https();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .endpoint_url(format!("http://{address}"))
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "bench"));
    Client::from_conf(config.build())
}

fn deadline() -> AttributeValue {
    let deadline = OffsetDateTime::now_utc().unix_timestamp() + i64::from(LIFE);
    AttributeValue::N(deadline.to_string())
}

impl Values for DynamoDb {
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let get = self.client.get_item().table_name(self.table).consistent_read(true);
        let item = get.key(ID, S(name.to_owned())).send().await?.item;
        let data = item.and_then(|mut item| item.remove(DATA));
        Ok(data.and_then(|data| data.as_b().ok().map(|blob| blob.as_ref().to_vec())))
    }

    async fn add(&self, name: &str, value: &[u8]) -> Result<()> {
        self.set(name, value).await
    }

    async fn set(&self, name: &str, value: &[u8]) -> Result<()> {
        let put = self.client.put_item().table_name(self.table).item(ID, S(name.to_owned()));
        let put = put.item(DATA, AttributeValue::B(Blob::new(value))).item("expires", deadline());
        put.send().await?;
        Ok(())
    }

    async fn extend(&self, name: &str) -> Result<()> {
        let update = self.client.update_item().table_name(self.table).key(ID, S(name.to_owned()));
        let update = update.update_expression("SET expires = :at");
        update.expression_attribute_values(":at", deadline()).send().await?;
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let delete = self.client.delete_item().table_name(self.table);
        delete.key(ID, S(name.to_owned())).send().await?;
        Ok(())
    }
}
