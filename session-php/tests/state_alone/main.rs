//! The state machine without PHP: over a store, and beside what PHP once did.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

mod captured;
mod evidence;
mod settings;
mod stored;
mod versions;
