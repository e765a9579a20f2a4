//! A feature brings what it needs, and nothing that another one needs.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{env, process::Command};

/// What tells each feature by what it brings.
const SIGNS: &[(&str, &str)] = &[
    ("dynamodb", "aws-sdk-dynamodb"),
    ("files", "session-files"),
    ("memcached", "session-memcached"),
    ("redis", "session-redis"),
    ("mysql", "sqlx-mysql"),
    ("postgres", "sqlx-postgres"),
    ("sqlite", "libsqlite3-sys"),
    ("tower", "session-tower"),
    ("axum", "axum-core"),
    ("encryption", "chacha20poly1305"),
    ("observe", "metrics"),
    ("actix", "session-actix"),
    ("tower-sessions-014", "tower-sessions-core v0.14"),
    ("tower-sessions-015", "tower-sessions-core v0.15"),
    ("actix-session-011", "actix-session"),
];
/// What nobody asked for: a second implementation of TLS, and a web framework's server.
const NEVER: &[&str] = &["aws-lc-rs", "native-tls", "openssl", "axum", "hyper", "tower-sessions"];

/// The names and versions of all crates that are compiled with these features.
fn crates(features: &str) -> Vec<String> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["tree", "--offline", "--locked", "--package", "session", "--edges", "normal"]);
    command.args(["--prefix", "none", "--no-default-features", "--features", features]);
    let told = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let lines = String::from_utf8(told.stdout).unwrap();
    lines.lines().map(str::to_owned).collect()
}

/// Whether a crate is among them, or a version of it.
fn has(crates: &[String], name: &str) -> bool {
    crates
        .iter()
        .filter_map(|known| known.strip_prefix(name))
        .any(|rest| rest.starts_with([' ', '.']))
}

#[test]
fn each_feature_brings_only_its_own() {
    for (feature, _) in SIGNS {
        let crates = crates(feature);
        for (other, sign) in SIGNS {
            // The extractors are for the layer.
            let wanted = other == feature || (*feature, *other) == ("axum", "tower");
            assert_eq!(has(&crates, sign), wanted, "{sign} with the feature {feature}");
        }
        for never in NEVER.iter().filter(|name| (*feature, **name) != ("dynamodb", "hyper")) {
            assert!(!has(&crates, never), "{never} with the feature {feature}");
        }
    }
}

#[test]
fn without_features_there_is_no_client_and_no_framework() {
    let crates = crates("");
    for (_, sign) in SIGNS {
        assert!(!has(&crates, sign), "{sign}");
    }
    assert!(has(&crates, "session-core"), "the list is empty: {crates:?}");
}
