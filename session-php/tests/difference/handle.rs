//! Sessions as the session handle reads and writes them.

use std::collections::BTreeMap;

use session_core::{Format as _, decode_as};
use session_php::{PhpFormat, Value};

use crate::{
    Run,
    draw::{Drawer, HANDLERS, With},
    php::{Answer, Php},
    sessions::stored,
};

pub(crate) fn entries_are_set_and_removed_as_php_does(run: &mut Run) -> String {
    let mut php = Php::start();
    let most = With { references_to_objects: false, ..With::ALL };
    let objects = With { repeats: false, ..With::OBJECTS };
    let pairs = [(most, With::REFERENCES), (objects, objects), (With::NOTHING, With::NOTHING)];
    let (mut compared, mut read) = (0, 0);
    for case in 0..run.cases {
        let handler = HANDLERS[case % 3];
        let count = run.rng.usize(1..7);
        let (with, set) = *run.rng.choice(&pairs).unwrap();
        let drawn = Drawer::new(&mut run.rng, with).session(handler, count);
        let Answer::Bytes(data) = php.rewrite(handler, &drawn, handler) else { continue };
        let format = PhpFormat::new(handler);
        // Names that are not UTF-8 are drawn too.
        let Ok(mut document) = format.decode(&data.clone().into()) else { continue };
        let codec = document.header.codec;
        let mut edits = BTreeMap::new();
        for name in document.entries.names() {
            match run.rng.u8(0..4) {
                0 => _ = edits.insert(name.to_owned(), None),
                1 => _ = edits.insert(name.to_owned(), Some(Vec::new())),
                _ => {}
            }
        }
        for number in 0..run.rng.usize(0..3) {
            edits.insert(format!("new{number}"), Some(Vec::new()));
        }
        edits.retain(|name, edit| {
            let Some(text) = edit else { return document.entries.remove(name).is_some() };
            let value = Value::parse(Drawer::new(&mut run.rng, set).lone_value());
            *text = value.map_or(b"N;".to_vec(), |value| value.serialize().unwrap().to_vec());
            if let Ok(json) = session_php::from_slice::<serde_json::Value>(text) {
                // What serde makes of it is what the other side is told.
                *text = format.encode_value(codec, &json).unwrap().to_vec();
                let again: serde_json::Value = session_php::from_slice(text).unwrap();
                assert_eq!(decode_as::<serde_json::Value>(&format, codec, text).unwrap(), again);
                read += 1;
            }
            // To set what is there already is no change.
            document.entries.insert(name, text.clone()).is_none_or(|old| old != *text)
        });
        let (set, unset): (Vec<_>, Vec<_>) =
            edits.into_iter().partition(|(_, edit)| edit.is_some());
        let edits = unset.into_iter().chain(set).map(|(name, edit)| (name.into_bytes(), edit));
        let edits: Vec<_> = edits.collect();
        let theirs = php.edit(handler, &data, &edits);
        // PHP does not always write again what it has written before.
        if php.rewrite(handler, &data, handler) == Answer::Bytes(data.clone()) {
            let ours = stored(handler, Ok(format.encode(&document).unwrap().to_vec()));
            assert_eq!(ours, theirs, "case {case}, {handler:?} {} {edits:?}", data.escape_ascii());
            compared += 1;
        }
    }
    assert!(compared > run.cases / 2, "{compared}");
    format!("{compared} with the same bytes, {read} values through serde")
}
