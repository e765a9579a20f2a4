use super::*;

fn refused(url: &str) -> String {
    MemcachedConfig::from_url(url).unwrap_err().to_string()
}

#[test]
fn a_url_names_servers_and_settings() {
    let url = "memcacheds://ada:p%40ss@a,b:1:3,[::1]:2/?session.prefix=app:&session.timeout=2s\
               &session.connections=4&protocol=classic&session.tls_ca=/ca.pem";
    let config = MemcachedConfig::from_url(url).unwrap();
    let servers =
        [Endpoint::new("a", 11_211), Endpoint::new("b", 1).weight(3), Endpoint::new("::1", 2)];
    assert_eq!(config.servers, servers);
    assert_eq!((config.user.as_deref(), config.password.as_deref()), (Some("ada"), Some("p@ss")));
    assert_eq!((&*config.prefix, config.connections), ("app:", 4));
    assert_eq!(config.timeout, Duration::from_secs(2));
    assert_eq!((config.protocol, config.tls), (Protocol::Classic, Tls::Ca("/ca.pem".into())));
}

#[test]
fn what_is_wrong_is_told_without_values() {
    for (url, told) in [
        ("memcached://", "host"),
        ("memcached://a:0", "host"),
        ("memcached://a:1:0", "weights"),
        ("memcached://a:1:2,b?session.hashing=ketama", "weights"),
        ("memcached://a/s3cret", "path"),
        ("memcached://s3cret@a", "together"),
        ("memcached://a:s3%20cret@b", "printable"),
        ("memcached://a?session.prefix=a%20b", "prefix"),
        ("memcached://a?session.tiemout=1s", "session.timeout"),
        ("memcached://a?session.timeout=500ms", "timeout"),
        ("memcached://a?session.tls_ca=/x", "TLS"),
        ("memcached://a?session.hashing=s3cret", "ketama_weighted"),
        ("memcached://a?session.connections=0", "connections"),
        ("redis://a", "scheme"),
        ("memcached://a#b", "%23"),
    ] {
        let text = refused(url);
        assert!(text.contains(told), "{url}: {text}");
        assert!(!text.contains("s3"), "{text}");
    }
}

#[test]
fn debug_shows_no_password() {
    let config = MemcachedConfig::from_url("memcached://ada:s3cret@a").unwrap();
    let text = format!("{config:?}");
    assert!(text.contains("ada") && !text.contains("s3cret"), "{text}");
}
