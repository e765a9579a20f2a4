//! Whose server it is.

use std::path::PathBuf;

use crate::{Error, Result, programs};

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flavor {
    /// Redis. `SESSION_REDIS_BIN` names a folder with other programs than those on the path.
    Redis,
    /// Valkey: the newest, as fetched into the target folder, else that on the path.
    /// `SESSION_VALKEY_BIN` names a folder with other programs.
    Valkey,
}

impl Flavor {
    /// In lower case, as in the names of its programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Valkey => "valkey",
        }
    }

    /// Why no server of this flavor can be started here, if none can.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        self.server().and_then(|_| self.cli()).err().map(|error| error.to_string())
    }

    /// Why no server of this flavor can be started here that compares before it sets (`SET` with
    /// `IFEQ`).
    #[must_use]
    pub fn missing_comparison(self) -> Option<String> {
        let enough = match self {
            Self::Redis => (8, 4),
            Self::Valkey => (8, 1),
        };
        let version = match self.version() {
            Ok(version) => version,
            Err(error) => return Some(error.to_string()),
        };
        let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
        let release = (numbers.next()?, numbers.next()?);
        (release < enough).then(|| {
            format!("{} {version} does not compare; `cargo xtask setup` fetches one", self.name())
        })
    }

    /// The server's version, such as `8.0.1`.
    ///
    /// # Errors
    /// When it is missing.
    pub fn version(self) -> Result<String> {
        let text = programs::version(&self.server()?)?;
        version_in(&text)
            .map(str::to_owned)
            .ok_or_else(|| Error::new(format!("no version in {text:?}")))
    }

    pub(crate) fn server(self) -> Result<PathBuf> {
        self.find("server")
    }

    pub(crate) fn cli(self) -> Result<PathBuf> {
        self.find("cli")
    }

    fn find(self, program: &str) -> Result<PathBuf> {
        let program = &format!("{}-{program}", self.name());
        match self {
            Self::Redis => programs::find_at("SESSION_REDIS_BIN", program),
            Self::Valkey => programs::find_or("SESSION_VALKEY_BIN", program, |program| {
                programs::fetched("new-valkey", program).or_else(|_| programs::find(program))
            }),
        }
    }
}

/// From `Redis server v=7.0.15 sha=..`.
fn version_in(text: &str) -> Option<&str> {
    text.split_whitespace().find_map(|word| word.strip_prefix("v="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_taken_from_what_the_program_prints() {
        assert_eq!(version_in("Valkey server v=8.0.1 sha=0:0 bits=64"), Some("8.0.1"));
        assert_eq!(version_in("command not found"), None);
    }
}
