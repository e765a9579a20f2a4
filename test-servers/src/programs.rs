//! Where the servers' programs are.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, Result};

/// Where a program is: in the folder that `variable` names, if it is set, else on the path.
///
/// The error is the reason why tests that need it are ignored.
pub(crate) fn find(program: &str, variable: &str) -> Result<PathBuf> {
    let folders = env::var_os(variable).filter(|folder| !folder.is_empty());
    let found = |list| env::split_paths(&list).map(|f| f.join(program)).find(|file| file.is_file());
    match folders {
        Some(folder) => found(folder)
            .ok_or_else(|| Error::new(format!("{program} is not in the folder of {variable}"))),
        None => env::var_os("PATH").and_then(found).ok_or_else(|| {
            Error::new(format!("{program} is not installed; `cargo xtask setup` installs it"))
        }),
    }
}

/// What a program prints when it is asked for its version.
pub(crate) fn version(program: &Path) -> Result<String> {
    let output = Command::new(program).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
