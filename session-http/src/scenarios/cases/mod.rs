//! The scenarios.

mod commit;
mod cookie;
mod failure;
mod identity;
mod life;

pub use commit::*;
pub use cookie::*;
pub use failure::*;
pub use identity::*;
pub use life::*;
