//! What a session does with its variables.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use session_php::{
    ErrorKind, Kind, Limits, ObjectKind, Property, SerializeHandler, SessionData, Value,
    Visibility, from_slice, to_vec,
};

fn session(text: &str) -> SessionData {
    SessionData::decode(SerializeHandler::Php, text.to_owned()).unwrap()
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    age: u8,
    score: f64,
    mail: Option<String>,
    roles: Vec<Role>,
    tags: BTreeMap<u16, bool>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Role {
    Admin,
    Editor(String),
    Guest { until: i64 },
}

#[test]
fn structs_and_enums_are_arrays_and_come_back() {
    let user = User {
        name: "Ada".into(),
        age: 36,
        score: 0.5,
        mail: None,
        roles: vec![Role::Admin, Role::Editor("news".into()), Role::Guest { until: -1 }],
        tags: BTreeMap::from([(7, true)]),
    };
    let mut data = SessionData::new(SerializeHandler::Php);
    data.insert("user", &user).unwrap();
    assert_eq!(
        data.encode().unwrap(),
        "user|a:6:{s:4:\"name\";s:3:\"Ada\";s:3:\"age\";i:36;s:5:\"score\";d:0.5;s:4:\"mail\";N;s:5:\"roles\";a:3:{i:0;s:5:\"Admin\";i:1;a:1:{s:6:\"Editor\";s:4:\"news\";}i:2;a:1:{s:5:\"Guest\";a:1:{s:5:\"until\";i:-1;}}}s:4:\"tags\";a:1:{i:7;b:1;}}"
    );
    assert_eq!(data.get::<User>("user").unwrap(), Some(user));
}

#[test]
fn objects_are_read_by_plain_names_and_enums_by_their_case() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Seen {
        a: i64,
        b: String,
        role: Role,
    }
    let text = b"O:3:\"Foo\":3:{s:4:\"\0*\0a\";i:5;s:6:\"\0Foo\0b\";s:1:\"x\";s:4:\"role\";E:10:\"Role:Admin\";}";
    let seen: Seen = from_slice(text).unwrap();
    assert_eq!(seen, Seen { a: 5, b: "x".into(), role: Role::Admin });

    let value = Value::parse(text.to_vec()).unwrap();
    let Kind::Object(object) = value.view().kind() else { unreachable!() };
    assert_eq!(object.class(), b"Foo");
    let visibility = object.entries().keys().map(|key| match key {
        session_php::KeyRef::Str(name) => Property::of(name).visibility,
        session_php::KeyRef::Int(_) => unreachable!(),
    });
    let expected = [Visibility::Protected, Visibility::Private(b"Foo"), Visibility::Public];
    assert!(visibility.eq(expected));
    let Some(Kind::Object(role)) = value.view().get("role").map(|role| role.kind()) else {
        unreachable!()
    };
    assert_eq!(role.class(), b"Role");
    assert!(matches!(role.kind(), ObjectKind::Enum { case: b"Admin" }));
}

#[test]
fn the_same_object_is_seen_to_be_the_same() {
    let value = Value::parse("a:3:{i:0;O:1:\"A\":0:{}i:1;r:2;i:2;O:1:\"A\":0:{}}").unwrap();
    let Kind::Array(entries) = value.view().kind() else { unreachable!() };
    let mut objects = entries.iter().map(|(_, view)| match view.kind() {
        Kind::Object(object) => object,
        _ => unreachable!(),
    });
    let [first, second, third] = std::array::from_fn(|_| objects.next().unwrap());
    assert_eq!(first, second);
    assert_ne!(first, third);
}

#[test]
fn what_is_not_touched_goes_back_as_it_came() {
    let untouched = "f|d:0.10000000000000001;n|i:+007;s|s:03:\"abc\";";
    let mut data = session(&format!("{untouched}x|i:1;"));
    data.insert("x", "changed").unwrap();
    data.insert("y", &true).unwrap();
    assert_eq!(data.encode().unwrap(), format!("{untouched}x|s:7:\"changed\";y|b:1;"));
    assert!(data.remove("x").unwrap() && data.remove("y").unwrap() && !data.remove("z").unwrap());
    assert_eq!(data.encode().unwrap(), untouched);
}

#[test]
fn references_are_numbered_anew_when_variables_before_them_change() {
    let mut data = session("n|i:1;o|O:1:\"A\":0:{}same|r:2;f|d:0.10;v|i:5;w|R:5;");
    data.insert("n", &[1, 2]).unwrap();
    let longer = "n|a:2:{i:0;i:1;i:1;i:2;}o|O:1:\"A\":0:{}same|r:4;f|d:0.10;v|i:5;w|R:7;";
    assert_eq!(data.encode().unwrap(), longer);
    data.remove("n").unwrap();
    assert_eq!(data.encode().unwrap(), "o|O:1:\"A\":0:{}same|r:1;f|d:0.10;v|i:5;w|R:4;");
}

#[test]
fn a_variable_that_is_another_by_reference_changes_it() {
    let mut data = session("a|i:1;b|R:1;");
    data.insert("b", "new").unwrap();
    assert_eq!(data.get::<String>("a").unwrap().unwrap(), "new");
    assert_eq!(data.encode().unwrap(), "a|s:3:\"new\";b|R:1;");
}

#[test]
fn what_another_variable_uses_stays_when_its_owner_goes() {
    let mut data = session("a|a:1:{i:0;O:1:\"A\":1:{s:1:\"x\";i:9;}}b|r:2;");
    data.remove("a").unwrap();
    assert_eq!(data.encode().unwrap(), "b|O:1:\"A\":1:{s:1:\"x\";i:9;}");
}

#[test]
fn names_that_php_would_lose_are_refused() {
    let refused = |handler, name: &str| {
        let refused = SessionData::new(handler).insert(name, &1);
        refused.is_err_and(|error| error.kind() == ErrorKind::Name)
    };
    let long = "x".repeat(128);
    assert!(refused(SerializeHandler::Php, "a|b") && refused(SerializeHandler::Php, "7"));
    assert!(
        refused(SerializeHandler::PhpBinary, &long) && refused(SerializeHandler::PhpBinary, "-7")
    );
    assert!(!refused(SerializeHandler::Php, &long) && !refused(SerializeHandler::PhpBinary, "a|b"));
    assert!(
        !refused(SerializeHandler::PhpSerialize, "a|b")
            && !refused(SerializeHandler::PhpSerialize, "7")
    );
}

#[test]
fn numbers_are_names_in_php_serialize() {
    let mut data = SessionData::decode(SerializeHandler::PhpSerialize, "a:1:{i:7;i:1;}").unwrap();
    data.insert("7", &2).unwrap();
    data.insert("07", &3).unwrap();
    assert_eq!(data.encode().unwrap(), "a:2:{i:7;i:2;s:2:\"07\";i:3;}");
    data.clear();
    assert_eq!(data.encode().unwrap(), "a:0:{}");
}

#[test]
fn errors_say_where_and_repeat_nothing() {
    let error = SessionData::decode(SerializeHandler::Php, "a|i:1;secret|i:x;").unwrap_err();
    assert_eq!((error.kind(), error.offset()), (ErrorKind::Syntax, Some(15)));
    let value = Value::parse("s:6:\"secret\";").unwrap();
    let shown = format!("{error} {error:?} {value:?} {}", value.to::<u8>().unwrap_err());
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn what_php_has_no_form_for_is_refused() {
    assert_eq!(to_vec(&u64::MAX).unwrap_err().kind(), ErrorKind::Unsupported);
    let floats = vec![(1.5_f64.to_bits(), ()); 1];
    assert!(to_vec(&floats).is_ok());
    let keys = std::collections::HashMap::from([([1, 2], 0)]);
    assert_eq!(to_vec(&keys).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn values_with_references_are_read_as_they_are_now() {
    let list = |number| Value::parse(format!("a:2:{{i:0;i:{number};i:1;R:2;}}")).unwrap();
    let mut data = session("x|a:2:{i:0;i:1;i:1;R:2;}y|i:1;");
    let read = |data: &SessionData| data.get::<[u8; 2]>("x").unwrap();
    assert_eq!((read(&data), read(&data)), (Some([1, 1]), Some([1, 1])));
    data.insert_value("x", &list(7)).unwrap();
    assert_eq!(read(&data), Some([7, 7]));
    data.remove("y").unwrap();
    assert_eq!(read(&data), Some([7, 7]));
    data.remove("x").unwrap();
    assert_eq!(read(&data), None);
    data.insert_value("x", &list(8)).unwrap();
    assert_eq!(read(&data), Some([8, 8]));
    data.clear();
    assert_eq!(read(&data), None);
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let nested = |depth| {
        let text = format!("{}N;{}", "a:1:{i:0;".repeat(depth), "}".repeat(depth));
        Value::parse(text).unwrap()
    };
    let encode = |handler, value: &Value| {
        let mut data = SessionData::new(handler);
        data.insert_value("a", value).unwrap();
        let stored = data.encode()?;
        assert!(SessionData::decode(handler, stored.clone()).is_ok());
        Ok(stored)
    };
    let refused = |handler, depth| {
        encode(handler, &nested(depth)).map_err(|error: session_php::Error| error.kind())
    };
    assert!(refused(SerializeHandler::Php, 4096).is_ok());
    // The array of variables is a level too.
    assert!(refused(SerializeHandler::PhpSerialize, 4095).is_ok());
    assert_eq!(refused(SerializeHandler::PhpSerialize, 4096), Err(ErrorKind::TooDeep));

    let limits = Limits::new().values(6);
    let mut data = SessionData::decode_within(SerializeHandler::PhpBinary, "", limits).unwrap();
    data.insert("a", &[1, 2]).unwrap();
    data.insert("b", &[1, 2]).unwrap();
    assert!(data.encode().is_ok());
    data.insert("c", &1).unwrap();
    assert_eq!(data.encode().unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn the_case_of_an_enum_is_one_object() {
    let case = Value::parse("E:6:\"Unit:A\";").unwrap();
    let mut data = SessionData::new(SerializeHandler::Php);
    data.insert_value("a", &case).unwrap();
    data.insert_value("b", &case).unwrap();
    assert_eq!(data.encode().unwrap(), "a|E:6:\"Unit:A\";b|r:1;");
}
