//! Tables, credentials and endpoints that a store is not opened with.

use std::{
    env,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use aws_credential_types::provider::{self, ProvideCredentials, error::CredentialsError};
use aws_sdk_dynamodb::{
    Client,
    config::Credentials,
    types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType},
};
use session_core::{ErrorKind, SessionStore};
use session_dynamo::{DynamoConfig, DynamoStoreBuilder};
use test_load::{SOON, create, fails_in_time, load, new_key};
use test_servers::{
    TestResult,
    dynamodb::{Fate, Front, Server},
};
use tokio::{
    net::TcpListener,
    process::Command,
    time::{sleep, timeout},
};

use crate::support::{PATIENCE, World, builder, client, new_table};

/// Why a store cannot be opened.
async fn reason(builder: DynamoStoreBuilder) -> String {
    let error = builder.open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(!error.is_retryable());
    error.to_string()
}

pub(crate) async fn a_table_that_is_not_there_is_told() -> TestResult {
    let reason = reason(builder(&Server::shared().await?.url(), &new_table())).await;
    assert!(reason.contains("no such table"), "{reason}");
    Ok(())
}

pub(crate) async fn a_table_with_another_key_is_told() -> TestResult {
    let (url, table) = (Server::shared().await?.url(), new_table());
    let key = KeySchemaElement::builder().attribute_name("session_id").key_type(KeyType::Hash);
    let id = AttributeDefinition::builder().attribute_name("session_id");
    client(&url)
        .create_table()
        .table_name(&table)
        .key_schema(key.build()?)
        .attribute_definitions(id.attribute_type(ScalarAttributeType::S).build()?)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await?;
    let reason = reason(builder(&url, &table)).await;
    assert!(reason.contains("`id`"), "{reason}");
    Ok(())
}

pub(crate) async fn credentials_that_are_refused_are_told_at_once() -> TestResult {
    let front = Front::start(&Server::shared().await?.address()).await?;
    for (code, word) in [
        ("ExpiredTokenException", "expired"),
        ("UnrecognizedClientException", "not accepted"),
        ("AccessDeniedException", "do not allow"),
    ] {
        front.forget();
        front.rule(move |_| Fate::Fail(400, code));
        let reason = reason(builder(&front.url(), "any")).await;
        assert!(reason.contains(word), "{reason}");
        assert_eq!(front.sent().len(), 1, "it is asked again after {code}");
    }
    let world = World::start().await?;
    let key = new_key();
    create(&world.store, &key, b"1").await;
    world.front.rule(|_| Fate::Fail(400, "ExpiredTokenException"));
    assert_eq!(load(&world.store, &key).await.unwrap_err().kind(), ErrorKind::Config);
    world.front.pass();
    assert!(load(&world.store, &key).await?.is_some(), "it does not recover");
    Ok(())
}

/// Loads the credentials late, and at first not at all.
#[derive(Debug)]
struct Late(AtomicUsize);

impl ProvideCredentials for Late {
    fn provide_credentials<'a>(&'a self) -> provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let asked = self.0.fetch_add(1, Ordering::SeqCst);
        provider::future::ProvideCredentials::new(async move {
            if asked == 0 {
                return Err(CredentialsError::provider_error("the identity service is away"));
            }
            sleep(Duration::from_secs(1)).await;
            Ok(Credentials::new("key", "secret", None, None, "test"))
        })
    }
}

/// The time for one attempt does not count what an identity service takes.
pub(crate) async fn credentials_that_come_late_are_waited_for() -> TestResult {
    let (world, late) = (World::start().await?, Late(AtomicUsize::new(0)));
    let url = Server::shared().await?.url();
    let config = client(&url).config().to_builder().credentials_provider(late).build();
    let builder = builder(&url, &world.table).client(Client::from_conf(config));
    // An attempt that is late for another reason is made again.
    let store = builder.attempt_timeout(Duration::from_millis(500)).open().await?;
    create(&store, &new_key(), b"1").await;
    Ok(())
}

/// In a process of its own, whose environment names an endpoint where nobody is.
pub(crate) async fn a_client_that_is_handed_over_keeps_its_endpoint() -> TestResult {
    const VARIABLE: &str = "DYNAMODB_ENDPOINT_URL";
    const NAME: &str = "refusals::a_client_that_is_handed_over_keeps_its_endpoint";
    const NOBODY: &str = "http://127.0.0.1:9";
    const THERE: &str = "SESSION_TEST_ENDPOINT";
    const TABLE: &str = "DYNAMODB_SESSION_TABLE_NAME";
    let Ok(url) = env::var(THERE) else {
        let (url, table) = (Server::shared().await?.url(), new_table());
        builder(&url, &table).create_table().await?;
        let mut own = Command::new(env::current_exe()?);
        let own = own.args(["--exact", NAME]).env(THERE, url).env(TABLE, table);
        let done = own.env(VARIABLE, NOBODY).output().await?;
        let told = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && told.contains("1 passed"), "{told}");
        return Ok(());
    };
    let handed = DynamoStoreBuilder::from(DynamoConfig::default()).client(client(&url));
    handed.timeout(PATIENCE).attempt_timeout(PATIENCE).open().await?;
    let limit = Duration::from_secs(1);
    let found = DynamoStoreBuilder::from(DynamoConfig::default()).timeout(limit);
    let found = found.region("eu-central-1").credentials("key", "secret");
    let nobody = fails_in_time(limit, found.open()).await;
    assert_eq!(nobody.kind(), ErrorKind::Unavailable, "the environment does not count");
    Ok(())
}

pub(crate) async fn nobody_at_the_endpoint_is_told() -> TestResult {
    let nobody = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let limit = Duration::from_secs(1);
    let builder = builder(&format!("http://{nobody}"), "any").timeout(limit);
    let error = fails_in_time(limit, builder.open()).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    Ok(())
}

pub(crate) async fn a_table_is_made_with_its_expiry_and_stays_when_it_is_there() -> TestResult {
    let world = World::start().await?;
    let key = new_key();
    create(&world.store, &key, b"1").await;
    let url = Server::shared().await?.url();
    timeout(SOON, builder(&url, &world.table).create_table()).await??;
    assert!(load(&world.store, &key).await?.is_some(), "the table was made anew");
    let told = client(&url).describe_time_to_live().table_name(&world.table).send().await?;
    let expiry = told.time_to_live_description().unwrap();
    assert_eq!(expiry.attribute_name(), Some("expires"));
    let item = client(&url).scan().table_name(&world.table).send().await?;
    let expires = item.items()[0]["expires"].as_n().unwrap();
    assert!(expires.parse::<u64>().is_ok(), "{expires} is not in whole seconds");
    world.store.ping().await?;
    Ok(())
}
