//! Values through serde, beside PHP's JSON.

use serde_json::Value;
use session_php::{from_slice, to_vec};

use crate::{
    Run,
    draw::{Drawer, With},
    php::Php,
};

pub(crate) fn values_are_what_php_says_they_are(run: &mut Run) -> String {
    let mut php = Php::start();
    for case in 0..run.cases {
        let text = Drawer::new(&mut run.rng, With::NOTHING).lone_value();
        let json = php.bytes("json", &text);
        let theirs: Value = serde_json::from_slice(&json).unwrap();
        let ours: Value = from_slice(&text).unwrap();
        assert_eq!(ours, theirs, "case {case}: {}", text.escape_ascii());
        // Here maps are sorted.
        let theirs = php.bytes("fromJson", &serde_json::to_vec(&ours).unwrap());
        let ours = to_vec(&ours).unwrap();
        let (ours, theirs) = (ours.escape_ascii().to_string(), theirs.escape_ascii().to_string());
        assert_eq!(ours, theirs, "case {case}: {}", text.escape_ascii());
    }
    format!("{} read and written alike", run.cases)
}
