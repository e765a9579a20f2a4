//! A fleet of shops behind a load balancer that knows no stickiness, and users who notice whatever
//! goes wrong with their sessions.
//!
//! Each instance is a process of its own, of `examples/axum` and `examples/actix` by turns; the
//! balancer is a real HAProxy. [`Fleet`] starts and breaks them, [`Drive`] has two hundred users
//! click meanwhile, [`Stories`] says what must come of it: on a shared store nobody notices
//! anything; on stores of their own users are logged out, which proves that they would notice.
//! [`serve`] is the page to look at it all.

mod diagnosis;
mod drive;
mod fleet;
mod pace;
mod page;
mod plan;
mod stories;
mod tally;
mod user;

pub use drive::Drive;
pub use fleet::{Fleet, Framework, NAMES, Settings, State, View};
pub use page::{PATH, serve};
pub use plan::Plan;
pub use stories::{Stories, shared_store};
pub use tally::Tally;
