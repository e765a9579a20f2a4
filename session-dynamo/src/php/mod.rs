//! Sessions as the AWS SDK for PHP keeps them, in the same table at the same time.
//!
//! What is stored and how it is locked is the choice of `Aws\DynamoDb\SessionHandler`;
//! `docs/php/dynamodb.md` tells it, with what this side promises and what it cannot.

mod change;
mod item;
mod layout;
mod lock;
mod store;

pub use layout::{PhpData, PhpLayout, PhpLock};
pub use store::PhpStore;
