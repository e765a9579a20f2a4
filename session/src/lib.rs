#![cfg_attr(
    all(
        doc,
        not(all(
            feature = "dynamodb",
            feature = "files",
            feature = "memcached",
            feature = "redis",
            feature = "mysql",
            feature = "axum",
            feature = "actix",
            feature = "encryption",
            feature = "migrating",
            feature = "observe",
            feature = "sweeper",
            any(
                feature = "tower-sessions-014",
                feature = "tower-sessions-015",
                feature = "actix-session-011"
            )
        ))
    ),
    expect(rustdoc::broken_intra_doc_links, reason = "the page names every module")
)]
#![doc = include_str!("../README.md")]

mod connect;
#[cfg(feature = "php")]
pub mod php;

pub use connect::connect;

#[doc(no_inline)]
pub use session_core::{
    Capabilities, Error, ErrorKind, Lifetime, LockedSession, MemoryStore, ReadOnlySession, Result,
    Session, SessionManager, SessionManagerBuilder, SessionStore, SweepBudget,
};

#[doc(no_inline)]
pub use session_core as core;
#[doc(no_inline)]
pub use session_http as http;
#[doc(no_inline)]
pub use session_layers as layers;

#[cfg(feature = "actix")]
#[doc(no_inline)]
pub use session_actix as actix;
#[cfg(any(
    feature = "tower-sessions-014",
    feature = "tower-sessions-015",
    feature = "actix-session-011"
))]
#[doc(no_inline)]
pub use session_compat as compat;
#[cfg(feature = "dynamodb")]
#[doc(no_inline)]
pub use session_dynamo as dynamo;
#[cfg(feature = "files")]
#[doc(no_inline)]
pub use session_files as files;
#[cfg(feature = "memcached")]
#[doc(no_inline)]
pub use session_memcached as memcached;
#[cfg(feature = "redis")]
#[doc(no_inline)]
pub use session_redis as redis;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
#[doc(no_inline)]
pub use session_sql as sql;
#[cfg(feature = "tower")]
#[doc(no_inline)]
pub use session_tower as tower;
#[cfg(feature = "axum")]
#[doc(no_inline)]
pub use session_tower as axum;
