//! Sessions with something broken in them.

use fastrand::Rng;

use crate::{
    Run,
    draw::{Drawer, HANDLERS, With},
    php::{Answer, Php},
    sessions::ours,
};

pub(crate) fn what_php_refuses_is_refused_and_nothing_else(run: &mut Run) -> String {
    let mut php = Php::start();
    let (mut stored, mut refused, mut of_classes) = (0, 0, 0);
    for case in 0..run.cases {
        let handler = HANDLERS[case % 3];
        let count = run.rng.usize(1..4);
        let objects = With { classes: false, ..With::OBJECTS };
        let with = *run.rng.choice(&[With::REFERENCES, objects]).unwrap();
        let mut data = Drawer::new(&mut run.rng, with).session(handler, count);
        for _ in 0..run.rng.usize(1..3) {
            mutate(&mut run.rng, &mut data);
        }
        let theirs = php.rewrite(handler, &data, handler);
        let ours = ours(handler, &data, handler);
        match &theirs {
            // Classes are for PHP to know, and to complain about.
            Answer::Class(_) => {
                of_classes += 1;
                continue;
            }
            Answer::Refused => refused += 1,
            _ => stored += 1,
        }
        let what = data.escape_ascii();
        assert!(alike(&ours, &theirs), "case {case}, {handler:?} {what}\n{ours:?}\n{theirs:?}");
    }
    assert!(stored > run.cases / 10 && refused > run.cases / 10, "{stored}, {refused}");
    format!(
        "{stored} stored by both with the same bytes, {refused} refused by both, {of_classes} a matter of classes"
    )
}

/// PHP writes the name of a class as it is declared, whatever was read. Capitals make a difference
/// in `r:` and `R:` alone.
fn alike(ours: &Answer, theirs: &Answer) -> bool {
    match (ours, theirs) {
        (Answer::Bytes(ours), Answer::Bytes(theirs)) => {
            let references = |bytes: &[u8]| -> Vec<u8> {
                let pairs = bytes.windows(2).filter(|pair| matches!(pair, [b'r' | b'R', b':']));
                pairs.map(|pair| pair[0]).collect()
            };
            ours.eq_ignore_ascii_case(theirs) && references(ours) == references(theirs)
        }
        // A session that contains itself.
        (Answer::Odd, Answer::Nothing) => true,
        _ => ours == theirs,
    }
}

fn mutate(rng: &mut Rng, data: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    let at = rng.usize(0..data.len());
    let byte = *rng.choice(b"\0\"0123456789:;{}|abdeinrsEINORS+-.\\\x7f\xff").unwrap();
    match rng.u8(0..9) {
        0 => data[at] = byte,
        1 => data.insert(at, byte),
        2 => _ = data.remove(at),
        3 => data.truncate(at),
        4 => data[at] ^= 1 << rng.u8(0..8),
        5 => {
            let end = (at + rng.usize(1..20)).min(data.len());
            let piece = data[at..end].to_vec();
            let to = rng.usize(0..=data.len());
            data.splice(to..to, piece);
        }
        6 => {
            let end = (at + rng.usize(1..20)).min(data.len());
            data.drain(at..end);
        }
        _ => {
            // A number becomes another.
            let digits = data.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit());
            let digits: Vec<usize> = digits.map(|(at, _)| at).collect();
            if let Some(at) = rng.choice(&digits) {
                data[*at] = rng.u8(b'0'..=b'9');
            }
        }
    }
}
