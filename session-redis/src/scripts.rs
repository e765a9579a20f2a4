//! The scripts that compare and write in one step on the server.

use crate::link::Script;

/// How a script answers: a number first, then what belongs to it.
pub(crate) mod code {
    pub(crate) const OK: i64 = 0;
    pub(crate) const NOT_FOUND: i64 = 1;
    pub(crate) const CONFLICT: i64 = 2;
    pub(crate) const HELD: i64 = 3;
    pub(crate) const LOST: i64 = 4;
    pub(crate) const EXISTS: i64 = 5;
    pub(crate) const CORRUPT: i64 = 6;
}

/// All scripts of the store.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) create: Script,
    pub(crate) save: Script,
    pub(crate) swap: Script,
    pub(crate) touch: Script,
    pub(crate) delete: Script,
    pub(crate) lock: Script,
    pub(crate) renew: Script,
    pub(crate) release: Script,
    pub(crate) enlist: Script,
    pub(crate) bump: Script,
}

/// What scripts depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    /// Messages are sent on sharded channels.
    pub(crate) sharded: bool,
    /// Scripts may say that they do not need memory.
    pub(crate) flags: bool,
    /// Commits wait for replicas.
    pub(crate) waits: bool,
}

/// The text of a script of the crate's file, with what all of them begin with.
macro_rules! script {
    ($common:literal, $name:literal) => {
        concat!(
            include_str!(concat!("scripts/", $common, ".lua")),
            include_str!(concat!("scripts/", $name, ".lua"))
        )
    };
}
#[cfg(feature = "php")]
pub(crate) use script;

impl Dialect {
    pub(crate) fn script(self, text: &str) -> Script {
        let publish = if self.sharded { "'SPUBLISH'" } else { "'PUBLISH'" };
        let waits = if self.waits { "WAITS = true" } else { "WAITS = false" };
        Script::new(&text.replace("'PUBLISH'", publish).replace("WAITS = false", waits))
    }

    /// A script that runs on a server whose memory is full: it writes no more than what is there
    /// already.
    pub(crate) fn frugal(self, text: &str) -> Script {
        let flags = if self.flags { "#!lua flags=allow-oom\n" } else { "" };
        self.script(&format!("{flags}{text}"))
    }
}

impl Scripts {
    /// The scripts for such servers.
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            create: dialect.script(script!("constants", "create")),
            save: dialect.script(script!("constants", "save")),
            swap: dialect.script(include_str!("scripts/swap.lua")),
            touch: dialect.frugal(script!("constants", "touch")),
            delete: dialect.frugal(script!("constants", "delete")),
            lock: dialect.frugal(script!("constants", "lock")),
            renew: dialect.frugal(script!("constants", "renew")),
            release: dialect.frugal(script!("constants", "release")),
            enlist: dialect.script(script!("constants", "enlist")),
            bump: dialect.frugal(script!("constants", "bump")),
        }
    }
}
