//! Sessions that Symfony's `PdoSessionHandler` keeps as well, at the same time.
//!
//! A session is a row of Symfony's table, under the id itself, with the second until which it lives.
//! Whoever works at it holds the row's lock in a transaction (Symfony's default), or a lock of the
//! server that is named after the id, for as long as the page takes: on a connection of its own.
//!
//! What such a store promises, and what not, is in its
//! [capabilities](session_core::SessionStore::capabilities). A session without data is no session
//! in this layout: what is saved without a payload is removed, as Symfony does it.

mod commit;
mod hold;
mod layout;
mod locks;
mod own;
mod row;
mod statements;
mod store;

pub use layout::{PhpLayout, PhpLock};
pub use store::PhpStore;
