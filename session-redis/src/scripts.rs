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
    pub(crate) touch: Script,
    pub(crate) delete: Script,
    pub(crate) lock: Script,
    pub(crate) renew: Script,
    pub(crate) release: Script,
    pub(crate) enlist: Script,
    pub(crate) bump: Script,
}

macro_rules! script {
    ($name:literal, $publish:expr) => {{
        let text = concat!(
            include_str!("scripts/constants.lua"),
            include_str!(concat!("scripts/", $name, ".lua"))
        );
        Script::new(&text.replace("'PUBLISH'", $publish))
    }};
}

impl Scripts {
    /// The scripts for a server that has sharded channels, or has not.
    pub(crate) fn new(sharded: bool) -> Self {
        let publish = if sharded { "'SPUBLISH'" } else { "'PUBLISH'" };
        Self {
            create: script!("create", publish),
            save: script!("save", publish),
            touch: script!("touch", publish),
            delete: script!("delete", publish),
            lock: script!("lock", publish),
            renew: script!("renew", publish),
            release: script!("release", publish),
            enlist: script!("enlist", publish),
            bump: script!("bump", publish),
        }
    }
}
