//! The measuring core: knows no store and no server.

pub(crate) mod cpu;
mod phase;
mod sample;
mod work;

pub(crate) use self::{
    phase::Plan,
    sample::{Sample, median, percentile},
    work::{Contender, Operation, Role, Share, Work},
};

/// What may go wrong in any store.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T> = std::result::Result<T, Error>;
