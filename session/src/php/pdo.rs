//! Stores of Symfony's `PdoSessionHandler`.

use std::{fmt::Write as _, sync::Arc};

use session_php::{PdoDatabase, PdoPath, PdoServer};
use session_sql::{
    SqlConfig,
    php::{PhpLayout, PhpStore},
};

use crate::core::{Result, SessionStore};

/// The table and the lock are those that the handler takes when its program says nothing else.
pub(super) async fn open(path: PdoPath) -> Result<Arc<dyn SessionStore>> {
    let layout = PhpLayout::new(SqlConfig::from_url(&url(path)?)?);
    Ok(Arc::new(PhpStore::open(layout).await?))
}

fn url(path: PdoPath) -> Result<String> {
    let password = path.password.map(|password| format!(":{}", encoded(&password)));
    let user = path.user.map(|user| format!("{}{}@", encoded(&user), password.unwrap_or_default()));
    let at = |server: &PdoServer| {
        let host = server.host.as_deref().unwrap_or("localhost");
        let host = if host.contains(':') { format!("[{host}]") } else { encoded_host(host) };
        let port = server.port.map(|port| format!(":{port}")).unwrap_or_default();
        let name = encoded(server.name.as_deref().unwrap_or_default());
        format!("{}{host}{port}/{name}", user.as_deref().unwrap_or_default())
    };
    let option = |key: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!("?{key}={}", encoded(value))).unwrap_or_default()
    };
    Ok(match path.database {
        PdoDatabase::MySql(server) => {
            format!("mysql://{}{}", at(&server), option("socket", &server.socket))
        }
        PdoDatabase::Postgres(server) => {
            format!("postgres://{}{}", at(&server), option("sslmode", &server.tls))
        }
        PdoDatabase::Sqlite(file) => format!("sqlite:{}", encoded(&file)),
        _ => return Err(super::wrong("session.save_path: no store reaches such a database")),
    })
}

/// A name stays as it is; the directory of a socket is encoded.
fn encoded_host(host: &str) -> String {
    if host.starts_with('/') { encoded(host) } else { host.to_owned() }
}

/// All that means something in a URL, percent-encoded.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut url, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            write!(url, "%{byte:02X}").ok();
        }
        url
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::php::{Ini, SavePath};

    fn url_of(dsn: &str) -> String {
        let pairs = [("session.save_handler", "user"), ("session.save_path", dsn)];
        let SavePath::Pdo(path) = SavePath::of(&Ini::from_iter(pairs)).unwrap() else {
            panic!("another handler");
        };
        url(path).unwrap()
    }

    #[test]
    fn every_parameter_reaches_the_url() {
        let urls = [
            (
                "mysql:host=db;port=3307;dbname=app;user=ada;password=a/b@c",
                "mysql://ada:a%2Fb%40c@db:3307/app",
            ),
            (
                "mysql:unix_socket=/run/m.sock;dbname=app;user=ada",
                "mysql://ada@localhost/app?socket=%2Frun%2Fm.sock",
            ),
            (
                "pgsql:host=::1 dbname=app user=ada sslmode=require",
                "postgres://ada@[::1]/app?sslmode=require",
            ),
            ("pgsql:host=/run/pg;dbname=app", "postgres://%2Frun%2Fpg/app"),
            ("sqlite:/var/lib/s 1.db", "sqlite:%2Fvar%2Flib%2Fs%201.db"),
        ];
        for (dsn, expected) in urls {
            assert_eq!(url_of(dsn), expected);
        }
    }

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn a_dsn_is_enough() {
        let directory = tempfile::tempdir().unwrap();
        let dsn = format!("sqlite:{}", directory.path().join("s 1.db").display());
        let pairs = [("session.save_handler", "user"), ("session.save_path", &*dsn)];
        let store = crate::php::connect(&Ini::from_iter(pairs)).await.unwrap();
        assert!(store.capabilities().locking.is_yes(), "Symfony's default");
        assert!(directory.path().join("s 1.db").exists());
    }
}
