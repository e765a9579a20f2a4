//! Where the servers' programs are.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{self, PathBuf},
    process::Command,
};

use crate::{Error, Result};

/// Where a program is that can be run by its name. A user's path often lacks the folder of the
/// servers.
///
/// The error is the reason why tests that need it are ignored.
pub(crate) fn find(program: &str) -> Result<PathBuf> {
    let mut folders = env::var_os("PATH").unwrap_or_default();
    folders.push(":/usr/sbin");
    first(&folders, program).ok_or_else(|| missing(program))
}

/// Where a program is: in the folder that `variable` names, if it is set, else as [`find`].
pub(crate) fn find_at(variable: &str, program: &str) -> Result<PathBuf> {
    find_or(variable, program, find)
}

/// Where a program is: in the folder that `variable` names, if it is set, else where `otherwise`
/// says.
pub(crate) fn find_or(
    variable: &str,
    program: &str,
    otherwise: impl FnOnce(&str) -> Result<PathBuf>,
) -> Result<PathBuf> {
    match env::var_os(variable).filter(|folder| !folder.is_empty()) {
        Some(folder) => first(&folder, program)
            .ok_or_else(|| Error::new(format!("{program} is not in the folder of {variable}"))),
        None => otherwise(program),
    }
}

/// That a program is not there, and how to get it.
pub(crate) fn missing(program: &str) -> Error {
    Error::new(format!("{program} is not installed; `cargo xtask setup` installs it"))
}

/// Where `cargo xtask setup` puts what it fetches into a folder of this name, or why it could not,
/// in `reason` there.
pub(crate) fn fetched(folder: &str, program: &str) -> Result<PathBuf> {
    let folders = targets().into_iter().map(|target| target.join("servers").join(folder));
    let folders: Vec<PathBuf> = folders.collect();
    let files = folders.iter().map(|folder| folder.join("bin").join(program));
    let mut reasons = folders.iter().map(|folder| fs::read_to_string(folder.join("reason")));
    files.into_iter().find(|file| file.is_file()).ok_or_else(|| {
        match reasons.find_map(|it| it.ok()) {
            Some(reason) => Error::new(format!("{program} is not there: {}", reason.trim())),
            None => missing(program),
        }
    })
}

/// The folders that cargo builds into: of this program, and of this workspace.
pub(crate) fn targets() -> Vec<PathBuf> {
    let program = env::current_exe().unwrap_or_default();
    let own = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).with_file_name("target");
    own.map(PathBuf::from).into_iter().chain([workspace]).collect()
}

/// The first that there is, as a path that holds in every working directory.
fn first(folders: &OsStr, program: &str) -> Option<PathBuf> {
    let files = env::split_paths(folders).map(|folder| folder.join(program));
    files.into_iter().find(|file| file.is_file()).and_then(|file| path::absolute(file).ok())
}

/// What a program prints when it is asked for its version.
pub(crate) fn version(program: &path::Path) -> Result<String> {
    let output = Command::new(program).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_or_the_reason_says_how_to_get_it() {
        assert!(find("sh").unwrap().is_absolute());
        let reason = find("no-such-server").unwrap_err().to_string();
        assert_eq!(reason, "no-such-server is not installed; `cargo xtask setup` installs it");
        assert!(find_at("SESSION_NO_SUCH_BIN", "sh").is_ok());
    }

    #[test]
    fn a_folder_that_is_named_is_the_only_one() {
        assert!(first(OsStr::new("src"), "lib.rs").unwrap().is_absolute());
        assert!(first(OsStr::new("src"), "sh").is_none());
    }
}
