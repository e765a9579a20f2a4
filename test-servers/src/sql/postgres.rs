//! How PostgreSQL is started and spoken to.

use std::{fs, path::Path};

use nix::unistd::{User, geteuid};

use crate::{
    Error, Result,
    sql::{
        ADMINISTRATOR, ADMINISTRATOR_PASSWORD, APPLICATION, APPLICATION_PASSWORD, Certificates,
        Options,
    },
};

/// Who runs it in place of root, which it refuses.
pub(crate) const USER: &str = "postgres";

/// A segment of shared memory outlives a server that was killed; its id is on the seventh line.
pub(crate) const FAREWELL: &str = "\
segment=$(sed -n '7s/.* //p' data/postmaster.pid 2>/dev/null) && [ -n \"$segment\" ] && \
ipcrm --shmem-id \"$segment\" 2>/dev/null; :";

/// Begins the line of a statement in the log.
pub(crate) const LOG_PREFIX: &str = "user=%u ";

const HBA: &str = "hba.conf";

/// Who must run it, where it is not ourselves.
pub(crate) fn substitute() -> Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let user = User::from_name(USER).map_err(|error| Error::new(error.to_string()))?;
    user.map(Some).ok_or_else(|| Error::new("PostgreSQL refuses root, and no user is `postgres`"))
}

/// The command that runs something as another user.
pub(crate) fn run_as(user: &User) -> [String; 3] {
    [format!("--reuid={}", user.uid), format!("--regid={}", user.gid), "--clear-groups".to_owned()]
}

/// What makes a data directory.
pub(crate) fn initialize(data: &Path) -> Vec<String> {
    ["--no-sync", "--auth=trust", "--locale=C", "--encoding=UTF8", "--username", ADMINISTRATOR]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("--pgdata={}", data.display())])
        .collect()
}

/// The server's arguments, without what the test wants.
pub(crate) fn serve(
    options: &Options,
    directory: &Path,
    port: u16,
    certificates: Option<&Certificates>,
) -> Result<Vec<String>> {
    let host = if certificates.is_some() { "hostssl" } else { "host" };
    let hba = directory.join(HBA);
    fs::write(&hba, format!("local all all trust\n{host} all all 127.0.0.1/32 scram-sha-256\n"))?;
    let place = directory.display().to_string();
    let mut arguments = ["-D", "data", "-k", &place, "-h", "127.0.0.1", "-p", &port.to_string()]
        .map(str::to_owned)
        .to_vec();
    let settings = [
        ("hba_file", hba.display().to_string()),
        ("log_line_prefix", LOG_PREFIX.to_owned()),
        ("log_statement", "all".to_owned()),
        ("log_parameter_max_length", "0".to_owned()),
        // In its directory, and gone with it.
        ("dynamic_shared_memory_type", "mmap".to_owned()),
        ("fsync", if options.durable { "on" } else { "off" }.to_owned()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value));
    arguments.extend(settings.iter().chain(&tls(certificates)).flat_map(argument));
    Ok(arguments)
}

/// A setting, as an argument.
pub(crate) fn argument((name, value): &(String, String)) -> [String; 2] {
    ["-c".to_owned(), format!("{name}={value}")]
}

fn tls(certificates: Option<&Certificates>) -> Vec<(String, String)> {
    let Some(certificates) = certificates else { return Vec::new() };
    let files = [("ssl_cert_file", &certificates.certificate), ("ssl_key_file", &certificates.key)];
    let files = files.map(|(name, file)| (name.to_owned(), file.display().to_string()));
    files.into_iter().chain([("ssl".to_owned(), "on".to_owned())]).collect()
}

/// The client's arguments. It prints values as they are, and no names.
pub(crate) fn client(directory: &Path, port: u16, user: &str, database: &str) -> Vec<String> {
    let fixed = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-F", "\t", "-U", user];
    let place = ["-d", database, "-h", &directory.display().to_string(), "-p", &port.to_string()]
        .map(str::to_owned);
    fixed.map(str::to_owned).into_iter().chain(place).collect()
}

/// The users and the first database.
pub(crate) fn bootstrap() -> String {
    format!(
        "ALTER ROLE {ADMINISTRATOR} PASSWORD '{ADMINISTRATOR_PASSWORD}';
         CREATE ROLE {APPLICATION} LOGIN PASSWORD '{APPLICATION_PASSWORD}';
         {}",
        create_database(APPLICATION)
    )
}

/// A database of the application's, in which it has all rights, as it has in MySQL.
pub(crate) fn create_database(name: &str) -> String {
    let grant = "ALTER DEFAULT PRIVILEGES GRANT ALL ON";
    format!(
        "CREATE DATABASE \"{name}\" OWNER {APPLICATION};
\\connect \"{name}\"
{grant} TABLES TO {APPLICATION}; {grant} SEQUENCES TO {APPLICATION};"
    )
}
