//! The DSN of PHP's PDO, which Symfony's `PdoSessionHandler` takes from `session.save_path` when it is
//! made without one.

use std::fmt;

use super::Refusal;

/// The database where Symfony's `PdoSessionHandler` keeps sessions.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PdoPath {
    /// Which database it is.
    pub database: PdoDatabase,
    /// The user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
}

impl fmt::Debug for PdoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PdoPath")
            .field("database", &self.database)
            .field("user", &self.user)
            .field("has_password", &self.password.is_some())
            .finish()
    }
}

/// A database, by PDO's driver.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PdoDatabase {
    /// `mysql`: MySQL or MariaDB.
    MySql(PdoServer),
    /// `pgsql`: PostgreSQL.
    Postgres(PdoServer),
    /// `sqlite`, with the path of the file.
    Sqlite(String),
}

/// A database on a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PdoServer {
    /// The server's name or address; for PostgreSQL also the directory of its socket.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// The path of its socket (MySQL).
    pub socket: Option<String>,
    /// The name of the database.
    pub name: Option<String>,
    /// `sslmode` (PostgreSQL).
    pub tls: Option<String>,
}

const PATH: &str = "session.save_path";

impl PdoPath {
    pub(super) fn parse(path: &str) -> Result<Self, Refusal> {
        let refuse = |reason| Refusal::new(PATH, reason);
        let (driver, rest) = path.split_once(':').ok_or_else(|| {
            refuse("it is neither a DSN of PDO's, as Symfony's PdoSessionHandler takes it, nor a URL of DynamoDB; no store here works with another handler that a program sets")
        })?;
        let mut found =
            Self { database: PdoDatabase::Sqlite(rest.to_owned()), user: None, password: None };
        match driver {
            "sqlite" if rest.is_empty() || rest.starts_with(":memory:") => {
                return Err(refuse("a database in memory is nobody else's"));
            }
            "sqlite" => {}
            "mysql" => {
                let server = found.server(pairs_of_mysql(rest), "unix_socket")?;
                found.database = PdoDatabase::MySql(server);
            }
            "pgsql" => {
                if rest.contains(['\'', '\\']) {
                    return Err(refuse("values in quotes are not read"));
                }
                let parts = rest.split(|c: char| c == ';' || c.is_ascii_whitespace());
                let server = found.server(parts.map(str::to_owned).collect(), "sslmode")?;
                found.database = PdoDatabase::Postgres(server);
            }
            _ => return Err(refuse("there is no store for this driver of PDO's")),
        }
        Ok(found)
    }

    /// What a DSN says of a server, where one key is its driver's alone.
    fn server(&mut self, parts: Vec<String>, own: &str) -> Result<PdoServer, Refusal> {
        let mut server = PdoServer::default();
        for part in parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()) {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| Refusal::new(PATH, "a part of the DSN is not key=value"))?;
            let (key, value) = (key.trim(), Some(value.trim().to_owned()));
            match key {
                "host" => server.host = value,
                "port" => server.port = Some(port(value.as_deref().unwrap_or_default())?),
                "dbname" => server.name = value,
                "user" => self.user = value,
                "password" => self.password = value,
                "unix_socket" if key == own => server.socket = value,
                "sslmode" if key == own => server.tls = value,
                // Nothing here is text: ids and data are bytes.
                "charset" if own == "unix_socket" => {}
                _ => return Err(Refusal::new(format!("{PATH}: {key}"), "no store honours it")),
            }
        }
        Ok(server)
    }
}

fn port(text: &str) -> Result<u16, Refusal> {
    text.parse().map_err(|_odd| Refusal::new(format!("{PATH}: port"), "it is no port"))
}

/// The parts between semicolons; two of them are one within a value.
fn pairs_of_mysql(text: &str) -> Vec<String> {
    let hidden = text.replace(";;", "\0");
    hidden.split(';').map(|part| part.replace('\0', ";")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_dsn_names_a_database() {
        let dsn = "mysql:host=db;port=3307;dbname=app;charset=utf8mb4;user=ada;password=a;;b=c";
        let found = PdoPath::parse(dsn).unwrap();
        let server = PdoServer {
            host: some("db"),
            port: Some(3307),
            name: some("app"),
            ..PdoServer::default()
        };
        assert_eq!(found.database, PdoDatabase::MySql(server.clone()));
        assert_eq!((found.user, found.password), (some("ada"), some("a;b=c")));
        let server = PdoServer { port: None, tls: some("require"), ..server };
        for dsn in [
            "pgsql:host=db dbname=app  sslmode=require",
            "pgsql:host=db;dbname=app;sslmode=require;",
        ] {
            let found = PdoPath::parse(dsn).unwrap();
            assert_eq!(found.database, PdoDatabase::Postgres(server.clone()));
        }
        let socket = PdoServer { socket: some("/run/m.sock"), ..PdoServer::default() };
        let found = PdoPath::parse("mysql:unix_socket=/run/m.sock").unwrap();
        assert_eq!(found.database, PdoDatabase::MySql(socket));
        let found = PdoPath::parse("sqlite:/var/lib/s.db").unwrap();
        assert_eq!(found.database, PdoDatabase::Sqlite("/var/lib/s.db".to_owned()));
    }

    #[test]
    fn what_no_store_honours_is_refused_by_name_and_no_value_is_told() {
        let refused = [
            ("", PATH),
            ("/var/lib/sessions", PATH),
            ("oci:dbname=secret", PATH),
            ("sqlite::memory:", PATH),
            ("pgsql:password='secret'", PATH),
            ("mysql:secret", PATH),
            ("mysql:host=db;sslmode=secret", "session.save_path: sslmode"),
            ("pgsql:host=db;options=secret", "session.save_path: options"),
            ("pgsql:port=secret", "session.save_path: port"),
        ];
        for (dsn, parameter) in refused {
            let refusal = PdoPath::parse(dsn).unwrap_err();
            assert_eq!(refusal.parameter(), parameter, "{dsn}");
            assert!(!refusal.to_string().contains("secret"), "{refusal}");
        }
        let shown = format!("{:?}", PdoPath::parse("mysql:password=secret").unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
