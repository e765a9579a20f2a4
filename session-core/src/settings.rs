//! Settings of a store that stand in the query of its URL.
//!
//! A store has a table of [`Setting`]s, and [`read`]s a query with it. Keys of our own begin with
//! `session.`; others belong to the store's client. A key that is not in the table is an error that
//! names the most similar one; values, which may be passwords, are in no error.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::{Error, ErrorKind, Operation, Result};

/// The longest name that an error repeats.
const NAME_LIMIT: usize = 64;

/// One setting of a configuration `C`.
#[derive(Debug, Clone, Copy)]
pub struct Setting<C> {
    name: &'static str,
    form: &'static str,
    set: fn(&mut C, &str) -> Option<()>,
}

impl<C> Setting<C> {
    /// The setting with the key `name`. `form` says in an error what its value looks like, as in
    /// "a number"; `set` puts a value into the configuration, or refuses it with `None`.
    #[must_use]
    pub const fn new(
        name: &'static str,
        form: &'static str,
        set: fn(&mut C, &str) -> Option<()>,
    ) -> Self {
        Self { name, form, set }
    }

    /// The key.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// Puts the settings in `query`, which is what comes after the `?`, into `config`.
///
/// Values are percent-decoded; a `+` stays a `+`. The last of several values of one key counts.
///
/// # Errors
/// [`Config`](ErrorKind::Config) of `backend`, which names the key at fault but never a value.
pub fn read<C>(
    backend: &'static str,
    settings: &[Setting<C>],
    query: &str,
    config: &mut C,
) -> Result<()> {
    let wrong = |detail: String| {
        Error::new(ErrorKind::Config, backend, Operation::Open).with_detail(detail)
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let setting = settings.iter().find(|setting| setting.name == name);
        let setting = setting.ok_or_else(|| wrong(unknown(settings, pair)))?;
        let value = percent_decode_str(value).decode_utf8().ok();
        value
            .and_then(|value| (setting.set)(config, &value))
            .ok_or_else(|| wrong(format!("{name} needs {}", setting.form)))?;
    }
    Ok(())
}

/// Reads a time like `500ms` or `5s`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(millis) => millis.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
    }
}

/// What to say of a pair whose key is not known. What does not look like a key is not repeated: it
/// may be the rest of a password with a `&` in it.
fn unknown<C>(settings: &[Setting<C>], pair: &str) -> String {
    let names: Vec<&str> = settings.iter().map(Setting::name).collect();
    let all = names.join(", ");
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    match pair.split_once('=') {
        Some((name, _)) if name.len() <= NAME_LIMIT && name.bytes().all(plain) => {
            let nearest = names.iter().min_by_key(|known| distance(name, known)).unwrap_or(&"");
            format!("unknown key {name}; did you mean {nearest}? Keys are {all}")
        }
        _ => format!("what is not key=value; a & in a value is written %26. Keys are {all}"),
    }
}

/// How many characters must be put in, taken out or changed to make `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (n, left) in a.chars().enumerate() {
        let mut next = vec![n + 1];
        for ((right, corner), above) in b.chars().zip(&row).zip(row.iter().skip(1)) {
            let beside = next.last().copied().unwrap_or_default();
            let change = corner + usize::from(left != right);
            next.push(change.min(above + 1).min(beside + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &[Setting<Vec<String>>] = &[
        Setting::new("session.apple", "a word", |words, word| {
            (!word.is_empty()).then(|| words.push(word.to_owned()))
        }),
        Setting::new("session.pear", "nothing", |_, _| None),
    ];

    fn text(query: &str) -> String {
        read("test", SETTINGS, query, &mut Vec::new()).unwrap_err().to_string()
    }

    #[test]
    fn values_are_decoded_and_set_in_order() {
        let mut words = Vec::new();
        read("test", SETTINGS, "session.apple=a%26b+c&&session.apple=d=e", &mut words).unwrap();
        assert_eq!(words, ["a&b+c", "d=e"]);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_nearest_match() {
        let text = text("session.aple=s3cret");
        assert!(text.contains("session.aple; did you mean session.apple?"), "{text}");
        assert!(text.contains("session.pear"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }

    #[test]
    fn a_refused_value_is_not_repeated() {
        for query in ["session.pear=s3cret", "session.apple", "session.apple=%ffs3cret"] {
            let text = text(query);
            assert!(text.contains(" needs "), "{text}");
            assert!(!text.contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn what_may_be_the_rest_of_a_value_is_not_repeated() {
        let long = format!("{}=1", "s3cret".repeat(11));
        for rest in ["s3cret", "S3cret=", "%73s3cret=1", "s3cret\n=1", &long] {
            let text = text(&format!("session.apple=a&{rest}"));
            assert!(!text.to_lowercase().contains("3cret"), "{text}");
            assert!(text.contains("%26"), "{text}");
        }
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("5s"), Some(Duration::from_secs(5)));
        for text in ["", "5", "s", "ms", "-1s", "1.5s", "1 s", "5m"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
