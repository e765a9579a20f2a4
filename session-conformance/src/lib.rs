#![doc = include_str!("../README.md")]

mod backend;
pub mod broken;
mod case;
pub mod cases;
mod client;
mod context;
mod layered;
mod memory;
mod not_here;
mod outcome;
#[cfg(test)]
mod proof;
mod report;
mod run;
mod server;
mod suite;
mod together;
mod wire;

pub use backend::{
    Backend, Damage, Layout, MovableClock, Namespace, RawAccess, SingleConnectionOpen, Skew,
    SkewedOpen, WriteCounter,
};
pub use case::{Case, Need};
pub use layered::Layered;
pub use memory::MemoryBackend;
pub use not_here::NOT_HERE;
pub use outcome::Verdict;
pub use run::{HANG_BOUND, run_case};
pub use suite::Suite;
