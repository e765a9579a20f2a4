//! What can go wrong with a server.

use std::{fmt, io};

/// A server that did not do as it was told; with its log, where there is one.
pub struct Error {
    message: String,
    port_taken: bool,
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), port_taken: false }
    }

    /// A start that failed, with what the server said; which may be that its port is taken.
    pub(crate) fn of_start(what: &str, log: &str) -> Self {
        let port_taken = log.contains("Address already in use");
        Self { message: format!("{what}; its log:\n{}", tail(log)), port_taken }
    }

    pub(crate) fn is_port_taken(&self) -> bool {
        self.port_taken
    }
}

/// The last lines of a log.
fn tail(log: &str) -> &str {
    const LINES: usize = 40;
    let start = log.rmatch_indices('\n').nth(LINES).map_or(0, |(at, _)| at + 1);
    log.get(start..).unwrap_or(log)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// As shown to people: a test that unwraps prints this, and a log has many lines.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_long_log_is_quoted() {
        let log: String = (0..100).map(|line| format!("line {line}\n")).collect();
        let error = Error::of_start("no answer", &log).to_string();
        assert!(error.starts_with("no answer; its log:\nline 6"), "{error}");
        assert!(error.ends_with("line 99\n"));
    }

    #[test]
    fn a_taken_port_is_recognised() {
        assert!(Error::of_start("", "bind: Address already in use").is_port_taken());
        assert!(!Error::of_start("", "out of memory").is_port_taken());
    }
}
