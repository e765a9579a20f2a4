//! Sessions as PHP's extension memcached keeps them, on the same servers at the same time.
//!
//! What is stored, how it is locked and which server has it is the choice of php-memcached and of
//! libmemcached; `docs/php/memcached.md` tells it, with what this side promises and what it cannot.

mod guard;
mod items;
mod layout;
mod lock;
mod store;

pub use layout::{PhpLayout, PhpLock};
pub use store::PhpStore;
