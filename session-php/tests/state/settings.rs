//! Settings, read by both.

use std::{error::Error, fs};

use fastrand::Rng;
use session_php::{Settings, settings::Stage, state::Problem};

use crate::php::{Php, encoded};

const BATCH: usize = 200;

const NAMES: [&str; 6] =
    ["cache_expire", "cache_expire", "cookie_lifetime", "cookie_secure", "sid_length", "name"];

fn pieces(rng: &mut Rng, from: &[&str], most: usize) -> String {
    (0..rng.usize(0..=most)).map(|_| *rng.choice(from).unwrap()).collect()
}

/// Something like a number, with a base and a multiplier, and then perhaps with an error in it.
fn number(rng: &mut Rng) -> String {
    const BLANKS: [&str; 4] = [" ", "\t", "\n", "\u{b}"];
    const DIGITS: [&str; 12] =
        ["0", "1", "2", "5", "7", "8", "9", "00", "32", "f", "9223372036854775807", "1844"];
    let blanks =
        |rng: &mut Rng| if rng.u8(0..4) == 0 { pieces(rng, &BLANKS, 2) } else { String::new() };
    let mut text = blanks(rng);
    text += rng.choice(&["", "", "", "", "+", "-"]).unwrap();
    text += rng.choice(&["", "", "", "", "0x", "0X", "0b", "0o", "0", "0x0x", "0z"]).unwrap();
    text += &pieces(rng, &DIGITS, 3);
    text += &blanks(rng);
    text += rng
        .choice(&[
            "", "", "", "k", "K", "M", "g", "G", "kk", "Kb", "x", "\\", "é", "\u{1}", "\u{1b}",
        ])
        .unwrap();
    text + &blanks(rng)
}

fn value(rng: &mut Rng, name: &str) -> String {
    const WORDS: [&str; 12] =
        ["on", "On", "off", "true", "TRUE", "yes", "no", "none", "y", "4294967296", "-1", "0.5"];
    const LETTERS: [&str; 14] =
        ["a", "B", "1", "2", "0", ".", "e", "E", "-", "+", " ", "_", "=", "x"];
    match name {
        "name" => pieces(rng, &LETTERS, 5),
        "sid_length" if rng.bool() => rng.u32(18..262).to_string(),
        "cookie_secure" if rng.bool() => (*rng.choice(&WORDS).unwrap()).to_owned(),
        _ => number(rng),
    }
}

fn ours(settings: &mut Settings, name: &str, value: &str) -> String {
    let (taken, problems) = match settings.set(Stage::Runtime, name, value) {
        Ok(problems) => ("taken", problems),
        Err(refused) => ("refused", refused.problems),
    };
    let said = problems.iter().map(|problem| {
        let function = if matches!(problem, Problem::Quantity { .. }) { "" } else { "ini_set(): " };
        encoded(format!("{function}{problem}").as_bytes())
    });
    [
        taken.to_owned(),
        said.collect::<Vec<_>>().join(","),
        encoded(settings.name.as_bytes()),
        settings.cache_expire.to_string(),
        settings.cookie_lifetime.to_string(),
        u8::from(settings.cookie_secure).to_string(),
        settings.sid_length.to_string(),
    ]
    .join(" ")
}

pub(crate) async fn settings_are_read_as_php_reads_them(
    mut rng: Rng,
    cases: usize,
) -> Result<String, Box<dyn Error>> {
    let php = Php::start().await?;
    let (mut taken, mut said) = (0, 0);
    for _ in 0..cases.div_ceil(BATCH) {
        let pairs: Vec<(String, String)> = (0..BATCH)
            .map(|_| {
                let name = *rng.choice(&NAMES).unwrap();
                (format!("session.{name}"), value(&mut rng, name))
            })
            .collect();
        let job: Vec<[String; 2]> = pairs
            .iter()
            .map(|(name, value)| [encoded(name.as_bytes()), encoded(value.as_bytes())])
            .collect();
        php.give(&serde_json::json!(job));
        php.ask(
            "GET /settings.php HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".as_bytes(),
        );
        let transcript = fs::read_to_string(php.folder().join("transcript"))?;
        let theirs: Vec<&str> = transcript.lines().collect();
        assert_eq!(theirs.len(), BATCH);
        let mut settings = Settings::new(php.version);
        for ((name, value), theirs) in pairs.iter().zip(theirs) {
            // PHP shows half of this letter.
            let theirs = theirs.replace("prefix%20%220%C3%22", "prefix%20%220%C3%A9%22");
            assert_eq!(ours(&mut settings, name, value), theirs, "{name} {value:?}");
            taken += usize::from(theirs.starts_with("taken"));
            said += usize::from(!theirs.split(' ').nth(1).unwrap().is_empty());
        }
    }
    Ok(format!("{taken} taken by both, {said} with the same messages"))
}
