//! PHP's sessions as PHP runs them: the functions `session_start`, `session_write_close` and so on,
//! the calls of the save handler that they make, what they warn of, and the headers that they send.
//!
//! [`PhpSession`] is one request's session. It runs over a [`SaveHandler`], which has PHP's slots;
//! [`StoreHandler`] is the one over any store of the family.

mod end;
mod handler;
mod headers;
mod id;
mod machine;
mod problem;
mod request;
mod rotate;
mod start;
mod store;

pub use handler::{HandlerName, SaveHandler, Slots};
pub use id::{PhpId, Random, SystemRandom, create_id};
pub use machine::{PhpSession, Status, Undecodable};
pub use problem::{
    Deprecation, Diagnostic, Failure, Function, Level, Locked, Outcome, Problem, Returned, Storage,
};
pub use request::Request;
pub use start::StartOptions;
pub use store::{StoreHandler, StoreOptions};
