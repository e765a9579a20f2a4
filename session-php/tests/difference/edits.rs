//! Sessions in which variables are set and unset.

use session_php::{SessionData, Value};

use crate::{
    Run,
    draw::{Drawer, HANDLERS, With},
    php::{Answer, Php},
    sessions::stored,
};

pub(crate) fn changes_give_phps_bytes(run: &mut Run) -> String {
    let mut php = Php::start();
    // What the session has, and what variables are set to.
    let most = With { references_to_objects: false, ..With::ALL };
    let objects = With { repeats: false, ..With::OBJECTS };
    let pairs = [(most, With::REFERENCES), (objects, objects)];
    let (mut compared, mut spliced) = (0, 0);
    for case in 0..run.cases {
        let handler = HANDLERS[case % 3];
        let count = run.rng.usize(1..7);
        let (with, set) = *run.rng.choice(&pairs).unwrap();
        let drawn = Drawer::new(&mut run.rng, with).session(handler, count);
        // What PHP itself has stored.
        let Answer::Bytes(data) = php.rewrite(handler, &drawn, handler) else { continue };
        let mut session = SessionData::decode(handler, data.clone()).unwrap();
        let mut edits = Vec::new();
        for _ in 0..run.rng.usize(1..5) {
            let names: Vec<&[u8]> = session.names().collect();
            let known = run.rng.choice(&names).map(|name| name.to_vec());
            let new = Drawer::new(&mut run.rng, With::NOTHING).name(handler);
            let name = known.filter(|_| run.rng.u8(0..4) > 0).unwrap_or(new);
            if run.rng.u8(0..3) == 0 {
                session.remove(&name).unwrap();
                edits.push((name, None));
            } else {
                let value = Drawer::new(&mut run.rng, set).lone_value();
                // Not every one that is drawn can be read.
                let Ok(value) = Value::parse(value) else { continue };
                session.insert_value(&name, &value).unwrap();
                edits.push((name, Some(value.serialize().unwrap().to_vec())));
            }
        }
        let theirs = php.edit(handler, &data, &edits);
        let what = || format!("case {case}, {handler:?} {} {edits:?}", data.escape_ascii());
        let rewritten = session.rewritten(handler).unwrap().encode().map(Into::into);
        assert_eq!(stored(handler, rewritten), theirs, "{}", what());
        // PHP does not always write again what it has written before.
        if php.rewrite(handler, &data, handler) == Answer::Bytes(data.clone()) {
            assert_eq!(stored(handler, session.encode().map(Into::into)), theirs, "{}", what());
            spliced += 1;
        }
        compared += 1;
    }
    assert!(spliced > run.cases / 2, "{spliced}");
    format!(
        "{compared} with the same bytes, {spliced} of them with untouched variables as they were"
    )
}
