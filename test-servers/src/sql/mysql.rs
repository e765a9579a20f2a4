//! How MySQL and MariaDB are started and spoken to.

use std::path::Path;

use nix::unistd::geteuid;

use crate::sql::{
    ADMINISTRATOR, ADMINISTRATOR_PASSWORD, APPLICATION, APPLICATION_PASSWORD, Certificates, Flavor,
    Options,
};

/// Small files, which are quick to copy, and no waiting for the disk.
const QUICK: &[&str] = &["--innodb-flush-method=nosync"];
const SMALL_MARIADB: &[&str] = &["--innodb-log-file-size=16M", "--aria-log-file-size=8M"];
const SMALL_MYSQL: &[&str] = &["--innodb-redo-log-capacity=32M", "--performance-schema=OFF"];
const FILES: &str = "--secure-file-priv=";

/// What makes a data directory.
pub(crate) fn initialize(flavor: Flavor, data: &Path) -> Vec<String> {
    let mut arguments = vec!["--no-defaults".to_owned(), format!("--datadir={}", data.display())];
    arguments.extend(as_root());
    arguments.extend(data.parent().map(own_place));
    let own: &[&str] = match flavor {
        Flavor::MySql => &["--initialize-insecure", FILES],
        _ => &["--auth-root-authentication-method=normal", "--skip-test-db"],
    };
    arguments.extend(own.iter().chain(QUICK).chain(small(flavor)).map(|&text| text.to_owned()));
    arguments
}

/// The server's arguments, without what the test wants.
pub(crate) fn serve(
    options: &Options,
    directory: &Path,
    port: u16,
    certificates: Option<&Certificates>,
) -> Vec<String> {
    let place = |name: &str, file: &str| format!("--{name}={}", directory.join(file).display());
    let mut arguments = vec!["--no-defaults".to_owned(), place("datadir", "data")];
    arguments.extend(as_root());
    arguments.extend([
        place("socket", SOCKET),
        place("pid-file", "pid"),
        format!("--port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--skip-name-resolve".to_owned(),
        "--skip-log-bin".to_owned(),
        own_place(directory),
    ]);
    arguments.extend(small(options.flavor).iter().map(|&text| text.to_owned()));
    if options.flavor == Flavor::MySql {
        arguments.extend(["--mysqlx=OFF", FILES].map(str::to_owned));
    }
    let commit = if options.durable { "1" } else { "2" };
    arguments.push(format!("--innodb-flush-log-at-trx-commit={commit}"));
    if !options.durable {
        arguments.extend(QUICK.iter().map(|&text| text.to_owned()));
    }
    arguments.extend(certificates.into_iter().flat_map(tls));
    arguments
}

/// A server that starts removes what it takes for remains of temporary tables from there, those of
/// others too.
fn own_place(directory: &Path) -> String {
    format!("--tmpdir={}", directory.display())
}

/// A setting, as an argument.
pub(crate) fn argument((name, value): &(String, String)) -> String {
    format!("--{name}={value}")
}

fn small(flavor: Flavor) -> &'static [&'static str] {
    if flavor == Flavor::MySql { SMALL_MYSQL } else { SMALL_MARIADB }
}

fn as_root() -> Option<String> {
    geteuid().is_root().then(|| "--user=root".to_owned())
}

fn tls(certificates: &Certificates) -> [String; 4] {
    [
        format!("--ssl-ca={}", certificates.authority.display()),
        format!("--ssl-cert={}", certificates.certificate.display()),
        format!("--ssl-key={}", certificates.key.display()),
        "--require-secure-transport=ON".to_owned(),
    ]
}

/// The Unix socket, in the server's directory.
pub(crate) const SOCKET: &str = "socket";

/// The client's arguments. It prints values as they are, and no names.
pub(crate) fn client(directory: &Path, user: &str, database: &str) -> Vec<String> {
    ["--no-defaults", "--batch", "--raw", "--skip-column-names", "--database", database, "--user"]
        .map(str::to_owned)
        .into_iter()
        .chain([user.to_owned(), format!("--socket={}", directory.join(SOCKET).display())])
        .collect()
}

/// The users and the first database.
pub(crate) fn bootstrap() -> String {
    format!(
        "CREATE USER '{ADMINISTRATOR}'@'%' IDENTIFIED BY '{ADMINISTRATOR_PASSWORD}';
         GRANT ALL ON *.* TO '{ADMINISTRATOR}'@'%' WITH GRANT OPTION;
         CREATE USER '{APPLICATION}'@'%' IDENTIFIED BY '{APPLICATION_PASSWORD}';
         {}",
        create_database(APPLICATION)
    )
}

/// A database of the application's.
pub(crate) fn create_database(name: &str) -> String {
    format!("CREATE DATABASE `{name}`; GRANT ALL ON `{name}`.* TO '{APPLICATION}'@'%';")
}
