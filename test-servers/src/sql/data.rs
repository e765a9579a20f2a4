//! Data directories, of which making one takes longer than copying it.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::unistd::{User, geteuid};
use tempfile::TempDir;
use tokio::{process::Command, sync::Mutex};

use crate::{
    Error, Result, directory,
    process::Process,
    programs,
    sql::{Flavor, mysql, postgres},
    until,
};

/// A machine that is busy takes no longer.
const LIMIT: Duration = Duration::from_secs(120);

/// The folder of the data in a server's directory.
pub(crate) const DATA: &str = "data";

/// A new directory for a server, with the data that a fresh server has.
pub(crate) async fn directory(flavor: Flavor) -> Result<TempDir> {
    let template = template(flavor).await?;
    let directory = directory::fresh()?;
    hand_over(flavor, directory.path())?;
    copy(&template, &directory.path().join(DATA)).await?;
    Ok(directory)
}

/// Gives a file to whom the server runs as.
pub(crate) fn hand_over(flavor: Flavor, file: &Path) -> Result<()> {
    match runs_as(flavor)? {
        Some(user) => Ok(chown(file, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?),
        None => Ok(()),
    }
}

/// The program and its arguments, run by whom the server runs as.
pub(crate) fn command(
    flavor: Flavor,
    program: PathBuf,
    arguments: Vec<String>,
) -> Result<(PathBuf, Vec<String>)> {
    let Some(user) = runs_as(flavor)? else { return Ok((program, arguments)) };
    let mut all = postgres::run_as(&user).to_vec();
    all.push(program.display().to_string());
    all.extend(arguments);
    Ok((programs::find("setpriv")?, all))
}

fn runs_as(flavor: Flavor) -> Result<Option<User>> {
    if flavor == Flavor::Postgres { postgres::substitute() } else { Ok(None) }
}

/// Made once, and kept in the target folder.
async fn template(flavor: Flavor) -> Result<PathBuf> {
    static MAKING: Mutex<()> = Mutex::const_new(());
    let name = format!("{}-{}-{}", flavor.name(), flavor.version()?, geteuid());
    let target = programs::targets().into_iter().next().unwrap_or_default();
    let template = target.join("servers/data").join(name);
    let _making = MAKING.lock().await;
    if !template.exists() {
        make(flavor, &template).await?;
    }
    Ok(template)
}

/// Another process may do the same: the first to finish has it.
async fn make(flavor: Flavor, template: &Path) -> Result<()> {
    let made = initialized(flavor).await?;
    let parent = template.parent().unwrap_or(template);
    fs::create_dir_all(parent)?;
    let copied = tempfile::Builder::new().prefix("making-").tempdir_in(parent)?;
    let copied = copied.path().join(DATA);
    copy(&made.path().join(DATA), &copied).await?;
    match fs::rename(&copied, template) {
        Err(error) if !template.exists() => Err(error.into()),
        _ => Ok(()),
    }
}

async fn initialized(flavor: Flavor) -> Result<TempDir> {
    let directory = directory::fresh()?;
    hand_over(flavor, directory.path())?;
    let data = directory.path().join(DATA);
    let arguments = match flavor {
        Flavor::Postgres => postgres::initialize(&data),
        _ => mysql::initialize(flavor, &data),
    };
    let (program, arguments) = command(flavor, flavor.initializer()?, arguments)?;
    let process = Process::spawn(&program, &arguments, &directory)?;
    let ended = || async { Ok(process.has_ended().then_some(())) };
    until("end of the initialization", LIMIT, ended).await?;
    if process.has_succeeded() {
        return Ok(directory);
    }
    Err(Error::of_start("no data directory", &process.log()))
}

/// With owners and rights.
async fn copy(from: &Path, to: &Path) -> Result<()> {
    let output = Command::new("cp").arg("-a").arg(from).arg(to).output().await?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::new(format!("cp: {}", String::from_utf8_lossy(&output.stderr))))
}
