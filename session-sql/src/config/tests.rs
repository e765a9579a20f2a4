//! What settings and URLs are taken, and what is said of others.

use proptest::prelude::*;
use session_core::settings::Setting;

use super::*;

/// A URL of each dialect, which takes a query.
const URLS: [(Dialect, &str); 3] = [
    (Dialect::MySql, "mysql://u:p@h/db"),
    (Dialect::Postgres, "postgres://u:p@h/db"),
    (Dialect::Sqlite, "sqlite:/var/lib/s.db"),
];

/// Reads a URL, whatever is compiled in.
fn try_read(url: &str) -> Result<SqlConfig> {
    match SqlConfig::from_url(url) {
        Err(error) if error.to_string().contains("needs the feature") => {
            let (address, query) = url::split(url).map_err(wrong)?;
            assert!(!address.dialect.is_compiled(), "{url}");
            read_as(&address, query)
        }
        result => result,
    }
}

fn read_as(address: &Address<'_>, query: &str) -> Result<SqlConfig> {
    let mut reading = Reading::new(SqlConfig::defaults(address.dialect));
    settings::read(BACKEND, &keys::of(address.dialect), query, &mut reading)?;
    let config = reading.finish(address, query).map_err(wrong)?;
    config.check().map(|()| config)
}

fn read(url: &str) -> SqlConfig {
    try_read(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn refused(url: &str) -> String {
    let error = try_read(url).expect_err(url);
    assert_eq!(error.kind(), ErrorKind::Config, "{url}");
    let texts = format!("{error} {error:?}");
    assert!(!texts.contains("s3cret"), "{texts}");
    error.to_string()
}

#[test]
fn a_url_sets_every_setting() {
    let config = read(
        "mariadb://us%65r:p%40ss%3A@h:3307/my%20db?session.table=app.web&ssl-mode=VERIFY_IDENTITY\
         &session.max_connections=3&session.timeout=4s&session.connect_timeout=250ms&ssl-ca=/a+b.pem\
         &session.response_timeout=500ms&session.max_lifetime=60s&session.max_payload=10\
         &session.max_waiters=7&session.sweep_share=5",
    );
    let expected = SqlConfig {
        dialect: Dialect::MySql,
        url: "mysql://us%65r:p%40ss%3A@h:3307/my%20db?ssl-mode=VERIFY_IDENTITY&ssl-ca=/a%2Bb.pem"
            .to_owned(),
        shown: "mysql://h:3307/my%20db".to_owned(),
        table: "app.web".to_owned(),
        max_connections: 3,
        connect_timeout: Duration::from_millis(250),
        response_timeout: Duration::from_millis(500),
        timeout: Duration::from_secs(4),
        max_lifetime: Duration::from_secs(60),
        max_payload: 10,
        max_waiters: 7,
        sweep_share: 5,
    };
    assert_eq!(config, expected);
}

#[test]
fn a_url_without_settings_has_the_defaults() {
    for (dialect, url) in URLS {
        let config = read(url);
        let defaults = SqlConfig {
            url: config.url.clone(),
            shown: config.shown.clone(),
            ..SqlConfig::defaults(dialect)
        };
        assert_eq!(config, defaults);
    }
    assert_eq!(read("MySQL://u@h/db?&"), read("mariadb://u@h/db"));
}

#[test]
fn each_database_has_its_url() {
    for (url, theirs) in [
        ("mysql://u@[::1]:3306/db", "mysql://u@[::1]:3306/db"),
        ("mysql://u:p:w@h/db", "mysql://u:p:w@h/db"),
        ("mysql://u@h:p@h/db", "mysql://u@h:p@h/db"),
        ("mysql://u:p@/db?socket=/s", "mysql://u:p@localhost/db?socket=/s"),
        ("postgresql://u:p@h:5433/db", "postgres://u:p@h:5433/db"),
        ("postgres://h/db", "postgres://h/db"),
        ("postgres:///db?host=/run/pg&user=u", "postgres://localhost/db?host=/run/pg&user=u"),
        ("postgres://u@%2Frun%2Fpg/db", "postgres://u@%2Frun%2Fpg/db"),
        ("postgres://h?dbname=db", "postgres://h/?dbname=db"),
        ("sqlite:s.db", "sqlite:s.db?mode=rwc"),
        ("sqlite://s.db", "sqlite:s.db?mode=rwc"),
        ("sqlite:///var/my%20s.db?mode=rw", "sqlite:/var/my%20s.db?mode=rw"),
        ("sqlite::memory:", "sqlite::memory:"),
        ("sqlite://:memory:", "sqlite::memory:"),
        ("sqlite:s.db?vfs=unix-excl", "sqlite:s.db?vfs=unix-excl&mode=rwc"),
    ] {
        assert_eq!(read(url).url, theirs);
    }
}

#[test]
fn the_client_reads_what_was_passed_on() {
    #[cfg(feature = "mysql")]
    {
        let url = read("mysql://u:p%40+w@/d%2Fb?socket=/run/a+b.sock&charset=utf8mb4").url;
        let options: sqlx::mysql::MySqlConnectOptions = url.parse().unwrap();
        assert_eq!(options.get_username(), "u");
        assert_eq!(options.get_database(), Some("d/b"));
        assert_eq!(options.get_socket().unwrap().to_str(), Some("/run/a+b.sock"));
    }
    #[cfg(feature = "postgres")]
    {
        let url = read("postgres://u:p@/db?host=/run/pg&application_name=a+b").url;
        let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
        assert_eq!(options.get_socket().unwrap().to_str(), Some("/run/pg"));
        assert_eq!(options.get_application_name(), Some("a+b"));
    }
    #[cfg(feature = "sqlite")]
    {
        let url = read("sqlite:///tmp/a%3Fb.db").url;
        let options: sqlx::sqlite::SqliteConnectOptions = url.parse().unwrap();
        assert_eq!(options.get_filename().to_str(), Some("/tmp/a?b.db"));
    }
}

/// Keys that the client does not know are lost without a word there (MySQL), or with a warning that
/// shows their value (PostgreSQL).
#[test]
fn an_unknown_key_is_named_with_its_nearest_match() {
    for (url, meant) in [
        ("mysql://u@h/db?sesion.table=s3cret", "sesion.table; did you mean session.table?"),
        ("mysql://u@h/db?ssl_mode=s3cret", "ssl_mode; did you mean ssl-mode?"),
        ("mysql://u@h/db?sslrootca=s3cret", "sslrootca; did you mean ssl-ca?"),
        ("postgres://u@h/db?sslmod=s3cret", "sslmod; did you mean sslmode?"),
        ("postgres://u@h/db?sslrootcrt=s3cret", "sslrootcrt; did you mean sslrootcert?"),
        ("sqlite:s.db?mod=s3cret", "mod; did you mean mode?"),
    ] {
        let text = refused(url);
        assert!(text.contains(meant), "{text}");
    }
}

#[test]
fn keys_of_another_database_are_refused() {
    let theirs = [keys::MYSQL, keys::POSTGRES, keys::SQLITE];
    for ((_, url), own) in URLS.into_iter().zip(theirs) {
        let known = |setting: &Setting<Reading>| own.iter().any(|it| it.name() == setting.name());
        for setting in theirs.concat().iter().filter(|setting| !known(setting)) {
            let text = refused(&format!("{url}?{}=1", setting.name()));
            assert!(text.contains("unknown key"), "{text}");
        }
    }
}

#[test]
fn authorities_need_a_mode_that_asks_them() {
    for (ca, modes) in [
        ("mysql://u@h/db?ssl-ca=/s3cret", ["", "ssl-mode=PREFERRED", "sslmode=required"]),
        ("postgres://u@h/db?sslrootcert=/s3cret", ["", "sslmode=prefer", "ssl-mode=require"]),
    ] {
        for mode in modes {
            let text = refused(&format!("{ca}&{mode}"));
            assert!(text.contains("verify-full"), "{text}");
        }
    }
    for url in [
        "mysql://u@h/db?ssl-mode=VERIFY_CA&ssl-ca=/a",
        "mysql://u@h/db?sslca=/a&sslmode=verify_identity",
        "postgres://u@h/db?sslrootcert=/a&sslmode=verify-full",
        "postgres://u@h/db?ssl-mode=verify-ca&ssl-ca=/a",
    ] {
        assert!(read(url).url.contains("/a"), "{url}");
    }
}

#[test]
fn wrong_addresses_are_refused_and_not_repeated() {
    for url in [
        "",
        "h",
        "mysql",
        "s3cret://h/db",
        "mysql:u:s3cret@h/db",
        "mysql://",
        "mysql://h/db",
        "mysql://u@h",
        "mysql://u@h/",
        "mysql://u@/db",
        "mysql://:s3cret@h/db",
        "mysql://u@h:0/db",
        "mysql://u@h:s3cret/db",
        "mysql://u@h:70000/db",
        "mysql://u@:3306/db",
        "mysql://u@h/db/s3cret",
        "mysql://u@a,b/db",
        "mysql://u@%2Frun/db",
        "mysql://u@::1/db",
        "mysql://u@[::1/db",
        "mysql://u@[s3cret]/db",
        "mysql://u@[::1]s3cret/db",
        "mysql://u@h s3cret/db",
        "mysql://u:%ffs3cret@h/db",
        "mysql://u:s3cret/x@h/db",
        "mysql://u:s3cret?x@h/db",
        "mysql://u:s3cret#x@h/db",
        "mysql://u@h/%ff",
        "mysql://u@h/db\n",
        "postgres://h",
        "postgres:///db",
        "postgres://:s3cret@h/db",
        "postgres://h1,h2/db",
        "sqlite:",
        "sqlite://",
        "sqlite:?mode=memory",
        "sqlite:%ff",
    ] {
        refused(url);
    }
    assert!(refused(&format!("sqlite:{}", "x".repeat(65_530))).contains("longer"));
}

#[test]
fn wrong_values_are_refused_and_not_repeated() {
    for query in [
        "session.table=",
        "session.table=s3cret%20x",
        "session.table=a.b.s3cret",
        "session.table=a.",
        "session.table=.a",
        "session.table=1s3cret",
        "session.table=%ff",
        "session.max_connections=0",
        "session.max_connections=10001",
        "session.max_connections=s3cret",
        "session.timeout=3",
        "session.timeout=0s",
        "session.timeout=1999ms",
        "session.timeout=3601s",
        "session.connect_timeout=0ms",
        "session.connect_timeout=6s",
        "session.connect_timeout=s3cret",
        "session.response_timeout=0ms",
        "session.response_timeout=6s",
        "session.max_lifetime=999ms",
        "session.max_lifetime=86401s",
        "session.max_payload=268435457",
        "session.max_payload=-1",
        "session.max_waiters=0",
        "session.sweep_share=0",
        "session.sweep_share=101",
        "timeout=4s",
        "s3cret",
    ] {
        for (_, url) in URLS {
            refused(&format!("{url}?{query}"));
        }
    }
    let table = |length: usize| format!("{}?session.table={}", URLS[0].1, "x".repeat(length));
    assert_eq!(read(&table(48)).table.len(), 48);
    refused(&table(49));
    assert!(refused("sqlite:s.db?session.table=main.sessions").contains("schema"));
}

#[test]
fn wrong_values_for_the_client_are_refused_and_not_repeated() {
    for query in [
        "ssl-mode=s3cret",
        "ssl-mode=verify-full",
        "sslmode=",
        "ssl-ca=&ssl-mode=VERIFY_CA",
        "socket=s3cret",
        "charset=",
        "statement-cache-capacity=s3cret",
    ] {
        refused(&format!("mysql://u@h/db?{query}"));
    }
    for query in [
        "sslmode=s3cret",
        "sslmode=VERIFY_IDENTITY",
        "sslmode=allow",
        "host=",
        "host=s3cret,h",
        "hostaddr=s3cret",
        "port=0",
        "port=s3cret",
        "dbname=",
        "password=a&s3cret",
        "statement-cache-capacity=-1",
        "statement-cache-capacity=0",
    ] {
        refused(&format!("postgres://u@h/db?{query}"));
    }
    for query in ["mode=ro", "mode=s3cret", "cache=private", "immutable=1", "vfs="] {
        refused(&format!("sqlite:s.db?{query}"));
    }
}

#[test]
fn a_database_that_is_not_compiled_in_names_its_feature() {
    for (dialect, url) in URLS {
        let result = SqlConfig::from_url(url);
        if dialect.is_compiled() {
            result.unwrap();
        } else {
            let text = result.unwrap_err().to_string();
            assert!(text.contains(&format!("feature `{}`", dialect.feature())), "{text}");
        }
    }
}

#[test]
fn settings_of_a_builder_are_checked_as_those_of_a_url() {
    let mut config = read(URLS[0].1);
    config.table = "a b".to_owned();
    assert_eq!(config.check().unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn debug_shows_no_password() {
    for (url, shown) in [
        ("mysql://s3cret:s3cret2@h/db", "mysql://h/db"),
        ("postgres://h/db?user=s3cret&password=s3cret2&options=-c%20a%3Ds3cret", "postgres://h/db"),
        ("postgres:///db?host=/s&password=s3cret", "postgres://localhost/db"),
    ] {
        let config = read(url);
        let builder = crate::SqlStoreBuilder::from(config.clone());
        for text in [format!("{config:?}"), format!("{config:#?}"), format!("{builder:?}")] {
            assert!(!text.contains("s3cret") && text.contains(shown), "{text}");
        }
    }
}

#[test]
fn the_readme_and_the_documentation_list_every_key_and_scheme() {
    let (readme, source) = (include_str!("../../README.md"), include_str!("../config.rs"));
    for setting in keys::SESSION {
        let row = format!("| `{}` |", setting.name());
        assert!(readme.contains(&row), "README: {row}");
        assert!(source.contains(&format!("/// {row}")), "documentation: {row}");
    }
    for setting in [keys::MYSQL, keys::POSTGRES, keys::SQLITE].concat() {
        let name = format!("`{}`", setting.name());
        assert!(readme.contains(&name), "README: {name}");
        assert!(source.contains(&name), "documentation: {name}");
    }
    for scheme in SqlConfig::URL_SCHEMES {
        for text in [readme, source] {
            assert!(text.contains(&format!("`{scheme}")), "{scheme}");
        }
    }
}

/// Texts that get past the first checks.
fn url() -> impl Strategy<Value = String> {
    let scheme = prop::sample::select(SqlConfig::URL_SCHEMES);
    let all = [keys::SESSION, keys::MYSQL, keys::POSTGRES, keys::SQLITE].concat();
    let names: Vec<&str> = all.iter().map(Setting::name).collect();
    let key = prop::sample::select(names).prop_map(str::to_owned);
    let pair = (prop_oneof![key, ".*"], ".*").prop_map(|(key, value)| format!("{key}={value}"));
    let query = prop::collection::vec(pair, 0..4).prop_map(|pairs| pairs.join("&"));
    (scheme, "(u:p@h/d|)([a-z:@/%,\\[\\]0-9]|.){0,40}", query)
        .prop_map(|(scheme, rest, query)| format!("{scheme}://{rest}?{query}"))
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in prop_oneof![".*", url()]) {
        match try_read(&text) {
            Ok(config) => {
                prop_assert!(config.check().is_ok());
                #[cfg(feature = "mysql")]
                if config.dialect == Dialect::MySql {
                    config.url.parse::<sqlx::mysql::MySqlConnectOptions>().unwrap();
                }
                #[cfg(feature = "postgres")]
                if config.dialect == Dialect::Postgres {
                    config.url.parse::<sqlx::postgres::PgConnectOptions>().unwrap();
                }
                #[cfg(feature = "sqlite")]
                if config.dialect == Dialect::Sqlite {
                    config.url.parse::<sqlx::sqlite::SqliteConnectOptions>().unwrap();
                }
            }
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::Config);
                prop_assert!(error.to_string().len() < 1_000);
            }
        }
    }
}

#[test]
fn a_long_text_is_refused_at_once() {
    let started = std::time::Instant::now();
    for url in [
        format!("mysql://u@h/db?{}=1", "x".repeat(50_000_000)),
        format!("mysql://u@h/db?{}=1", "x".repeat(65_000)),
        format!("postgres://u@h/db?{}", "session.table=x&".repeat(3_000)),
    ] {
        drop(try_read(&url));
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
