//! Whole sessions, loaded and stored.

use session_php::{ErrorKind, Precision, Result, SerializeHandler, SessionData, Value};

use crate::{
    Run,
    draw::{Drawer, HANDLERS, With, any_float},
    php::{Answer, Php},
};

/// What we make of a session.
pub(crate) fn ours(from: SerializeHandler, data: &[u8], to: SerializeHandler) -> Answer {
    let session = match SessionData::decode(from, data.to_vec()) {
        Ok(session) => session,
        Err(error) if error.kind() == ErrorKind::Unsupported => return Answer::Odd,
        Err(_) => return Answer::Refused,
    };
    stored(to, session.rewritten(to).and_then(|session| session.encode()).map(Into::into))
}

/// As PHP says it.
pub(crate) fn stored(handler: SerializeHandler, bytes: Result<Vec<u8>>) -> Answer {
    match bytes {
        Err(error) => unreachable!("{error} ({:?})", error.kind()),
        Ok(none) if none.is_empty() && handler != SerializeHandler::PhpSerialize => Answer::Nothing,
        Ok(bytes) => Answer::Bytes(bytes),
    }
}

pub(crate) fn sessions_are_read_and_written_as_php_does(run: &mut Run) -> String {
    let mut php = Php::start();
    let (mut stored, mut refused) = (0, 0);
    for case in 0..run.cases {
        let from = HANDLERS[case % 3];
        let to = HANDLERS[case / 3 % 3];
        let count = run.rng.usize(0..6);
        let with = *run.rng.choice(&[With::ALL, With::REFERENCES, With::OBJECTS]).unwrap();
        let data = Drawer::new(&mut run.rng, with).session(from, count);
        let to = if from == SerializeHandler::PhpSerialize { from } else { to };
        let theirs = php.rewrite(from, &data, to);
        let what = data.escape_ascii();
        assert_eq!(ours(from, &data, to), theirs, "{}: case {case}, {from:?} {what}", run.name);
        match theirs {
            Answer::Refused => refused += 1,
            _ => stored += 1,
        }
    }
    assert!(stored > run.cases / 2, "{stored} were stored");
    format!("{stored} with the same bytes, {refused} refused by both")
}

pub(crate) fn floats_have_phps_digits(run: &mut Run) -> String {
    let mut php = Php::start();
    for (setting, precision) in [("-1", Precision::Shortest), ("17", Precision::Seventeen)] {
        let floats: Vec<f64> = (0..run.cases / 2).map(|_| any_float(&mut run.rng)).collect();
        let theirs = floats.chunks(100).flat_map(|floats| php.floats(setting, floats));
        let theirs: Vec<u8> = theirs.collect();
        let text = |float| Value::from_serde(float)?.serialize_with(precision);
        let ours: Vec<u8> = floats.iter().flat_map(|float| text(float).unwrap()).collect();
        let pairs = ours.split(|byte| *byte == b';').zip(theirs.split(|byte| *byte == b';'));
        for (ours, theirs) in pairs {
            let (ours, theirs) = (ours.escape_ascii(), theirs.escape_ascii());
            assert_eq!(ours.to_string(), theirs.to_string(), "precision {setting}");
        }
        assert_eq!(ours.len(), theirs.len());
    }
    "all with the same text".to_owned()
}
