//! Commands, in both protocols.

use bytes::{BufMut, BytesMut};

use super::parse::Form;

/// Which protocol a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// The meta commands.
    Meta,
    /// The older commands: no replies with an item's new number, no conditional append.
    Classic,
}

/// A command about one item. Values may be in two parts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Command<'a> {
    /// Reads it.
    Get,
    /// Reads it, and how long it still lives. The meta commands have this.
    #[cfg(feature = "php")]
    Look,
    /// Says how long it still lives. The meta commands have this.
    #[cfg(feature = "php")]
    Life,
    /// Lets it live for so long from now on.
    #[cfg(feature = "php")]
    Touch { expiry: u32 },
    /// Stores it where there is none.
    Add { value: [&'a [u8]; 2], expiry: u32 },
    /// Replaces it if it still has this number.
    Replace { value: [&'a [u8]; 2], expiry: u32, number: u64 },
    /// Adds to its end, if it still has this number (any number without).
    Append { value: &'a [u8], number: Option<u64> },
    /// Removes it, if it still has this number (any number without).
    Delete { number: Option<u64> },
}

impl Command<'_> {
    /// Writes the command, and says in which form the reply will come.
    pub(super) fn encode(
        &self,
        out: &mut BytesMut,
        dialect: Dialect,
        key: [&[u8]; 2],
        opaque: u32,
    ) -> Form {
        match dialect {
            Dialect::Meta => {
                self.encode_meta(out, key, opaque);
                Form::Meta(opaque)
            }
            Dialect::Classic => {
                self.encode_classic(out, key);
                if matches!(self, Self::Get) { Form::Get } else { Form::Line }
            }
        }
    }

    fn encode_meta(&self, out: &mut BytesMut, key: [&[u8]; 2], opaque: u32) {
        let mut line = Line(out);
        match *self {
            Self::Get => line.text(b"mg ").key(key).text(b" v c O").number(opaque).end(),
            #[cfg(feature = "php")]
            Self::Look => line.text(b"mg ").key(key).text(b" v c t O").number(opaque).end(),
            #[cfg(feature = "php")]
            Self::Life => line.text(b"mg ").key(key).text(b" t O").number(opaque).end(),
            #[cfg(feature = "php")]
            Self::Touch { expiry } => {
                line.text(b"mg ").key(key).text(b" T").number(expiry);
                line.text(b" O").number(opaque).end()
            }
            Self::Add { value, expiry } => {
                line.text(b"ms ").key(key).text(b" ").length(&value);
                line.text(b" ME c T").number(expiry).text(b" O").number(opaque).end().data(&value)
            }
            Self::Replace { value, expiry, number } => {
                line.text(b"ms ").key(key).text(b" ").length(&value);
                line.text(b" c C").number(number).text(b" T").number(expiry);
                line.text(b" O").number(opaque).end().data(&value)
            }
            Self::Append { value, number } => {
                line.text(b"ms ").key(key).text(b" ").length(&[value]).text(b" MA c");
                if let Some(number) = number {
                    line.text(b" C").number(number);
                }
                line.text(b" O").number(opaque).end().data(&[value])
            }
            Self::Delete { number } => {
                line.text(b"md ").key(key);
                if let Some(number) = number {
                    line.text(b" C").number(number);
                }
                line.text(b" O").number(opaque).end()
            }
        };
    }

    fn encode_classic(&self, out: &mut BytesMut, key: [&[u8]; 2]) {
        let mut line = Line(out);
        match *self {
            Self::Get => line.text(b"gets ").key(key).end(),
            // Not asked of such a server; it does not know the commands and says so.
            #[cfg(feature = "php")]
            Self::Look | Self::Life | Self::Touch { .. } => line.text(b"mg ").key(key).end(),
            Self::Add { value, expiry } => {
                line.text(b"add ").key(key).text(b" 0 ").number(expiry).text(b" ");
                line.length(&value).end().data(&value)
            }
            Self::Replace { value, expiry, number } => {
                line.text(b"cas ").key(key).text(b" 0 ").number(expiry).text(b" ");
                line.length(&value).text(b" ").number(number).end().data(&value)
            }
            Self::Append { value, .. } => {
                line.text(b"append ").key(key).text(b" 0 0 ").length(&[value]);
                line.end().data(&[value])
            }
            Self::Delete { number: None } => line.text(b"delete ").key(key).end(),
            // An expiry that is over: a replacement that leaves nothing.
            Self::Delete { number: Some(number) } => {
                line.text(b"cas ").key(key).text(b" 0 -1 0 ").number(number).end().data(&[])
            }
        };
    }

    /// How many bytes it is about.
    pub(super) const fn size(&self) -> usize {
        match *self {
            Self::Add { value: [a, b], .. } | Self::Replace { value: [a, b], .. } => {
                a.len() + b.len()
            }
            Self::Append { value, .. } => value.len(),
            Self::Get | Self::Delete { .. } => 0,
            #[cfg(feature = "php")]
            Self::Look | Self::Life | Self::Touch { .. } => 0,
        }
    }
}

/// A line that is being written.
struct Line<'a>(&'a mut BytesMut);

impl Line<'_> {
    fn text(&mut self, text: &[u8]) -> &mut Self {
        self.0.put_slice(text);
        self
    }

    fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        let (mut number, mut digits, mut start) = (number.into(), [b'0'; 20], 20);
        loop {
            start -= 1;
            if let (Some(digit), Ok(last)) = (digits.get_mut(start), u8::try_from(number % 10)) {
                *digit += last;
            }
            number /= 10;
            if number == 0 {
                return self.text(digits.get(start..).unwrap_or_default());
            }
        }
    }

    fn key(&mut self, [prefix, rest]: [&[u8]; 2]) -> &mut Self {
        self.text(prefix).text(rest)
    }

    fn length(&mut self, parts: &[&[u8]]) -> &mut Self {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.number(u64::try_from(length).unwrap_or(u64::MAX))
    }

    fn end(&mut self) -> &mut Self {
        self.text(b"\r\n")
    }

    fn data(&mut self, parts: &[&[u8]]) -> &mut Self {
        parts.iter().for_each(|part| self.0.put_slice(part));
        self.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(command: &Command<'_>, dialect: Dialect) -> String {
        let mut out = BytesMut::new();
        command.encode(&mut out, dialect, [b"k", b"ey"], 7);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 9, 10, 1_234_567_890, u64::MAX] {
            let mut out = BytesMut::new();
            Line(&mut out).number(number);
            assert_eq!(out, number.to_string());
        }
    }

    #[test]
    fn commands_are_written_in_both_protocols() {
        let value = [b"a".as_slice(), b"bc"];
        for (command, meta, classic) in [
            (Command::Get, "mg key v c O7\r\n", "gets key\r\n"),
            (
                Command::Add { value, expiry: 5 },
                "ms key 3 ME c T5 O7\r\nabc\r\n",
                "add key 0 5 3\r\nabc\r\n",
            ),
            (
                Command::Replace { value, expiry: 5, number: 9 },
                "ms key 3 c C9 T5 O7\r\nabc\r\n",
                "cas key 0 5 3 9\r\nabc\r\n",
            ),
            (
                Command::Append { value: b"abc", number: None },
                "ms key 3 MA c O7\r\nabc\r\n",
                "append key 0 0 3\r\nabc\r\n",
            ),
            (Command::Delete { number: None }, "md key O7\r\n", "delete key\r\n"),
            (Command::Delete { number: Some(9) }, "md key C9 O7\r\n", "cas key 0 -1 0 9\r\n\r\n"),
        ] {
            assert_eq!(encoded(&command, Dialect::Meta), meta);
            assert_eq!(encoded(&command, Dialect::Classic), classic);
        }
        let conditional = Command::Append { value: b"abc", number: Some(9) };
        assert_eq!(encoded(&conditional, Dialect::Meta), "ms key 3 MA c C9 O7\r\nabc\r\n");
    }
}
