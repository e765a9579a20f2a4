//! The table.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
        Projection, ProjectionType, ScalarAttributeType, TableStatus, TimeToLiveSpecification,
    },
};
use session_core::{Error, Operation, Result};
use tokio::time::{Instant, sleep};

use crate::{
    DynamoConfig,
    fault::Fault,
    item::{ID, PRINCIPAL},
};

/// A new table is there within a minute, mostly within ten seconds.
const LIMIT: Duration = Duration::from_secs(180);
const AGAIN: Duration = Duration::from_millis(100);

/// Makes the table, with its index, billed by request, and has it expire items by the attribute `expires`. Of
/// a table that is there only the expiry is turned on, where it is off: DynamoDB then removes every
/// item whose attribute of that name has passed, whoever wrote it.
pub(crate) async fn create(client: &Client, table: &str, config: &DynamoConfig) -> Result<()> {
    let index = config.principal_index.as_deref();
    let principal = index.and_then(|_| attribute(PRINCIPAL, ScalarAttributeType::B));
    let attributes = attribute(ID, ScalarAttributeType::S).into_iter().chain(principal);
    let made = client
        .create_table()
        .table_name(table)
        .set_key_schema(hash_key(ID))
        .set_attribute_definitions(Some(attributes.collect()))
        .set_global_secondary_indexes(index.map(|name| by_principal(name).into_iter().collect()))
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await;
    unless(made.map(drop), |code, _| code == "ResourceInUseException")?;
    until_active(client, table).await?;
    let expiry = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name(&config.ttl_attribute)
        .build();
    let told = client
        .update_time_to_live()
        .table_name(table)
        .set_time_to_live_specification(expiry.ok())
        .send()
        .await;
    unless(told.map(drop), |_, message| message.contains("already enabled"))
}

fn attribute(name: &str, is: ScalarAttributeType) -> Option<AttributeDefinition> {
    AttributeDefinition::builder().attribute_name(name).attribute_type(is).build().ok()
}

fn hash_key(name: &str) -> Option<Vec<KeySchemaElement>> {
    let key = KeySchemaElement::builder().attribute_name(name).key_type(KeyType::Hash).build();
    key.ok().map(|key| vec![key])
}

/// Of the names only: so it is written when a session gets its principal, and when it ends.
fn by_principal(name: &str) -> Option<GlobalSecondaryIndex> {
    let names = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
    let index = GlobalSecondaryIndex::builder().index_name(name).projection(names);
    index.set_key_schema(hash_key(PRINCIPAL)).build().ok()
}

async fn until_active(client: &Client, table: &str) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let told = client.describe_table().table_name(table).send().await;
        let told = told.map_err(|error| failed(Fault::of(&error)))?;
        let status = told.table().and_then(|table| table.table_status());
        if matches!(status, Some(TableStatus::Active | TableStatus::Updating)) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(failed(Fault::timeout()));
        }
        sleep(AGAIN).await;
    }
}

/// An error, unless it is one that says that there is nothing to do.
fn unless<E: ProvideErrorMetadata>(
    done: std::result::Result<(), SdkError<E>>,
    fine: impl Fn(&str, &str) -> bool,
) -> Result<()> {
    match done {
        Err(error)
            if !fine(error.code().unwrap_or_default(), error.message().unwrap_or_default()) =>
        {
            Err(failed(Fault::of(&error)))
        }
        _ => Ok(()),
    }
}

fn failed(fault: Fault) -> Error {
    fault.into_error(Operation::Open, false)
}
