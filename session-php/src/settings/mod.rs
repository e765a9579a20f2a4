//! PHP's settings of sessions, with its defaults and its reading of values.

mod quantity;
mod set;

use std::fmt;

pub use self::set::{Refused, Stage};
use crate::SerializeHandler;

/// A line of PHP's, for what differs between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PhpVersion {
    /// 8.2
    V8_2,
    /// 8.3
    V8_3,
    /// 8.4
    V8_4,
    /// 8.5
    V8_5,
    /// 8.6
    V8_6,
}

/// The settings `session.*`. What a field means is PHP's; [`set`](Self::set) reads values as PHP does.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Whose defaults and rules are in force.
    pub version: PhpVersion,
    /// `save_handler`: which store; the state machine is given its handler and does not look at it.
    pub save_handler: String,
    /// `save_path`: for the handler, and in messages.
    pub save_path: String,
    /// `name`: of the cookie.
    pub name: String,
    /// `auto_start`: whether PHP starts a session by itself; here the program does.
    pub auto_start: bool,
    /// `serialize_handler`
    pub serialize_handler: SerializeHandler,
    /// `gc_probability`: in how many of `gc_divisor` starts garbage is collected.
    pub gc_probability: i64,
    /// `gc_divisor`
    pub gc_divisor: i64,
    /// `gc_maxlifetime`: seconds that a session lives after its last request.
    pub gc_maxlifetime: i64,
    /// `use_strict_mode`: ids that nobody made are replaced.
    pub use_strict_mode: bool,
    /// `lazy_write`: an unchanged session is touched instead of written.
    pub lazy_write: bool,
    /// `sid_length`: characters of a new id.
    pub sid_length: usize,
    /// `sid_bits_per_character`: 4, 5 or 6.
    pub sid_bits_per_character: u8,
    /// `use_cookies`
    pub use_cookies: bool,
    /// `use_only_cookies`: ids in the query and in forms do not count.
    pub use_only_cookies: bool,
    /// `use_trans_sid`: PHP rewrites links; here nothing does.
    pub use_trans_sid: bool,
    /// `referer_check`: with `use_only_cookies=0`, what a referer must contain.
    pub referer_check: String,
    /// `cookie_lifetime`: seconds; 0 until the browser is closed.
    pub cookie_lifetime: i64,
    /// `cookie_path`
    pub cookie_path: String,
    /// `cookie_domain`
    pub cookie_domain: String,
    /// `cookie_secure`
    pub cookie_secure: bool,
    /// `cookie_partitioned` (8.5)
    pub cookie_partitioned: bool,
    /// `cookie_httponly`
    pub cookie_httponly: bool,
    /// `cookie_samesite`: any text.
    pub cookie_samesite: String,
    /// `cache_limiter`: `nocache`, `private`, `private_no_expire`, `public`, or no headers.
    pub cache_limiter: String,
    /// `cache_expire`: minutes.
    pub cache_expire: i64,
}

/// The path of a store may have a password in it.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("version", &self.version)
            .field("save_handler", &self.save_handler)
            .field("serialize_handler", &self.serialize_handler)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// The defaults that are compiled in. The files `php.ini-development` and `-production` up to 8.3
    /// set `sid_length=26`, `sid_bits_per_character=5` and `gc_divisor=1000`.
    #[must_use]
    pub fn new(version: PhpVersion) -> Self {
        let safe = version >= PhpVersion::V8_6;
        Self {
            version,
            save_handler: "files".to_owned(),
            save_path: String::new(),
            name: "PHPSESSID".to_owned(),
            auto_start: false,
            serialize_handler: SerializeHandler::Php,
            gc_probability: 1,
            gc_divisor: 100,
            gc_maxlifetime: 1440,
            use_strict_mode: safe,
            lazy_write: true,
            sid_length: 32,
            sid_bits_per_character: 4,
            use_cookies: true,
            use_only_cookies: true,
            use_trans_sid: false,
            referer_check: String::new(),
            cookie_lifetime: 0,
            cookie_path: "/".to_owned(),
            cookie_domain: String::new(),
            cookie_secure: false,
            cookie_partitioned: false,
            cookie_httponly: safe,
            cookie_samesite: if safe { "Lax".to_owned() } else { String::new() },
            cache_limiter: "nocache".to_owned(),
            cache_expire: 180,
        }
    }
}

/// Characters of a name that break its cookie.
pub(crate) fn breaks_cookie(name: &str) -> bool {
    name.contains(|character| "=,;.[ \t\r\n\u{b}\u{c}".contains(character))
}
