//! What settings and URLs are taken, and what is said of others.

use proptest::prelude::*;

use super::*;

fn read(url: &str) -> RedisConfig {
    RedisConfig::from_url(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn refused(url: &str) -> String {
    let error = RedisConfig::from_url(url).expect_err(url);
    assert_eq!(error.kind(), ErrorKind::Config, "{url}");
    let texts = format!("{error} {error:?}");
    assert!(!texts.contains("s3cret"), "{texts}");
    error.to_string()
}

fn endpoints(all: &[(&str, u16)]) -> Vec<Endpoint> {
    all.iter().map(|(host, port)| Endpoint::new(*host, *port)).collect()
}

#[test]
fn a_url_sets_every_setting() {
    let config = read(
        "rediss+sentinel://us%65r:p%40ss%3A@h1,h2:7000/my%20main/3?session.prefix=app%3A\
         &session.timeout=4s&session.connect_timeout=250ms&session.response_timeout=500ms\
         &session.max_payload=10&session.max_waiters=3&session.client_name=web-1\
         &session.tls_ca=/etc/ca.pem&session.wait_replicas=1&session.wait_timeout=100ms\
         &session.replica_staleness=2s&session.reader=r:1&session.sentinel_user=su\
         &session.sentinel_password=sp&protocol=resp2",
    );
    let sentinels = endpoints(&[("h1", 26379), ("h2", 7000)]);
    let expected = RedisConfig {
        servers: Servers::Sentinel { sentinels, service: "my main".to_owned() },
        tls: Tls::Ca("/etc/ca.pem".into()),
        user: Some("user".to_owned()),
        password: Some("p@ss:".to_owned()),
        sentinel_user: Some("su".to_owned()),
        sentinel_password: Some("sp".to_owned()),
        database: 3,
        protocol: Protocol::Resp2,
        prefix: "app:".to_owned(),
        client_name: Some("web-1".to_owned()),
        connect_timeout: Duration::from_millis(250),
        response_timeout: Duration::from_millis(500),
        timeout: Duration::from_secs(4),
        max_payload: 10,
        max_waiters: 3,
        wait_replicas: 1,
        wait_timeout: Duration::from_millis(100),
        replica_staleness: Duration::from_secs(2),
        reader: Some(Endpoint::new("r", 1)),
    };
    assert_eq!(config, expected);
}

#[test]
fn a_url_without_settings_has_the_defaults() {
    let one = |host| RedisConfig::new(Servers::One(Endpoint::new(host, 6379)));
    assert_eq!(read("redis://h"), one("h"));
    assert_eq!(read("VALKEY://h:6379/?"), one("h"));
    assert_eq!(read("redis://[::1]/0"), one("::1"));
    assert_eq!(read("rediss://h?session.tls_insecure=false"), read("valkeys://h"));
}

#[test]
fn sec_51_certificates_are_verified_unless_the_url_says_that_they_are_not() {
    assert_eq!(read("rediss://h").tls, Tls::On);
    assert_eq!(read("rediss://h?session.tls_insecure=true").tls, Tls::Insecure);
    refused("redis://h?session.tls_insecure=true");
}

#[test]
fn each_kind_of_servers_has_its_url() {
    let nodes = endpoints(&[("a.example", 6379), ("10.0.0.1", 7000), ("fe80::1", 7001)]);
    let config = read("valkeys+cluster://a.example,10.0.0.1:7000,[fe80::1]:7001/0");
    assert_eq!((config.servers, config.tls), (Servers::Cluster(nodes), Tls::On));
    let login = "user=u&pass=p%26w&db=2";
    for url in [
        format!("redis+unix:///run/re%20dis.sock?{login}"),
        format!("valkey+unix:///run/re%20dis.sock?{login}"),
        format!("unix:///run/re%20dis.sock?{login}"),
        "unix://u:p%26w@/run/re%20dis.sock?db=2".to_owned(),
    ] {
        let config = read(&url);
        assert_eq!(config.servers, Servers::Unix("/run/re dis.sock".into()));
        assert_eq!((config.user.as_deref(), config.database), (Some("u"), 2));
        assert_eq!(config.password.as_deref(), Some("p&w"));
    }
    for scheme in RedisConfig::URL_SCHEMES {
        let hosts = if scheme.ends_with("unix") { "/s" } else { "h/0" };
        let encrypted = scheme.starts_with("rediss") || scheme.starts_with("valkeys");
        let config = read(&format!("{scheme}://{hosts}"));
        assert_eq!(config.tls == Tls::On, encrypted, "{scheme}");
    }
}

#[test]
fn who_names_replicas_needs_no_reader() {
    for url in ["redis+cluster://h", "redis+sentinel://h/main"] {
        let config = read(&format!("{url}?session.replica_staleness=1s"));
        assert_eq!(config.replica_staleness, Duration::from_secs(1));
    }
}

#[test]
fn a_password_may_stand_without_a_user() {
    let config = read("redis://:p%2Fw@h");
    assert_eq!((config.user, config.password), (None, Some("p/w".to_owned())));
}

#[test]
fn an_unknown_key_is_named_with_its_nearest_match() {
    let text = refused("redis://h?session.prefx=s3cret");
    assert!(text.contains("session.prefx; did you mean session.prefix?"), "{text}");
    let text = refused("redis://h?protokol=s3cret");
    assert!(text.contains("protokol; did you mean protocol?"), "{text}");
}

#[test]
fn wrong_servers_are_refused_and_not_repeated() {
    for url in [
        "",
        "h",
        "h:6379",
        "http://h",
        "redis+s3cret://h",
        "redis://",
        "redis:///0",
        "redis://h:0",
        "redis://h:s3cret",
        "redis://h:70000",
        "redis://h/s3cret",
        "redis://h/0/1",
        "redis://h/-1",
        "redis://::1",
        "redis://[::1",
        "redis://[s3cret]",
        "redis://[::1]s3cret",
        "redis://a,b",
        "redis://h%20s3cret",
        "redis://s3cret@h",
        "redis://u:%ffs3cret@h",
        "redis://:s3cret/x@h",
        "redis://:s3cret?x@h",
        "redis://:s3cret#x@h",
        "redis://u:1?s3cret@h",
        "rediss://h#insecure",
        "redis+cluster://a,,b",
        "redis+cluster://h/1",
        "redis+sentinel://h",
        "redis+sentinel://h/",
        "redis+sentinel://u:1/s3cret@h",
        "redis+sentinel://h/main/s3cret",
        "redis+unix://h/s3cret",
        "redis+unix://s3cret",
        "redis+unix:///",
        "rediss+unix:///s",
    ] {
        refused(url);
    }
    let many = "h,".repeat(32_750);
    assert!(RedisConfig::from_url(&format!("redis+cluster://{many}h")).is_ok());
    assert!(refused(&format!("redis+cluster://{many}{many}h")).contains("longer"));
}

#[test]
fn wrong_values_are_refused_and_not_repeated() {
    for query in [
        "session.prefix={s3cret}",
        "session.prefix=%ff",
        "session.timeout=3",
        "session.timeout=0s",
        "session.timeout=999ms",
        "session.timeout=3601s",
        "session.connect_timeout=0ms",
        "session.connect_timeout=s3cret",
        "session.response_timeout=0ms",
        "session.response_timeout=6s",
        "session.max_payload=268435457",
        "session.max_payload=-1",
        "session.max_waiters=0",
        "session.client_name=",
        "session.client_name=my s3cret",
        "session.tls_ca=/s3cret",
        "session.tls_insecure=true",
        "session.wait_replicas=s3cret",
        "session.wait_replicas=101",
        "session.wait_replicas=1&session.wait_timeout=0s",
        "session.wait_replicas=1&session.wait_timeout=2s",
        "session.replica_staleness=1s",
        "session.replica_staleness=3601s&session.reader=r",
        "session.reader=r",
        "session.reader=s3cret:s3cret&session.replica_staleness=1s",
        "session.sentinel_user=u",
        "session.sentinel_password=s3cret",
        "session.sentinel_password=a&s3cret",
        "protocol=s3cret",
        "db=1",
        "user=u",
        "pass=s3cret",
        "timeout=4s",
    ] {
        refused(&format!("redis://h?{query}"));
    }
    let long = "x".repeat(129);
    refused(&format!("redis://h?session.prefix={long}"));
    refused(&format!("redis://h?session.client_name={long}"));
    refused("rediss://h?session.tls_ca=/a&session.tls_insecure=true");
    refused("rediss://h?session.tls_insecure=true&session.tls_ca=/a");
    refused("rediss://h?session.tls_insecure=s3cret");
    refused("redis+cluster://h?session.reader=r&session.replica_staleness=1s");
    refused("redis+sentinel://h/main?session.sentinel_user=u");
    refused("redis+unix:///s?session.replica_staleness=1s");
    refused("redis+unix:///s?db=s3cret");
}

#[test]
fn settings_of_a_builder_are_checked_as_those_of_a_url() {
    for servers in [
        Servers::Cluster(Vec::new()),
        Servers::One(Endpoint::new("", 1)),
        Servers::One(Endpoint::new("a b", 1)),
        Servers::One(Endpoint::new("h", 0)),
        Servers::Unix("relative".into()),
        Servers::Sentinel { sentinels: endpoints(&[("h", 1)]), service: String::new() },
    ] {
        let error = RedisConfig::new(servers).check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
    let mut config = read("redis+unix:///s");
    config.tls = Tls::On;
    assert_eq!(config.check().unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn debug_shows_no_password() {
    let config = read(
        "redis+sentinel://user:s3cret@h/main?session.sentinel_user=su\
         &session.sentinel_password=s3cret2",
    );
    let builder = crate::RedisStoreBuilder::from(config.clone());
    for text in [format!("{config:?}"), format!("{config:#?}"), format!("{builder:?}")] {
        assert!(!text.contains("s3cret"), "{text}");
        assert!(text.contains("\"user\"") && text.contains(".."), "{text}");
    }
}

#[test]
fn the_readme_and_the_documentation_list_every_key_and_scheme() {
    let (readme, source) = (include_str!("../../README.md"), include_str!("../config.rs"));
    for setting in SETTINGS {
        let row = format!("| `{}` |", setting.name());
        assert!(readme.contains(&row), "README: {row}");
        assert!(source.contains(&format!("/// {row}")), "documentation: {row}");
    }
    for kind in ["redis", "redis+unix", "redis+cluster", "redis+sentinel"] {
        let row = format!("| `{kind}://");
        assert!(readme.contains(&row), "README: {row}");
        assert!(source.contains(&format!("/// {row}")), "documentation: {row}");
    }
}

/// Texts that get past the first checks.
fn url() -> impl Strategy<Value = String> {
    let scheme = prop::sample::select(RedisConfig::URL_SCHEMES);
    let key = prop::sample::select(SETTINGS).prop_map(|setting| setting.name().to_owned());
    let pair = (prop_oneof![key, ".*"], ".*").prop_map(|(key, value)| format!("{key}={value}"));
    let query = prop::collection::vec(pair, 0..4).prop_map(|pairs| pairs.join("&"));
    (scheme, "([a-z:@/%,\\[\\]0-9]|.){0,40}", query)
        .prop_map(|(scheme, rest, query)| format!("{scheme}://{rest}?{query}"))
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in prop_oneof![".*", url()]) {
        match RedisConfig::from_url(&text) {
            Ok(config) => prop_assert!(config.check().is_ok()),
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
        format!("redis://h?{}=1", "x".repeat(50_000_000)),
        format!("redis://h?{}=1", "x".repeat(65_000)),
        format!("redis+cluster://{}", "h,".repeat(30_000)),
        format!("redis://h?{}", "session.prefix=x&".repeat(3_000)),
    ] {
        drop(RedisConfig::from_url(&url));
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
