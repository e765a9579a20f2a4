//! The scenarios.

mod commit;
mod cookie;
mod failure;
mod header;
mod identity;
mod life;
mod pages;
mod routes;
mod signing;

pub use commit::*;
pub use cookie::*;
pub use failure::*;
pub use header::*;
pub use identity::*;
pub use life::*;
pub use pages::*;
pub use routes::*;
pub use signing::*;
