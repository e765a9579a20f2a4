//! PHP's ini files.

use std::collections::BTreeMap;

use crate::Refusal;

/// Settings by their names, as ini files or pairs give them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ini(BTreeMap<String, Value>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    /// What only PHP can work out: operators, constants beside text.
    Unknown,
}

impl Ini {
    /// Reads an ini file. `${NAME}` stands for a setting that came before, else for what
    /// `variable` says, which is usually the environment; since PHP 8.3 `${NAME:-default}` is
    /// allowed.
    ///
    /// Settings in sections are taken as they come, as PHP does it; those of `[PATH=…]` and `[HOST=…]`
    /// hold for some requests only and are left out. What only PHP can work out, such as
    /// `E_ALL & ~E_NOTICE`, is refused when it is asked for.
    ///
    /// # Errors
    /// What is not an ini file; the parameter is then the number of the line.
    pub fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, Refusal> {
        let mut reader = Reader { rest: text, line: 1, ini: Self::default(), variable };
        reader.file()?;
        Ok(reader.ini)
    }

    /// A setting; none where nothing sets it.
    ///
    /// # Errors
    /// When only PHP can work it out.
    pub fn get(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Unknown) => {
                Err(Refusal::new(name, "the value is an expression, which only PHP can work out"))
            }
        }
    }

    /// Sets a setting.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), Value::Text(value.into()));
    }

    /// The names and values of all settings that have one, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| match value {
            Value::Text(text) => Some((name.as_str(), text.as_str())),
            Value::Unknown => None,
        })
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Ini {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let text = |(name, value): (N, V)| (name.into(), Value::Text(value.into()));
        Self(pairs.into_iter().map(text).collect())
    }
}

struct Reader<'a, F> {
    rest: &'a str,
    line: usize,
    ini: Ini,
    variable: F,
}

/// What ends an unquoted piece of a value, or makes it an expression.
const SPECIAL: &[char] = &['\n', '\r', ';', '"', '\'', '$', '|', '&', '^', '~', '!', '(', ')', '='];
const OPERATORS: &[char] = &['|', '&', '^', '~', '!', '(', ')'];

impl<F: Fn(&str) -> Option<String>> Reader<'_, F> {
    fn refuse(&self, reason: &str) -> Refusal {
        Refusal::new(format!("line {}", self.line), reason)
    }

    fn file(&mut self) -> Result<(), Refusal> {
        let mut counts = true;
        loop {
            self.skip_blank();
            match self.rest.chars().next() {
                None => return Ok(()),
                Some(';') => self.skip_line(),
                Some('[') => {
                    let line = self.take_until(&['\n', '\r']);
                    let Some((section, _)) = line.split_once(']') else {
                        return Err(self.refuse("a section does not end"));
                    };
                    let kind = section.trim_start_matches(['[', ' ']).to_ascii_uppercase();
                    counts = !kind.starts_with("PATH=") && !kind.starts_with("HOST=");
                }
                Some(_) => self.setting(counts)?,
            }
        }
    }

    fn setting(&mut self, counts: bool) -> Result<(), Refusal> {
        let name = self.take_until(&['=', '\n', '\r', ';']).trim_end().to_owned();
        if name.contains(['"', '\'', '$', '{', '}', '|', '&', '~', '!', '(', ')', '^']) {
            return Err(self.refuse("this is not the name of a setting"));
        }
        if !self.rest.starts_with('=') {
            return Ok(());
        }
        self.skip(1);
        let value = self.value()?;
        if counts {
            self.ini.0.insert(name, value);
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Value, Refusal> {
        let (mut text, mut bare, mut known) = (String::new(), true, true);
        loop {
            let piece = self.take_until(SPECIAL);
            text.push_str(piece.trim_start_matches([' ', '\t']).trim_end_matches(' '));
            match self.rest.chars().next() {
                None | Some('\n' | '\r' | ';') => break,
                Some('"') => {
                    bare = false;
                    self.skip(1);
                    self.quoted(&mut text)?;
                }
                Some('\'') => {
                    bare = false;
                    self.skip(1);
                    text.push_str(self.take_until(&['\'']));
                    if self.rest.is_empty() {
                        return Err(self.refuse("a quoted text does not end"));
                    }
                    self.skip(1);
                }
                Some('$') if self.rest.starts_with("${") => {
                    bare = false;
                    self.reference(&mut text)?;
                }
                Some(other) => {
                    known = known && !OPERATORS.contains(&other);
                    if matches!(other, '{' | '}' | '=') {
                        return Err(
                            self.refuse("a brace or an equals sign in a value needs quotes")
                        );
                    }
                    text.push(other);
                    self.skip(other.len_utf8());
                }
            }
        }
        self.skip_line();
        Ok(match (known, bare) {
            (false, _) => Value::Unknown,
            (true, true) => Value::Text(word(text)),
            (true, false) => Value::Text(text),
        })
    }

    fn quoted(&mut self, text: &mut String) -> Result<(), Refusal> {
        loop {
            text.push_str(self.take_until(&['"', '\\', '$']));
            let mut next = self.rest.chars();
            match (next.next(), next.next()) {
                (None, _) => return Err(self.refuse("a quoted text does not end")),
                (Some('"'), _) => {
                    self.skip(1);
                    return Ok(());
                }
                (Some('\\'), Some(escaped @ ('"' | '\\' | '\''))) => {
                    text.push(escaped);
                    self.skip(2);
                }
                (Some('$'), Some('{')) => self.reference(text)?,
                (Some(plain), _) => {
                    text.push(plain);
                    self.skip(1);
                }
            }
        }
    }

    /// `${NAME}` or `${NAME:-default}`.
    fn reference(&mut self, text: &mut String) -> Result<(), Refusal> {
        self.skip(2);
        let name = self.take_until(&['}', '\n']).to_owned();
        if !self.rest.starts_with('}') {
            return Err(self.refuse("a reference to a variable does not end"));
        }
        self.skip(1);
        let (name, default) = name.split_once(":-").unwrap_or((&name, ""));
        let set = match self.ini.0.get(name) {
            Some(Value::Text(value)) => Some(value.clone()),
            _ => (self.variable)(name),
        };
        text.push_str(set.filter(|set| !set.is_empty()).as_deref().unwrap_or(default));
        Ok(())
    }

    /// Everything before one of these characters, or before the end.
    fn take_until(&mut self, ends: &[char]) -> &str {
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn skip_blank(&mut self) {
        let rest = self.rest.trim_start();
        self.line +=
            self.rest.len().checked_sub(rest.len()).map_or(0, |blank| {
                self.rest.get(..blank).unwrap_or_default().matches('\n').count()
            });
        self.rest = rest;
    }

    fn skip_line(&mut self) {
        self.take_until(&['\n', '\r']);
    }
}

/// What PHP makes of a word without quotes.
fn word(text: String) -> String {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" => "1".to_owned(),
        "false" | "off" | "no" | "none" | "null" => String::new(),
        _ => text,
    }
}
