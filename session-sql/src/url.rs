//! Which database a URL names: `scheme://user:password@host:port/database`, or `sqlite:path`.

use percent_encoding::percent_decode_str;

/// The longest URL that is looked at.
const URL_LIMIT: usize = 65_536;

/// The ways to speak to a database, of which each is a feature of the crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// MySQL and MariaDB.
    MySql,
    Postgres,
    Sqlite,
}

impl Dialect {
    /// The Cargo feature, which is the scheme that `sqlx` knows.
    pub(crate) const fn feature(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }

    pub(crate) const fn is_compiled(self) -> bool {
        match self {
            Self::MySql => cfg!(feature = "mysql"),
            Self::Postgres => cfg!(feature = "postgres"),
            Self::Sqlite => cfg!(feature = "sqlite"),
        }
    }

    fn of(scheme: &str) -> Option<Self> {
        match scheme {
            "mysql" | "mariadb" => Some(Self::MySql),
            "postgres" | "postgresql" => Some(Self::Postgres),
            "sqlite" => Some(Self::Sqlite),
            _ => None,
        }
    }
}

/// What comes before the `?` of a URL, still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    pub(crate) dialect: Dialect,
    /// `user:password`, or nothing.
    pub(crate) login: &'a str,
    /// `host:port`, or nothing.
    pub(crate) host: &'a str,
    /// The name of the database, or the path of its file.
    pub(crate) database: &'a str,
}

/// The two parts of a URL, before and after the `?`. An error says what is missing, in words that
/// repeat nothing of the URL.
pub(crate) fn split(url: &str) -> Result<(Address<'_>, &str), &'static str> {
    if url.len() > URL_LIMIT {
        return Err("the URL is longer than 65,536 bytes");
    }
    if url.contains('#') {
        return Err("the URL has a #, which is written %23 in a password or a path");
    }
    if url.contains(|letter: char| letter.is_ascii_control()) {
        return Err("the URL has a control character, as at the end of a line");
    }
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = address.split_once(':').ok_or("the URL has no scheme")?;
    let dialect = Dialect::of(&scheme.to_ascii_lowercase());
    let dialect = dialect.ok_or("the scheme of the URL is not known")?;
    let address = match dialect {
        Dialect::Sqlite => file(rest)?,
        Dialect::MySql | Dialect::Postgres => server(dialect, rest)?,
    };
    Ok((address, query))
}

fn file(rest: &str) -> Result<Address<'_>, &'static str> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() || decode(path).is_none() {
        return Err("the URL needs the path of a file, or :memory:");
    }
    Ok(Address { dialect: Dialect::Sqlite, login: "", host: "", database: path })
}

fn server(dialect: Dialect, rest: &str) -> Result<Address<'_>, &'static str> {
    let rest = rest.strip_prefix("//").ok_or("the URL needs // after its scheme")?;
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    if path.contains('@') {
        return Err("the URL has a / in user or password, which is written %2F there");
    }
    let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    if decode(user).is_none() || decode(password).is_none() {
        return Err("user or password are not UTF-8");
    }
    if user.is_empty() && (dialect == Dialect::MySql || !password.is_empty()) {
        return Err("the URL needs a user, as in user:password@host");
    }
    if !host.is_empty() && !is_plausible(dialect, host) {
        return Err("the URL needs one host or host:port; \
                    in a password / ? @ are written %2F %3F %40");
    }
    let database = path.strip_prefix('/').unwrap_or(path);
    if database.contains('/') || decode(database).is_none() {
        return Err("the path of the URL is not the name of a database");
    }
    Ok(Address { dialect, login, host, database })
}

/// Whether there may be such a host: a name, an address, an IPv6 address in brackets; with
/// PostgreSQL also the encoded path of a socket's directory; each with or without a port.
fn is_plausible(dialect: Dialect, text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').map(|text| text.split_once(']')) {
        Some(Some((address, port))) if address.parse::<std::net::Ipv6Addr>().is_ok() => ("", port),
        Some(_) => return false,
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let named = host.len() <= 253 && host.bytes().all(plain) && !text.starts_with(':');
    let socket = dialect == Dialect::Postgres && decode(host).is_some_and(|it| it.starts_with('/'));
    let port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| port.parse().is_ok_and(|port: u16| port != 0));
    port && (named || socket)
}

pub(crate) fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}
