//! Setting up a store.

use std::{fmt, sync::Arc, time::Duration};

use aws_config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::{
    Client,
    config::{Builder, Credentials, Region},
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use session_core::{Clock, Result, Sweeping, SystemClock};

use crate::{
    DynamoConfig, DynamoStore, Leases, config::wrong, link::Link, mark, meter::Meter, principal,
    schema,
};

/// Sets up a [`DynamoStore`].
pub struct DynamoStoreBuilder {
    config: DynamoConfig,
    clock: Arc<dyn Clock>,
    credentials: Option<Credentials>,
    client: Option<Client>,
}

impl From<DynamoConfig> for DynamoStoreBuilder {
    fn from(config: DynamoConfig) -> Self {
        let clock = Arc::new(SystemClock::default());
        Self { config, clock, credentials: None, client: None }
    }
}

impl fmt::Debug for DynamoStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoStoreBuilder")
            .field("config", &self.config)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl DynamoStoreBuilder {
    /// See [`DynamoConfig::table`].
    #[must_use]
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.config.table = Some(table.into());
        self
    }

    /// See [`DynamoConfig::region`].
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.config.region = Some(region.into());
        self
    }

    /// See [`DynamoConfig::endpoint`].
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.config.endpoint = Some(endpoint.into());
        self
    }

    /// See [`DynamoConfig::prefix`].
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.config.prefix = prefix.into();
        self
    }

    /// See [`DynamoConfig::ttl_attribute`].
    #[must_use]
    pub fn ttl_attribute(mut self, name: impl Into<String>) -> Self {
        self.config.ttl_attribute = name.into();
        self
    }

    /// See [`DynamoConfig::timeout`].
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    /// See [`DynamoConfig::attempt_timeout`].
    #[must_use]
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.config.attempt_timeout = timeout;
        self
    }

    /// See [`DynamoConfig::connect_timeout`].
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = timeout;
        self
    }

    /// See [`DynamoConfig::clock_skew`].
    #[must_use]
    pub const fn clock_skew(mut self, skew: Duration) -> Self {
        self.config.clock_skew = skew;
        self
    }

    /// See [`DynamoConfig::max_payload`].
    #[must_use]
    pub const fn max_payload(mut self, bytes: usize) -> Self {
        self.config.max_payload = bytes;
        self
    }

    /// See [`DynamoConfig::max_waiters`].
    #[must_use]
    pub const fn max_waiters(mut self, waiters: usize) -> Self {
        self.config.max_waiters = waiters;
        self
    }

    /// See [`DynamoConfig::leases`].
    #[must_use]
    pub const fn leases(mut self, leases: Leases) -> Self {
        self.config.leases = leases;
        self
    }

    /// See [`DynamoConfig::principal_index`].
    #[must_use]
    pub fn principal_index(mut self, name: impl Into<String>) -> Self {
        self.config.principal_index = Some(name.into());
        self
    }

    /// See [`DynamoConfig::sweeping`].
    #[must_use]
    pub const fn sweeping(mut self, sweeping: Sweeping) -> Self {
        self.config.sweeping = sweeping;
        self
    }

    /// See [`DynamoConfig::sweep_rate`].
    #[must_use]
    pub const fn sweep_rate(mut self, units: u32) -> Self {
        self.config.sweep_rate = units;
        self
    }

    /// See [`DynamoConfig::sweep_segments`].
    #[must_use]
    pub const fn sweep_segments(mut self, segments: u8) -> Self {
        self.config.sweep_segments = segments;
        self
    }

    /// The clock that deadlines and leases are judged by. Default: the wall clock. All servers of
    /// the application need about the same time.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Access key and secret key, in place of those that the AWS SDK finds: for an endpoint of
    /// your own, which takes any.
    #[must_use]
    pub fn credentials(mut self, key: impl Into<String>, secret: impl Into<String>) -> Self {
        self.credentials = Some(Credentials::new(key, secret, None, None, "session-dynamo"));
        self
    }

    /// A client of the AWS SDK's that is set up already: its region, endpoint, credentials and
    /// connections. Timeouts and repetition are the store's.
    #[must_use]
    pub fn client(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Makes the table, with the index of principals if one is named, billed by request and with the expiry of items turned on, and waits until it
    /// is there. Of a table that is there only the expiry is turned on, where it is off: DynamoDB then
    /// removes every item whose attribute of that name has passed, whoever wrote it. It needs the
    /// permissions CreateTable, DescribeTable and UpdateTimeToLive, which the store itself does not.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub async fn create_table(&self) -> Result<()> {
        let (config, table) = self.settled()?;
        schema::create(&self.connect(&config).await, &table, &config).await
    }

    /// Reads one item, to see that the table is there and may be used. The first store that keeps its
    /// [leases aside](Leases::Aside) writes there that the table is used so.
    ///
    /// What is set neither here nor by the URL comes from the environment: see
    /// [`DynamoConfig::or_from_environment`]. The AWS SDK finds region and credentials: in the
    /// environment (`AWS_REGION`, `AWS_ACCESS_KEY_ID`, ..), in the profile, and from the role of the
    /// container, the pod or the machine.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) when a setting is wrong, there is no such table, its
    /// key is another one, its leases are elsewhere, and when the credentials are missing, expired or not enough;
    /// [`Unavailable`](session_core::ErrorKind::Unavailable) or
    /// [`Timeout`](session_core::ErrorKind::Timeout) when DynamoDB does not answer.
    pub async fn open(self) -> Result<DynamoStore> {
        let (config, link) = self.link().await?;
        let store = DynamoStore::new(&config, link);
        mark::check(&store, config.leases).await?;
        principal::check(&store).await?;
        Ok(store)
    }

    /// The way to the table, and the settings in full.
    pub(crate) async fn link(self) -> Result<(DynamoConfig, Link)> {
        let (config, table) = self.settled()?;
        let link = Link {
            client: self.connect(&config).await,
            table,
            expires: config.ttl_attribute.clone(),
            timeout: config.timeout,
            attempt_timeout: config.attempt_timeout,
            meter: Meter::default(),
            clock: self.clock,
        };
        Ok((config, link))
    }

    /// The settings with those of the environment, and the table.
    fn settled(&self) -> Result<(DynamoConfig, String)> {
        let config = self.config.clone().or_from_environment();
        config.check()?;
        let table = config.table.clone();
        let table = table.ok_or_else(|| {
            wrong("no table: name one in the URL, or in DYNAMODB_SESSION_TABLE_NAME")
        })?;
        Ok((config, table))
    }

    async fn connect(&self, config: &DynamoConfig) -> Client {
        let builder = match &self.client {
            Some(client) => client.config().to_builder(),
            None => self.found(config).await,
        };
        // A client that was handed over has its endpoint: only one that was named beside it counts.
        let named = if self.client.is_some() { &self.config } else { config };
        let builder = match &named.endpoint {
            Some(endpoint) => builder.endpoint_url(endpoint),
            None => builder,
        };
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(config.connect_timeout)
            .read_timeout(config.attempt_timeout)
            .build();
        let once = RetryConfig::disabled();
        Client::from_conf(builder.timeout_config(timeouts).retry_config(once).build())
    }

    /// What the SDK finds.
    async fn found(&self, config: &DynamoConfig) -> Builder {
        let ring = Provider::Rustls(CryptoMode::Ring);
        let http = aws_smithy_http_client::Builder::new().tls_provider(ring).build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
        if let Some(region) = &config.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(credentials) = &self.credentials {
            loader = loader.credentials_provider(credentials.clone());
        }
        Builder::from(&loader.load().await)
    }
}
