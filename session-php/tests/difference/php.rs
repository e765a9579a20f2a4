//! The worker's questions and answers.

use std::{fmt, path::Path};

use data_encoding::BASE64;
use session_php::SerializeHandler;
use test_servers::php::Worker;

/// What PHP makes of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// These bytes.
    Bytes(Vec<u8>),
    /// It stores nothing, which is zero bytes.
    Nothing,
    /// It cannot be decoded: PHP destroys the session.
    Refused,
    /// The session is not an array, and is not stored.
    Odd,
    /// A class of PHP's has something against it.
    Class(String),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{}", bytes.escape_ascii()),
            Self::Nothing => f.write_str("nothing"),
            Self::Refused => f.write_str("refused"),
            Self::Odd => f.write_str("not an array"),
            Self::Class(said) => f.write_str(said),
        }
    }
}

/// A PHP that answers.
#[derive(Debug)]
pub(crate) struct Php(Worker);

/// What PHP says when the reason is a class, of which we know nothing.
const OF_CLASSES: &[&str] = &[
    "not found",
    "has no unserializer",
    "is not an enum",
    "Undefined constant",
    "not a case",
    "Creation of dynamic property",
    "Erroneous data format",
];

impl Php {
    pub(crate) fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/difference/worker.php");
        Self(Worker::start(&script).unwrap())
    }

    /// Loads with one serialiser, stores with another.
    pub(crate) fn rewrite(
        &mut self,
        from: SerializeHandler,
        data: &[u8],
        to: SerializeHandler,
    ) -> Answer {
        let data = BASE64.encode(data);
        self.ask(&format!("rewrite {} {data} {}", from.name(), to.name()))
    }

    /// Loads, sets (to what `serialize` wrote) or unsets variables, and stores.
    pub(crate) fn edit(
        &mut self,
        handler: SerializeHandler,
        data: &[u8],
        edits: &[(Vec<u8>, Option<Vec<u8>>)],
    ) -> Answer {
        let edits = edits.iter().map(|(name, value)| {
            let value = value.as_ref().map(|value| BASE64.encode(value)).unwrap_or_default();
            format!(" {}={value}", BASE64.encode(name).replace('=', "."))
        });
        let edits: String = edits.collect();
        self.ask(&format!("edit {} {}{edits}", handler.name(), BASE64.encode(data)))
    }

    /// Bytes from bytes.
    pub(crate) fn bytes(&mut self, function: &str, data: &[u8]) -> Vec<u8> {
        match self.ask(&format!("{function} {}", BASE64.encode(data))) {
            Answer::Bytes(bytes) => bytes,
            other => unreachable!("{function}: {other:?}"),
        }
    }

    /// Floats as `serialize` writes them.
    pub(crate) fn floats(&mut self, precision: &str, floats: &[f64]) -> Vec<u8> {
        let bits: String =
            floats.iter().map(|float| format!(" {:016x}", float.to_bits())).collect();
        match self.ask(&format!("floats {precision}{bits}")) {
            Answer::Bytes(bytes) => bytes,
            other => unreachable!("{other:?}"),
        }
    }

    fn ask(&mut self, question: &str) -> Answer {
        let line = self.0.ask(question).unwrap();
        let (answer, said) = line.split_once('\t').unwrap();
        let said = BASE64.decode(said.as_bytes()).unwrap();
        let said = String::from_utf8_lossy(&said).into_owned();
        if OF_CLASSES.iter().any(|words| said.contains(words)) {
            return Answer::Class(said);
        }
        let (word, bytes) = answer.split_once(' ').unwrap_or((answer, ""));
        let bytes = BASE64.decode(bytes.as_bytes()).unwrap();
        match word {
            "ok" => Answer::Bytes(bytes),
            "none" => Answer::Nothing,
            "refused" => Answer::Refused,
            "odd" => Answer::Odd,
            _ => Answer::Class(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }
}
