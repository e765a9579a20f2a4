//! Commands, requests made of them, and answers.

use std::fmt;

use super::{Script, Value};

/// What is asked of the server that holds `key`: one command or several, in one round trip.
pub(crate) struct Request {
    /// Decides about the server; any server when it is empty.
    pub(crate) key: Vec<u8>,
    /// The commands, all about this key.
    pub(crate) commands: Vec<Command>,
    /// Whether a replica may answer.
    pub(crate) replica: bool,
}

/// One command, as it is sent: an array of bulk strings.
#[derive(Clone)]
pub(crate) struct Command {
    packed: Vec<u8>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Plain,
    /// The reply comes in the form of a message.
    Subscription,
    /// The text to send when the server has forgotten the script, and what it is sent with.
    Script {
        script: Script,
        /// How many strings there are beside the command's name and the script.
        count: usize,
        /// Where they begin.
        at: usize,
    },
}

/// The replies to a request, one for each command.
pub(crate) struct Answer {
    pub(crate) values: Vec<Value>,
    /// Whether the request was sent more than once, and an earlier one may have been done.
    pub(crate) resent: bool,
    /// Whether as many replicas as wanted have what was written.
    pub(crate) acknowledged: bool,
}

impl Request {
    /// Whether it makes a change that may have to wait for replicas: scripts alone do.
    pub(super) fn writes(&self) -> bool {
        self.commands.iter().any(|command| matches!(command.kind, Kind::Script { .. }))
    }
}

impl Command {
    pub(crate) fn new(name: &str, arguments: &[&[u8]]) -> Self {
        let mut packed = packed(1 + arguments.len(), name.len() + size(arguments));
        put(&mut packed, name.as_bytes());
        arguments.iter().for_each(|argument| put(&mut packed, argument));
        let subscribes = name.ends_with("SUBSCRIBE");
        Self { packed, kind: if subscribes { Kind::Subscription } else { Kind::Plain } }
    }

    /// Runs a script on keys that are all on one server.
    pub(crate) fn script(script: &Script, keys: &[&[u8]], arguments: &[&[u8]]) -> Self {
        let count = 1 + keys.len() + arguments.len();
        let fixed = EVALSHA.len() + script.sha().len() + DIGITS;
        let mut packed = packed(2 + count, fixed + size(keys) + size(arguments));
        put(&mut packed, EVALSHA);
        put(&mut packed, script.sha().as_bytes());
        let at = packed.len();
        put(&mut packed, itoa::Buffer::new().format(keys.len()).as_bytes());
        keys.iter().chain(arguments).for_each(|argument| put(&mut packed, argument));
        Self { packed, kind: Kind::Script { script: script.clone(), count, at } }
    }

    pub(super) fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// Whether the reply comes in the form of a message.
    pub(super) const fn subscribes(&self) -> bool {
        matches!(self.kind, Kind::Subscription)
    }

    /// The same script with its text, which the server then remembers; other commands as they are.
    pub(super) fn with_text(&self) -> Self {
        let Kind::Script { script, count, at } = &self.kind else { return self.clone() };
        let (count, at) = (*count, *at);
        let rest = self.packed.get(at..).unwrap_or_default();
        let text = script.text().as_bytes();
        let mut packed = packed(2 + count, EVAL.len() + text.len() + rest.len());
        put(&mut packed, EVAL);
        put(&mut packed, text);
        let at = packed.len();
        packed.extend_from_slice(rest);
        Self { packed, kind: Kind::Script { script: script.clone(), count, at } }
    }
}

const EVAL: &[u8] = b"EVAL";
const EVALSHA: &[u8] = b"EVALSHA";
/// As many as a number or a length has at most.
const DIGITS: usize = 20;
/// What is put around a string, most often.
const AROUND: usize = b"$1234\r\n\r\n".len();

fn size(strings: &[&[u8]]) -> usize {
    strings.iter().map(|string| string.len()).sum()
}

/// The beginning of an array of so many strings, which have so many bytes.
fn packed(count: usize, size: usize) -> Vec<u8> {
    let mut packed = Vec::with_capacity(DIGITS + count * AROUND + size);
    put_length(&mut packed, b'*', count);
    packed
}

fn put(packed: &mut Vec<u8>, string: &[u8]) {
    put_length(packed, b'$', string.len());
    packed.extend_from_slice(string);
    packed.extend_from_slice(b"\r\n");
}

fn put_length(packed: &mut Vec<u8>, kind: u8, length: usize) {
    packed.push(kind);
    packed.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    packed.extend_from_slice(b"\r\n");
}

/// Shows no key and no argument.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("commands", &self.commands.len())
            .field("replica", &self.replica)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("bytes", &self.packed.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("values", &self.values.len())
            .field("resent", &self.resent)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_strings() {
        let command = Command::new("SET", &[b"key", b"a\r\nb", b""]);
        let text = b"*4\r\n$3\r\nSET\r\n$3\r\nkey\r\n$4\r\na\r\nb\r\n$0\r\n\r\n";
        assert_eq!(command.packed(), text);
        assert!(!command.subscribes() && Command::new("SSUBSCRIBE", &[b"x"]).subscribes());
    }

    #[test]
    fn a_script_goes_by_its_digest_and_then_by_its_text() {
        let script = Script::new("return 1");
        let command = Command::script(&script, &[b"key"], &[b"argument"]);
        let rest = "$1\r\n1\r\n$3\r\nkey\r\n$8\r\nargument\r\n";
        let by_digest = format!("*5\r\n$7\r\nEVALSHA\r\n$40\r\n{}\r\n{rest}", script.sha());
        assert_eq!(command.packed(), by_digest.as_bytes());
        let by_text = format!("*5\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n{rest}");
        let command = command.with_text();
        assert_eq!(command.packed(), by_text.as_bytes());
        assert_eq!(command.with_text().packed(), by_text.as_bytes());
    }
}
