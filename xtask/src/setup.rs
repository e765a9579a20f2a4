//! Installs what the tests need, and only what is missing.

use std::{
    fs,
    io::{self, IsTerminal},
    process::{Command, Stdio},
    thread,
};

use crate::{counts::Outcome, deny, fetch, process, workspace::Workspace};

/// The browser's names; the first is Debian's.
const BROWSERS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// Programs (any one of them is enough) and the Debian packages that bring them. Without a font a
/// page has no visible text.
const PROGRAMS: &[(&[&str], &[&str])] = &[
    (BROWSERS, &["chromium", "fonts-liberation"]),
    (&["chromedriver"], &["chromium-driver"]),
    (&["curl"], &["curl"]),
    (&["faketime"], &["faketime"]),
    (&["haproxy"], &["haproxy"]),
    (&["java"], &["default-jre-headless"]),
    (&["npm"], &["npm"]),
    (&["openssl"], &["openssl"]),
    (&["memcached"], &["memcached"]),
    (&["redis-server"], &["redis-server"]),
    (&["redis-cli"], &["redis-tools"]),
    (&["valkey-server"], &["valkey-server"]),
    (&["valkey-cli"], &["valkey-tools"]),
    (&["mariadb-install-db"], &["mariadb-server-core"]),
    (&["mariadb"], &["mariadb-client-core"]),
    (&["php"], &["php-cli"]),
    (&["igbinary.so"], &["php-igbinary"]),
    (&["memcached.so"], &["php-memcached"]),
    (&["msgpack.so"], &["php-msgpack"]),
    (&["pdo_mysql.so"], &["php-mysql"]),
    (&["pdo_pgsql.so"], &["php-pgsql"]),
    (&["pdo_sqlite.so"], &["php-sqlite3"]),
    (&["redis.so"], &["php-redis"]),
    (&["Symfony/Component/HttpFoundation/autoload.php"], &["php-symfony-http-foundation"]),
    (&["postgres"], &["postgresql"]),
    (&["linux.uml"], &["user-mode-linux"]),
    (&["rpc.nfsd"], &["nfs-kernel-server"]),
    (&["mount.nfs"], &["nfs-common"]),
    (&["rpcbind"], &["rpcbind"]),
    (&["modprobe"], &["kmod"]),
    (&["ip"], &["iproute2"]),
    (&["nsenter"], &["util-linux"]),
    (&["mkfs.ext4"], &["e2fsprogs"]),
];

/// Installs everything. What cannot be installed is noted; whether that is a failure is for the
/// step that needs it to say.
pub(crate) fn run(workspace: &Workspace) -> Outcome {
    let mut outcome = Outcome::default();
    let (packages, tools) = thread::scope(|scope| {
        let packages = scope.spawn(|| (debian_packages(), fetch::needed(workspace)));
        let tools = deny::install(workspace).and_then(|()| components());
        (packages.join(), tools)
    });
    let interrupted = |_| (Err(io::Error::other("interrupted")), Ok(()));
    let (packages, fetched) = packages.unwrap_or_else(interrupted);
    let errors = [packages, fetched, tools].into_iter().filter_map(Result::err);
    outcome.notes.extend(errors.map(|error| error.to_string()));
    outcome
}

fn debian_packages() -> io::Result<()> {
    let missing = missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing {}", missing.join(" "));
    if let Some(mut command) = as_root().filter(|_| process::find("apt-get").is_some()) {
        command.args(["sh", "-c", include_str!("install.sh"), "install"]).args(&missing);
        process::run(&mut command)?;
    }
    match missing_packages().join(" ") {
        none if none.is_empty() => Ok(()),
        list => Err(io::Error::other(format!("not installed; as root: apt-get install {list}"))),
    }
}

/// The packages of the programs that are not there.
fn missing_packages() -> Vec<&'static str> {
    PROGRAMS
        .iter()
        .filter(|(programs, _)| !programs.iter().any(|program| is_there(program)))
        .flat_map(|(_, packages)| packages.iter().copied())
        .collect()
}

/// Debian keeps the programs of PostgreSQL and the extensions of PHP in a folder for each version,
/// what is written in PHP in one folder for all, and HAProxy in one that a user's path often lacks.
fn is_there(program: &str) -> bool {
    let versions = |folder| fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = versions("/usr/lib/postgresql").map(|version| version.path().join("bin"));
    let extensions = versions("/usr/lib/php").map(|version| version.path());
    let mut folders =
        folders.chain(extensions).chain(["/usr/sbin", "/usr/share/php"].map(Into::into));
    process::find(program).is_some() || folders.any(|folder| folder.join(program).is_file())
}

/// A command that runs its arguments as root, without asking for a password when nobody is there.
fn as_root() -> Option<Command> {
    let id = Command::new("id").arg("-u").output().ok()?;
    if id.stdout.starts_with(b"0\n") {
        return Some(Command::new("env"));
    }
    let mut sudo = Command::new(process::find("sudo")?);
    if process::unattended() || !io::stdin().is_terminal() {
        sudo.arg("-n");
    }
    Some(sudo)
}

/// Adds rustfmt and clippy where rustup left them out.
fn components() -> io::Result<()> {
    let there = |name: &str| {
        let mut command = Command::new(process::cargo());
        command.args([name, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if there("fmt") && there("clippy") {
        return Ok(());
    }
    let added =
        process::run(process::command("rustup").args(["component", "add", "rustfmt", "clippy"]))?;
    if added.success { Ok(()) } else { Err(io::Error::other("rustfmt and clippy are missing")) }
}
