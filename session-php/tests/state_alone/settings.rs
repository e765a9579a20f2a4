//! Settings: the defaults of each version, and what a file of settings may say.

use session_php::{
    PhpVersion, SerializeHandler, Settings,
    settings::Stage,
    state::{Deprecation, Problem},
};

#[test]
fn defaults_change_with_8_6() {
    let old = Settings::new(PhpVersion::V8_2);
    assert_eq!((old.sid_length, old.sid_bits_per_character), (32, 4));
    assert_eq!((old.gc_probability, old.gc_divisor, old.gc_maxlifetime), (1, 100, 1440));
    assert!(!old.use_strict_mode && !old.cookie_httponly && old.cookie_samesite.is_empty());
    for version in [PhpVersion::V8_3, PhpVersion::V8_4, PhpVersion::V8_5] {
        let mut same = Settings::new(version);
        same.version = PhpVersion::V8_2;
        assert_eq!(same, old);
    }
    let new = Settings::new(PhpVersion::V8_6);
    assert!(new.use_strict_mode && new.cookie_httponly);
    assert_eq!(new.cookie_samesite, "Lax");
}

#[test]
fn pairs_of_a_file_become_settings() {
    let pairs = [
        ("session.gc_maxlifetime", "2K"),
        ("session.use_strict_mode", "On"),
        ("session.serialize_handler", "PHP_SERIALIZE"),
        ("session.auto_start", "1"),
        ("session.upload_progress.enabled", "0"),
        ("memory_limit", "128M"),
    ];
    let settings = Settings::from_pairs(PhpVersion::V8_2, pairs).unwrap();
    assert_eq!(settings.gc_maxlifetime, 2048);
    assert!(settings.use_strict_mode && settings.auto_start);
    assert_eq!(settings.serialize_handler, SerializeHandler::PhpSerialize);
}

#[test]
fn what_php_only_warns_of_is_refused_in_a_file() {
    let bad = [
        ("session.gc_maxlifetime", "1 hour"),
        ("session.cookie_lifetime", "-1"),
        ("session.serialize_handler", "wddx"),
        ("session.name", "12"),
        ("session.sid_length", "21"),
        ("session.hash_function", "1"),
    ];
    for (name, value) in bad {
        let refused = Settings::from_pairs(PhpVersion::V8_2, [(name, value)]).unwrap_err();
        assert_eq!(refused.setting, name);
        assert!(refused.to_string().starts_with(name));
    }
    let refused = Settings::from_pairs(PhpVersion::V8_2, [bad[0]]).unwrap_err().to_string();
    assert!(refused.contains("unknown multiplier"), "{refused}");
}

#[test]
fn from_8_4_on_more_is_said_and_refused() {
    let set =
        |version, name: &str, value: &str| Settings::new(version).set(Stage::Startup, name, value);
    let (old, new) = (PhpVersion::V8_3, PhpVersion::V8_4);
    for (name, value) in
        [("session.gc_divisor", "0"), ("session.gc_probability", "-1"), ("session.name", "a=b")]
    {
        assert_eq!(set(old, name, value), Ok(Vec::new()));
        assert!(set(new, name, value).is_err());
    }
    let deprecated = [
        ("session.sid_length", "26", Deprecation::SidLength),
        ("session.sid_bits_per_character", "5", Deprecation::SidBits),
        ("session.use_only_cookies", "0", Deprecation::UseOnlyCookies),
        ("session.use_trans_sid", "1", Deprecation::UseTransSid),
        ("session.referer_check", "x", Deprecation::RefererCheck),
    ];
    for (name, value, what) in deprecated {
        assert_eq!(set(old, name, value), Ok(Vec::new()));
        assert_eq!(set(new, name, value), Ok(vec![Problem::Deprecated(what)]));
        assert!(Settings::from_pairs(new, [(name, value)]).is_ok());
    }
    assert!(set(new, "session.cookie_partitioned", "1").is_err());
    assert!(set(PhpVersion::V8_5, "session.cookie_partitioned", "1").is_ok());
}
