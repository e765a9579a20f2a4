//! What real PHP wrote and how it took what was written, captured once.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::{fs, path::Path};

use data_encoding::HEXLOWER;
use serde_json::Value as Json;
use session_php::{ErrorKind, Precision, SerializeHandler, SessionData, Value};

const HANDLERS: [SerializeHandler; 3] =
    [SerializeHandler::Php, SerializeHandler::PhpBinary, SerializeHandler::PhpSerialize];

fn vectors(file: &str) -> Vec<Json> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(file);
    let json: Json = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    json["vectors"].as_array().unwrap().clone()
}

fn hex(vector: &Json, field: &str) -> Option<Vec<u8>> {
    vector[field].as_str().map(|text| HEXLOWER.decode(text.as_bytes()).unwrap())
}

/// Objects of classes that do not take what was stored as it is.
const OF_CLASSES: &[&str] = &[
    "obj_std_case",
    "obj_vis_unmangled",
    "obj_extra_prop",
    "obj_int_prop",
    "obj_ser8",
    "enum_unknown_case",
    "enum_unknown_class",
    "enum_not_enum",
    "C_unknown",
    "C_not_serializable",
    "C_arrayobject",
];

#[test]
fn stored_bytes_are_taken_as_php_takes_them() {
    let mut compared = 0;
    for vector in vectors("decode-php82.json") {
        let name = vector["name"].as_str().unwrap();
        if OF_CLASSES.contains(&name) || vector["outcome"] == "throws" {
            continue;
        }
        let handler = SerializeHandler::named(vector["handler"].as_str().unwrap()).unwrap();
        let input = hex(&vector, "input").unwrap();
        let session = SessionData::decode(handler, input.clone());
        if vector["outcome"] == "destroyed" {
            let refused = session.unwrap_err().kind();
            assert!(matches!(refused, ErrorKind::Syntax | ErrorKind::Reference), "{name}");
        } else if let Some(rewritten) = hex(&vector, "rewritten") {
            let session = session.unwrap_or_else(|error| unreachable!("{name}: {error}"));
            assert_eq!(session.encode().unwrap(), input, "{name}: it was not touched");
            let ours = session.rewritten(handler).unwrap().encode().unwrap();
            assert_eq!(ours, rewritten, "{name}");
        } else {
            assert_eq!(session.unwrap_err().kind(), ErrorKind::Unsupported, "{name}");
        }
        compared += 1;
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn nesting_ends_where_phps_does() {
    let nested = |depth| format!("a|{}i:1;{}", "a:1:{i:0;".repeat(depth), "}".repeat(depth));
    for depth in [100, 4095, 4096] {
        let session = SessionData::decode(SerializeHandler::Php, nested(depth)).unwrap();
        let rewritten = session.rewritten(SerializeHandler::Php).unwrap();
        assert_eq!(rewritten.encode().unwrap(), nested(depth));
    }
    let refused = SessionData::decode(SerializeHandler::Php, nested(4097)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooDeep);
}

#[test]
fn sessions_are_the_same_in_every_text_serialiser() {
    for vector in vectors("sessions-php82.json") {
        let name = vector["name"].as_str().unwrap();
        for from in HANDLERS {
            let Some(stored) = hex(&vector, from.name()) else { continue };
            let session = SessionData::decode(from, stored.clone()).unwrap();
            assert_eq!(session.rewritten(from).unwrap().encode().unwrap(), stored, "{name}");
            for to in HANDLERS.into_iter().filter(|to| vector[to.name()].is_string()) {
                let Ok(other) = session.rewritten(to) else { continue };
                // Where a serialiser leaves out a variable, they differ.
                if session.names().all(|it| it.len() < 128 && !it.contains(&b'|'))
                    && !name.starts_with("key_")
                {
                    assert_eq!(
                        Some(other.encode().unwrap().to_vec()),
                        hex(&vector, to.name()),
                        "{name}"
                    );
                }
            }
        }
    }
}

#[cfg(feature = "igbinary")]
#[test]
fn sessions_are_the_same_in_igbinary() {
    let binary = SerializeHandler::Igbinary;
    let mut compared = 0;
    for vector in vectors("sessions-php82.json") {
        let name = vector["name"].as_str().unwrap();
        let Some(stored) = hex(&vector, "igbinary") else { continue };
        let session = SessionData::decode(binary, stored.clone()).unwrap();
        // Of a property without a value nothing is kept.
        if name != "val_obj_typed_uninit" {
            assert_eq!(session.rewritten(binary).unwrap().encode().unwrap(), stored, "{name}");
        }
        let text = session.rewritten(SerializeHandler::PhpSerialize);
        if let Some(expected) = hex(&vector, "php_serialize") {
            assert_eq!(text.unwrap().encode().unwrap(), expected, "{name}");
        }
        compared += 1;
    }
    assert!(compared > 80, "{compared}");
}

#[cfg(feature = "msgpack")]
#[test]
fn sessions_are_the_same_in_msgpack_or_refused_by_name() {
    let binary = SerializeHandler::Msgpack;
    let (mut compared, mut refused) = (0, Vec::new());
    for vector in vectors("sessions-php82.json") {
        let name = vector["name"].as_str().unwrap().to_owned();
        let Some(stored) = hex(&vector, "msgpack") else { continue };
        let session = match SessionData::decode(binary, stored.clone()) {
            Ok(session) => session,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}: {error}");
                refused.push(name);
                continue;
            }
        };
        assert_eq!(session.rewritten(binary).unwrap().encode().unwrap(), stored, "{name}");
        compared += 1;
    }
    assert!(compared > 80, "{compared}, without {refused:?}");
}

#[test]
fn values_are_read_and_written_to_the_byte() {
    for vector in vectors("values-php82.json") {
        let name = vector["name"].as_str().unwrap();
        let Some(text) = hex(&vector, "serialize") else { continue };
        let value = Value::parse(text.clone()).unwrap();
        assert_eq!(value.serialize().unwrap(), text, "{name}");
        if let Some(old) = vector["serialize_17"].as_str() {
            assert_eq!(value.serialize_with(Precision::Seventeen).unwrap(), old, "{name}");
        }
    }
}
