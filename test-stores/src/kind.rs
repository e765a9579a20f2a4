//! The kinds of stores.

use std::sync::Arc;

use async_trait::async_trait;
use session_core::OffsetClock;
use session_http::scenarios::{InMemory, Place, Stores};
use test_servers::{redis, sql};

use crate::{
    place::{Files, Redis},
    postgres::Postgres,
};

/// Where stores keep their sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the tests name them all")]
pub enum Kind {
    /// In memory.
    Memory,
    /// In a directory.
    Files,
    /// On a Redis.
    Redis,
    /// On a PostgreSQL, by a clock that can be moved.
    Postgres,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Files, Self::Redis, Self::Postgres];

    /// As in the names of tests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Files => "files",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }

    /// What its tests go by in `SESSION_REQUIRE` and `SESSION_SKIP`.
    #[must_use]
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Memory => &[],
            Self::Files => &["files"],
            Self::Redis => &["redis"],
            Self::Postgres => &["postgres"],
        }
    }

    /// Why there can be none here, if so.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Memory | Self::Files => None,
            Self::Redis => redis::Flavor::Redis.missing(),
            Self::Postgres => sql::Server::missing(&sql::Options::postgres()),
        }
    }
}

#[async_trait]
impl Stores for Kind {
    async fn open(&self, clock: Arc<OffsetClock>, max_waiters: usize) -> Box<dyn Place> {
        match self {
            Self::Memory => InMemory.open(clock, max_waiters).await,
            Self::Files => Box::new(Files::open(clock, max_waiters).await),
            Self::Redis => Box::new(Redis::open(max_waiters).await),
            Self::Postgres => Box::new(Postgres::open(max_waiters).await),
        }
    }
}
