//! Session libraries, one module each.

mod actix;
mod axum;
mod ours;
mod php;
mod ruts;
mod tower;

pub(crate) use self::{
    actix::Actix,
    axum::Axum,
    ours::Ours,
    php::Php,
    ruts::Ruts,
    tower::{core_014, core_015},
};
