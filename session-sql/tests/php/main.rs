//! Symfony's PDO handler and our store at the same sessions.

use std::{process::ExitCode, sync::Arc, time::Duration};

use async_trait::async_trait;
use session_core::SessionStore;
use session_sql::{
    SqlConfig,
    php::{PhpLayout, PhpLock, PhpStore},
};
use tempfile::TempDir;
use test_php::{Layout, Lock, Php, Place, Promises, Result};
use test_servers::{
    php,
    sql::{Flavor, Server},
};
use tokio::process::Command;

/// Where Debian has Symfony's component.
const SYMFONY: &str = "/usr/share/php/Symfony/Component/HttpFoundation/autoload.php";

fn main() -> ExitCode {
    let (maria, postgres) = (Some(Flavor::MariaDb), Some(Flavor::Postgres));
    let on = |name, flavor, lock| -> Arc<dyn Layout> { Arc::new(Pdo { name, flavor, lock }) };
    let layouts = vec![
        on("pdo-mariadb", maria, PhpLock::Transactional),
        on("pdo-mariadb-advisory", maria, PhpLock::Advisory),
        on("pdo-mariadb-unlocked", maria, PhpLock::None),
        on("pdo-postgres", postgres, PhpLock::Transactional),
        on("pdo-postgres-advisory", postgres, PhpLock::Advisory),
        on("pdo-sqlite", None, PhpLock::Transactional),
    ];
    test_php::main(|place| Box::pin(open(place)), layouts)
}

/// A place is Symfony's number of the lock mode, and a URL.
async fn open(place: String) -> Result<Arc<dyn SessionStore>> {
    let (lock, url) = place.split_once(' ').ok_or("no lock mode")?;
    let lock = match lock {
        "0" => PhpLock::None,
        "1" => PhpLock::Advisory,
        _ => PhpLock::Transactional,
    };
    Ok(Arc::new(PhpStore::open(layout(url, lock)?).await?))
}

fn layout(url: &str, lock: PhpLock) -> Result<PhpLayout> {
    let mut config = SqlConfig::from_url(url)?;
    // A machine may be busy.
    config.connect_timeout = Duration::from_secs(60);
    config.response_timeout = Duration::from_secs(60);
    config.timeout = Duration::from_secs(120);
    Ok(PhpLayout::new(config).with_lock(lock))
}

#[derive(Debug)]
struct Pdo {
    name: &'static str,
    /// None on SQLite.
    flavor: Option<Flavor>,
    lock: PhpLock,
}

#[async_trait]
impl Layout for Pdo {
    fn name(&self) -> &str {
        self.name
    }

    fn words(&self) -> &'static [&'static str] {
        &["php", "sql", "pdo"]
    }

    fn missing(&self) -> Option<String> {
        let extension = match self.flavor {
            None => "pdo_sqlite",
            Some(Flavor::Postgres) => "pdo_pgsql",
            Some(_) => "pdo_mysql",
        };
        let symfony = (!std::path::Path::new(SYMFONY).is_file()).then(|| {
            "Symfony's component is not installed; `cargo xtask setup` installs it".into()
        });
        self.flavor.and_then(Flavor::missing).or_else(|| php::missing(&[extension])).or(symfony)
    }

    fn promises(&self) -> Promises {
        let lock = if self.lock == PhpLock::None { Lock::None } else { Lock::Process };
        Promises::new(lock).drops_empty().with_gc_at_close()
    }

    async fn place(&self) -> Result<Arc<dyn Place>> {
        let directory = tempfile::tempdir()?;
        let url = match self.flavor {
            None => format!("sqlite:{}/sessions.db", directory.path().display()),
            Some(flavor) => Server::shared(flavor).await?.fresh_database().await?,
        };
        PhpStore::open(layout(&url, self.lock)?).await?.create_table().await?;
        Ok(Arc::new(Database { url, lock: self.lock, _directory: directory }))
    }
}

#[derive(Debug)]
struct Database {
    url: String,
    lock: PhpLock,
    _directory: TempDir,
}

impl Database {
    /// PHP's words for the way to the database: three arguments of `new PDO`.
    fn arguments(&self) -> Option<(String, &str, &str)> {
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            return Some((format!("sqlite:{path}"), "", ""));
        }
        let (scheme, rest) = self.url.split_once("://")?;
        let (login, place) = rest.split_once('@')?;
        let ((user, password), (host, name)) = (login.split_once(':')?, place.split_once('/')?);
        let (host, port) = host.split_once(':')?;
        let driver = if scheme.starts_with("postgres") { "pgsql" } else { "mysql" };
        Some((format!("{driver}:host={host};port={port};dbname={name}"), user, password))
    }

    const fn mode(&self) -> u8 {
        match self.lock {
            PhpLock::None => 0,
            PhpLock::Advisory => 1,
            _ => 2,
        }
    }
}

#[async_trait]
impl Place for Database {
    fn php(&self) -> Php {
        let (dsn, user, password) = self.arguments().unwrap_or_default();
        Php::default().prelude(format!(
            "require '{SYMFONY}'; session_set_save_handler(\
             new Symfony\\Component\\HttpFoundation\\Session\\Storage\\Handler\\PdoSessionHandler(\
             '{dsn}', ['db_username' => '{user}', 'db_password' => '{password}', \
             'lock_mode' => {}]), true);",
            self.mode()
        ))
    }

    fn peer(&self) -> String {
        format!("{} {}", self.mode(), self.url)
    }

    async fn age(&self, id: &str, by: Duration) -> Result<bool> {
        let (dsn, user, password) = self.arguments().ok_or("a strange URL")?;
        let code = format!(
            "echo (new PDO('{dsn}', '{user}', '{password}'))->exec(\"UPDATE sessions \
             SET sess_lifetime = sess_lifetime - {} WHERE sess_id = '{id}'\");",
            by.as_secs()
        );
        let output = Command::new("php").args(["-r", &code]).output().await?;
        if output.stdout == b"1" { Ok(true) } else { Err("there is no such row".into()) }
    }
}
