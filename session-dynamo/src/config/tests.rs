use super::*;

fn refused(url: &str) -> String {
    DynamoConfig::from_url(url).unwrap_err().to_string()
}

#[test]
fn a_url_names_the_table_and_where_it_is() {
    let url =
        "dynamodb://Sessions?region=eu-central-1&endpoint=http://localhost:8000&session.timeout=2s";
    let config = DynamoConfig::from_url(url).unwrap();
    assert_eq!(config.table.as_deref(), Some("Sessions"));
    assert_eq!(config.region.as_deref(), Some("eu-central-1"));
    assert_eq!(config.endpoint.as_deref(), Some("http://localhost:8000"));
    assert_eq!(config.timeout, Duration::from_secs(2));
    assert_eq!(
        DynamoConfig::from_url("DynamoDB://Sessions/").unwrap(),
        DynamoConfig::new("Sessions")
    );
}

#[test]
fn what_a_url_leaves_out_is_the_environments() {
    let variable = |name: &str| Some(format!("http://{name}"));
    for url in ["dynamodb:", "dynamodb://"] {
        let config = DynamoConfig::from_url(url).unwrap();
        assert_eq!(config, DynamoConfig::default());
        let config = config.or_from(variable);
        assert_eq!(config.table.as_deref(), Some("http://DYNAMODB_SESSION_TABLE_NAME"));
        assert_eq!(config.endpoint.as_deref(), Some("http://DYNAMODB_ENDPOINT_URL"));
    }
    let config = DynamoConfig::from_url("dynamodb://a?endpoint=http://b").unwrap();
    assert_eq!(config.clone().or_from(variable), config);
    let config = DynamoConfig::default().or_from(|_name| Some(String::new()));
    assert_eq!(config, DynamoConfig::default());
}

#[test]
fn what_is_wrong_is_named_and_no_value_repeated() {
    for (url, word) in [
        ("s3cret", "no scheme"),
        ("redis://s3cret", "scheme"),
        ("dynamodb://key:s3cret@table", "a user"),
        ("dynamodb://s3cret%20", "name of a table"),
        ("dynamodb://a?endpoint=s3cret", "endpoint"),
        ("dynamodb://a?regoin=s3cret", "region"),
        ("dynamodb://a?session.timeout=s3cret", "session.timeout"),
        ("dynamodb://a?session.timeout=0ms", "timeouts"),
        ("dynamodb://a?session.max_payload=400000000", "payloads"),
        ("dynamodb://a?session.max_waiters=0", "waiter"),
        ("dynamodb://a?session.sweep_rate=0", "sweep"),
        ("dynamodb://a?session.sweep_segments=0", "segment"),
        ("dynamodb://a?session.sweep_segments=256", "session.sweep_segments"),
        ("dynamodb://a?session.leases=s3cret", "session.leases"),
        ("dynamodb://a?session.principal_index=s3", "index"),
        ("dynamodb://a?session.sweeping=s3cret", "session.sweeping"),
        ("dynamodb://a?session.clock_skew=3601s", "clock skew"),
        ("dynamodb://a?session.ttl_attribute=x", "ttl_attribute"),
    ] {
        let text = refused(url);
        assert!(text.contains(word), "{url}: {text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
    let long = format!("dynamodb://a?session.prefix={}", "p".repeat(129));
    assert!(refused(&long).contains("prefix"));
    assert!(refused(&format!("dynamodb://{}", "a".repeat(URL_LIMIT))).contains("65,536"));
}
