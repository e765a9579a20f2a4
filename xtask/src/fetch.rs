//! Fetches newer servers than those of the machine's Debian release, beside them.

use std::{io, path::Path};

use crate::{process, workspace::Workspace};

/// Where the newest versions are. It moves: what was fetched says what it is.
const SUITE: &str = "sid";
const PACKAGES: &[&str] = &["redis-server", "redis-tools", "valkey-server", "valkey-tools"];

/// Unpacks them into the target folder, and says how to have them tested.
pub(crate) fn run() -> io::Result<bool> {
    let folder = Workspace::read()?.target.join("servers");
    println!("fetching {} of Debian {SUITE} into {}", PACKAGES.join(" "), folder.display());
    let mut command = process::command("sh");
    command.args(["-c", include_str!("fetch.sh"), "fetch", SUITE]).arg(&folder).args(PACKAGES);
    if !process::run(&mut command)?.success {
        return Ok(false);
    }
    say_how(&folder.join("bin"))
}

fn say_how(programs: &Path) -> io::Result<bool> {
    let mut fine = true;
    for name in ["redis-server", "valkey-server"] {
        fine &= process::run(process::command(programs.join(name)).arg("--version"))?.success;
    }
    println!("to test with them:");
    for variable in ["SESSION_REDIS_BIN", "SESSION_VALKEY_BIN"] {
        println!("export {variable}={}", programs.display());
    }
    Ok(fine)
}
