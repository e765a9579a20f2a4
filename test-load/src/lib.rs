//! Load for tests that break servers: clients that change sessions in every way and take note of what
//! they are told, and the check whether all of it fits together.
//!
//! It knows the contract only. The choices follow from a seed, which `SESSION_FAULT_SEED` replaces.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::exhaustive_structs,
    reason = "a part of tests, in which a panic is the report"
)]

mod history;
mod load;
mod notes;
mod support;

pub use history::{History, Tally};
pub use load::{Load, Plan};
pub use support::*;
