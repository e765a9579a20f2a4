//! Sessions as PHP's extension phpredis keeps them, on the same servers at the same time.
//!
//! What is stored, how it is locked and which server has it is phpredis' choice (`save_handler` `redis` and
//! `rediscluster`); `docs/php/redis.md` tells it, with what this side promises and what it cannot.

mod layout;
mod lock;
mod reply;
mod scripts;
mod store;

pub use layout::{PhpLayout, PhpLock, PhpServer};
pub use store::PhpStore;
