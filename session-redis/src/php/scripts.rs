//! The scripts that compare and write in one step on the server.

use crate::{link::Script, scripts::Dialect};

/// All scripts of the layout.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) create: Script,
    pub(super) save: Script,
    pub(super) touch: Script,
    pub(super) delete: Script,
    pub(super) lock: Script,
    pub(super) renew: Script,
    pub(super) release: Script,
}

macro_rules! script {
    ($name:literal) => {
        concat!(
            include_str!("scripts/common.lua"),
            include_str!(concat!("scripts/", $name, ".lua"))
        )
    };
}

impl Scripts {
    /// The scripts for such servers.
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            create: dialect.script(script!("create")),
            save: dialect.script(script!("save")),
            touch: dialect.frugal(script!("touch")),
            delete: dialect.frugal(script!("delete")),
            lock: dialect.frugal(script!("lock")),
            renew: dialect.frugal(script!("renew")),
            release: dialect.frugal(script!("release")),
        }
    }
}
