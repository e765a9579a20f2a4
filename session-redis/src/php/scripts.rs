//! The scripts that compare and write in one step on the server.

use crate::{
    link::Script,
    scripts::{Dialect, script},
};

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

impl Scripts {
    /// The scripts for such servers.
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            create: dialect.script(script!("common", "create")),
            save: dialect.script(script!("common", "save")),
            touch: dialect.frugal(script!("common", "touch")),
            delete: dialect.frugal(script!("common", "delete")),
            lock: dialect.frugal(script!("common", "lock")),
            renew: dialect.frugal(script!("common", "renew")),
            release: dialect.frugal(script!("common", "release")),
        }
    }
}
