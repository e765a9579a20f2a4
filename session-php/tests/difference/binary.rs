//! The serialisers of extensions.

use session_php::{SerializeHandler, SessionData};

use crate::{
    Run,
    draw::{Drawer, HANDLERS, With},
    php::{Answer, Php},
    sessions::ours,
};

/// What the extension writes of arrays and scalars; of objects the vectors have more.
#[cfg(feature = "msgpack")]
pub(crate) fn msgpack_is_read_and_written_as_the_extension_does(run: &mut Run) -> String {
    let mut php = Php::start();
    let binary = SerializeHandler::Msgpack;
    let mut compared = 0;
    for case in 0..run.cases {
        let from = HANDLERS[case % 3];
        let count = run.rng.usize(0..6);
        let drawn = Drawer::new(&mut run.rng, With::NOTHING).session(from, count);
        let what = drawn.escape_ascii();
        let theirs = php.rewrite(from, &drawn, binary);
        let Answer::Bytes(stored) = &theirs else { continue };
        // The name of a variable may be a number in `php_serialize` only.
        if SessionData::decode(from, drawn.clone()).unwrap().rewritten(binary).is_err() {
            continue;
        }
        assert_eq!(ours(from, &drawn, binary), theirs, "case {case}, {from:?} {what}");
        for to in [SerializeHandler::PhpSerialize, SerializeHandler::PhpBinary, binary] {
            let theirs = php.rewrite(binary, stored, to);
            let ours = ours(binary, stored, to);
            assert_eq!(ours, theirs, "case {case} to {to:?}, {from:?} {what}");
        }
        compared += 1;
    }
    assert!(compared > run.cases / 2, "{compared}");
    format!("{compared} with the same bytes in both directions")
}

#[cfg(feature = "igbinary")]
pub(crate) fn igbinary_is_read_and_written_as_the_extension_does(run: &mut Run) -> String {
    let mut php = Php::start();
    let binary = SerializeHandler::Igbinary;
    let mut compared = 0;
    for case in 0..run.cases {
        let from = HANDLERS[case % 3];
        // The extension forgets in which places a variable stands that holds an object.
        let most = With { references_to_objects: false, ..With::ALL };
        let references = With { repeats: false, ..With::REFERENCES };
        let with = *run.rng.choice(&[most, references, With::OBJECTS]).unwrap();
        let count = run.rng.usize(0..6);
        let drawn = Drawer::new(&mut run.rng, with).session(from, count);
        let what = drawn.escape_ascii();
        let theirs = php.rewrite(from, &drawn, binary);
        let Answer::Bytes(stored) = &theirs else { continue };
        // The name of a variable may be a number in `php_serialize` only.
        if SessionData::decode(from, drawn.clone()).unwrap().rewritten(binary).is_err() {
            continue;
        }
        assert_eq!(ours(from, &drawn, binary), theirs, "case {case}, {from:?} {what}");
        for to in [SerializeHandler::PhpSerialize, SerializeHandler::PhpBinary, binary] {
            let theirs = php.rewrite(binary, stored, to);
            let ours = ours(binary, stored, to);
            assert_eq!(ours, theirs, "case {case} to {to:?}, {from:?} {what}");
        }
        compared += 1;
    }
    assert!(compared > run.cases / 2, "{compared}");
    format!("{compared} with the same bytes in both directions")
}
