//! Statements with named values.
//!
//! A statement is written once, with `:name` where a value goes, and rendered for an engine: the text
//! with that engine's placeholders, and the names in their order.

use std::sync::Arc;

use crate::Engine;

/// A value that a statement takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arg<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    /// No bytes.
    Null,
}

impl Arg<'_> {
    /// So many bytes of a message at most.
    pub(crate) const fn weight(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len() + 9,
            Self::Int(_) | Self::Null => 12,
        }
    }
}

/// A value in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Int(i64),
    Bytes(Vec<u8>),
    Null,
}

/// A statement for one engine.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    /// The text, with the engine's placeholders.
    pub(crate) text: Arc<str>,
    /// Which value goes to which placeholder.
    pub(crate) names: Arc<[Name]>,
    /// Whether it only reads.
    pub(crate) reads: bool,
    /// Whether it returns one row at most, by what it asks for.
    pub(crate) one_row: bool,
}

/// Defines the names of values, and the values.
macro_rules! values {
    ($($(#[$doc:meta])* $name:ident: $kind:ident($type:ty),)*) => {
        /// The name of a value.
        #[expect(non_camel_case_types, reason = "spelled as in the statements")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Name { $($name,)* }

        impl Name {
            fn parse(text: &str) -> Option<Self> {
                match text {
                    $(stringify!($name) => Some(Self::$name),)*
                    _ => None,
                }
            }
        }

        /// The values of one execution; those that a statement does not name are not looked at.
        #[derive(Debug, Clone, Copy, Default)]
        pub(crate) struct Given<'a> { $($(#[$doc])* pub(crate) $name: $type,)* }

        impl<'a> Given<'a> {
            fn get(&self, name: Name) -> Arg<'a> {
                match name { $(Name::$name => values!(@arg $kind self.$name),)* }
            }
        }
    };
    (@arg Int $value:expr) => { Arg::Int($value) };
    (@arg Bytes $value:expr) => { Arg::Bytes($value) };
    (@arg Maybe $value:expr) => { $value.map_or(Arg::Null, Arg::Bytes) };
}

values! {
    digest: Bytes(&'a [u8]),
    /// The incarnation that the record must be of.
    incarnation: Bytes(&'a [u8]),
    /// The revision that it must be at.
    from: Bytes(&'a [u8]),
    /// The one that it comes to, with the token of the commit.
    to: Bytes(&'a [u8]),
    ttl: Int(i64),
    absolute: Int(i64),
    principal: Maybe(Option<&'a [u8]>),
    epoch: Int(i64),
    data: Bytes(&'a [u8]),
    lease: Bytes(&'a [u8]),
    duration: Int(i64),
    /// For how long whoever does not get the lock is to be told that it is free.
    mark: Int(i64),
    /// Bounds of the deadlines that a sweep removes.
    low: Int(i64),
    high: Int(i64),
    after: Bytes(&'a [u8]),
    limit: Int(i64),
    empty: Bytes(&'a [u8]),
    never: Int(i64),
}

impl Statement {
    /// Renders a text, in which every name after a colon must be one of a value.
    pub(crate) fn new(engine: Engine, source: &str) -> Self {
        let (mut text, mut names) = (String::with_capacity(source.len()), Vec::new());
        let lines = source.lines().filter(|line| !line.trim_start().starts_with("--"));
        for word in lines.flat_map(|line| line.split_inclusive(ends_name).chain(["\n"])) {
            let end = word.trim_end_matches(ends_name).len();
            let (head, tail) = word.split_at(end);
            match head.rsplit_once(':').map(|(before, name)| (before, Name::parse(name))) {
                Some((before, Some(name))) => {
                    text.push_str(before);
                    text.push_str(&placeholder(engine, name, &mut names));
                }
                _ => text.push_str(head),
            }
            text.push_str(if tail == "\n" { " " } else { tail });
        }
        Self { names: names.into(), ..Self::plain(text.trim().into()) }
    }

    /// A text for one engine, with that engine's placeholders.
    pub(crate) fn plain(text: Arc<str>) -> Self {
        let reads = text.starts_with("SELECT");
        Self { text, names: Arc::new([]), reads, one_row: false }
    }

    /// The same, which returns one row at most.
    pub(crate) fn of_one_row(self) -> Self {
        Self { one_row: true, ..self }
    }

    /// The values in the order of the placeholders.
    pub(crate) fn values<'a>(&self, given: &Given<'a>) -> Vec<Arg<'a>> {
        self.names.iter().map(|name| given.get(*name)).collect()
    }
}

/// Whether a character cannot be part of a name with its colon.
fn ends_name(character: char) -> bool {
    !character.is_ascii_alphanumeric() && character != '_' && character != ':'
}

/// Where a value goes. PostgreSQL takes one for several places.
fn placeholder(engine: Engine, name: Name, names: &mut Vec<Name>) -> String {
    let known = names.iter().position(|known| *known == name);
    let at = known.filter(|_| engine == Engine::Postgres).unwrap_or_else(|| {
        names.push(name);
        names.len() - 1
    });
    if engine == Engine::Postgres { format!("${}", at + 1) } else { "?".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_placeholders_in_their_order() {
        let source =
            "-- Says :nothing.\nSELECT :ttl, a::bigint\nFROM t WHERE d = :digest AND :ttl > 1";
        let statement = Statement::new(Engine::Postgres, source);
        assert_eq!(&*statement.text, "SELECT $1, a::bigint FROM t WHERE d = $2 AND $1 > 1");
        assert_eq!(*statement.names, [Name::ttl, Name::digest]);
        assert!(statement.reads);
        let statement = Statement::new(Engine::MySql, "DELETE FROM t WHERE d = (:digest)");
        assert_eq!(&*statement.text, "DELETE FROM t WHERE d = (?)");
        assert!(!statement.reads);
        let statement = Statement::new(Engine::MySql, source);
        assert_eq!(*statement.names, [Name::ttl, Name::digest, Name::ttl]);
        let statement = Statement::new(Engine::MySql, "DELETE FROM t WHERE d = (:digest)");
        let given = Given { digest: b"d", ..Given::default() };
        assert_eq!(statement.values(&given), [Arg::Bytes(b"d")]);
    }
}
