#![cfg_attr(
    all(
        doc,
        not(all(
            feature = "encryption",
            feature = "migrating",
            feature = "observe",
            feature = "sweeper"
        ))
    ),
    expect(rustdoc::broken_intra_doc_links, reason = "the page names every layer")
)]
#![doc = include_str!("../README.md")]

#[cfg(feature = "encryption")]
mod encryption;
#[cfg(feature = "migrating")]
mod migrating;
#[cfg(feature = "observe")]
mod observe;
mod readiness;
#[cfg(feature = "sweeper")]
mod sweeper;

#[cfg(feature = "encryption")]
pub use encryption::{Encrypted, EncryptionKey, KeyId, KeyRing};
#[cfg(feature = "migrating")]
pub use migrating::{Carried, Migrating, Phase};
#[cfg(feature = "observe")]
pub use observe::{Observed, describe_metrics};
pub use readiness::{Health, Readiness};
#[cfg(feature = "sweeper")]
pub use sweeper::{Sweeper, SweeperBuilder, SweeperStatus};
