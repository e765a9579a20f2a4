//! What the environment says.

use std::{
    env,
    error::Error,
    io::{self, Write, stdout},
    net::SocketAddr,
    os::unix::ffi::OsStrExt,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use session::http::KeyRing;

/// Where sessions are kept when `SESSION_STORE` is not set, in the working directory.
const DEFAULT_DIRECTORY: &str = ".sessions";

const KEYS: &str = "SESSION_KEYS";

/// What stands in a URL's path as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// The settings of a shop.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// `HOST`, or the loopback address.
    pub host: String,
    /// `PORT`, or 3000; 0 for any that is free.
    pub port: u16,
    /// `INSTANCE`, the name of this one among others.
    pub instance: String,
    /// `SESSION_STORE`, a URL for [`session::connect`], or one of a directory.
    pub store: String,
    /// `SESSION_KEYS`, the keys that ids are signed with, where they are to be signed.
    pub keys: Option<KeyRing>,
}

impl Config {
    pub(crate) fn from_env() -> Result<Self, Box<dyn Error>> {
        let or = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
        let port = or("PORT", "3000");
        Ok(Self {
            host: or("HOST", "127.0.0.1"),
            port: port.parse().map_err(|error| format!("PORT={port}: {error}"))?,
            instance: or("INSTANCE", "one"),
            store: env::var("SESSION_STORE").or_else(|_| default_store())?,
            keys: env::var_os(KEYS).map(|_| KeyRing::from_env(KEYS)).transpose()?,
        })
    }

    /// Tells whoever started the program where it listens.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn announce(&self, address: SocketAddr) -> io::Result<()> {
        writeln!(stdout(), "listening on http://{address}")
    }
}

fn default_store() -> io::Result<String> {
    let directory = env::current_dir()?.join(DEFAULT_DIRECTORY);
    Ok(format!("files://{}", percent_encode(directory.as_os_str().as_bytes(), PATH)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_default_store_is_a_directory_here() {
        let store = super::default_store().unwrap();
        assert!(store.starts_with("files:///") && store.ends_with("/.sessions"), "{store}");
    }
}
