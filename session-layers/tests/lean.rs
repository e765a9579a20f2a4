//! A feature brings what it needs, and nothing that another one needs.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::BTreeSet, env, process::Command};

/// What each feature brings that nothing else does; the others bring no crate.
const SIGNS: &[(&str, &str)] = &[("encryption", "chacha20poly1305"), ("observe", "metrics")];
/// What nobody asked for: clients of servers, frameworks, a second implementation of TLS.
const NEVER: &[&str] =
    &["redis", "sqlx-core", "axum-core", "actix-web", "rustls", "openssl", "rand"];

/// The names of all crates that are compiled with these features.
fn crates(package: &str, features: &str) -> BTreeSet<String> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["tree", "--offline", "--locked", "--package", package, "--edges", "normal"]);
    command.args(["--prefix", "none", "--no-default-features", "--features", features]);
    let told = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let lines = String::from_utf8(told.stdout).unwrap();
    lines.lines().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect()
}

#[test]
fn each_feature_brings_only_its_own() {
    for (feature, _) in SIGNS {
        let crates = crates("session-layers", feature);
        for (other, sign) in SIGNS {
            assert_eq!(crates.contains(*sign), feature == other, "{sign} with {feature}");
        }
        for never in NEVER {
            assert!(!crates.contains(*never), "{never} with {feature}");
        }
    }
}

#[test]
fn without_features_and_with_those_of_no_crate_there_is_nothing_but_the_contract() {
    for features in ["", "migrating", "sweeper"] {
        let mut bare = crates("session-layers", features);
        assert!(bare.remove("session-layers"));
        assert_eq!(bare, crates("session-core", ""));
    }
}
