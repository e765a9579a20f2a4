//! Setting a setting.

use std::fmt;

use super::{
    PhpVersion, Settings, breaks_cookie,
    quantity::{boolean, leading_int, quantity},
};
use crate::{
    SerializeHandler,
    state::{Deprecation, Problem},
};

/// When a setting is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Before any request: `php.ini`, a pool's file. All settings can be set.
    Startup,
    /// By a program, with `ini_set`: not `auto_start` and `upload_progress.*`.
    Runtime,
}

/// A setting was refused, and stays as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The setting.
    pub setting: String,
    /// What PHP says. It says nothing where there is no such setting.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.last() {
            Some(problem) => write!(f, "{}: {problem}", self.setting),
            None => write!(f, "{} cannot be set", self.setting),
        }
    }
}

impl std::error::Error for Refused {}

/// Whether the setting was taken.
type Taken = bool;

impl Settings {
    /// These settings with PHP's defaults for the others. Names without `session.` in front are not
    /// sessions' and left out.
    ///
    /// # Errors
    /// The first that PHP would refuse or warn of.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(
        version: PhpVersion,
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, Refused> {
        let mut settings = Self::new(version);
        for (name, value) in pairs {
            let name = name.as_ref();
            if !name.starts_with("session.") {
                continue;
            }
            let mut problems = settings.set(Stage::Startup, name, value.as_ref())?;
            problems.retain(|problem| !matches!(problem, Problem::Deprecated(_)));
            if !problems.is_empty() {
                return Err(Refused { setting: name.to_owned(), problems });
            }
        }
        Ok(settings)
    }

    /// Sets a setting, by its full name, to a text, as `ini_set` does. Returns what PHP says
    /// although it takes the value.
    ///
    /// # Errors
    /// PHP refuses it.
    pub fn set(&mut self, stage: Stage, name: &str, value: &str) -> Result<Vec<Problem>, Refused> {
        let mut problems = Vec::new();
        let taken = match name.strip_prefix("session.") {
            Some(name) => self.apply(stage, name, value, &mut problems),
            None => false,
        };
        if taken { Ok(problems) } else { Err(Refused { setting: name.to_owned(), problems }) }
    }

    fn apply(&mut self, stage: Stage, name: &str, value: &str, said: &mut Vec<Problem>) -> Taken {
        match name {
            "save_handler" => text(&mut self.save_handler, value),
            "save_path" => !value.contains('\0') && text(&mut self.save_path, value),
            "cookie_path" => text(&mut self.cookie_path, value),
            "cookie_domain" => text(&mut self.cookie_domain, value),
            "cookie_samesite" => text(&mut self.cookie_samesite, value),
            "cache_limiter" => text(&mut self.cache_limiter, value),
            "use_cookies" => flag(&mut self.use_cookies, value),
            "use_strict_mode" => flag(&mut self.use_strict_mode, value),
            "lazy_write" => flag(&mut self.lazy_write, value),
            "cookie_secure" => flag(&mut self.cookie_secure, value),
            "cookie_httponly" => flag(&mut self.cookie_httponly, value),
            "cookie_partitioned" if self.version >= PhpVersion::V8_5 => {
                flag(&mut self.cookie_partitioned, value)
            }
            "gc_maxlifetime" => {
                number(&mut self.gc_maxlifetime, "session.gc_maxlifetime", value, said)
            }
            "cache_expire" => number(&mut self.cache_expire, "session.cache_expire", value, said),
            "auto_start" if stage == Stage::Startup => flag(&mut self.auto_start, value),
            "upload_progress.enabled"
            | "upload_progress.cleanup"
            | "upload_progress.prefix"
            | "upload_progress.name"
            | "upload_progress.freq"
            | "upload_progress.min_freq" => stage == Stage::Startup,
            "name" => self.set_name(value, said),
            "serialize_handler" => self.set_serialize_handler(value, said),
            "cookie_lifetime" => self.set_cookie_lifetime(value, said),
            "sid_length" => self.set_sid_length(value, said),
            "sid_bits_per_character" => self.set_sid_bits(value, said),
            _ => self.apply_deprecating(name, value, said),
        }
    }

    /// Those that 8.4 looks at more closely.
    fn apply_deprecating(&mut self, name: &str, value: &str, said: &mut Vec<Problem>) -> Taken {
        let strict = self.version >= PhpVersion::V8_4;
        let mut deprecate =
            |when: bool, what| said.extend((strict && when).then_some(Problem::Deprecated(what)));
        match name {
            "use_only_cookies" => {
                deprecate(!boolean(value), Deprecation::UseOnlyCookies);
                flag(&mut self.use_only_cookies, value)
            }
            "use_trans_sid" => {
                deprecate(boolean(value), Deprecation::UseTransSid);
                flag(&mut self.use_trans_sid, value)
            }
            "referer_check" => {
                deprecate(!value.is_empty(), Deprecation::RefererCheck);
                text(&mut self.referer_check, value)
            }
            "gc_probability" => {
                let low = (0, Problem::GcProbability);
                bounded(
                    &mut self.gc_probability,
                    "session.gc_probability",
                    value,
                    strict.then_some(low),
                    said,
                )
            }
            "gc_divisor" => {
                let low = (1, Problem::GcDivisor);
                bounded(
                    &mut self.gc_divisor,
                    "session.gc_divisor",
                    value,
                    strict.then_some(low),
                    said,
                )
            }
            _ => false,
        }
    }

    fn set_name(&mut self, value: &str, said: &mut Vec<Problem>) -> Taken {
        let strict = self.version >= PhpVersion::V8_4;
        let breaks = strict && (value.contains('\0') || breaks_cookie(value));
        if value.is_empty() || is_numeric(value) || breaks {
            said.push(Problem::SettingName { name: value.to_owned(), strict });
            return false;
        }
        text(&mut self.name, value)
    }

    fn set_serialize_handler(&mut self, value: &str, said: &mut Vec<Problem>) -> Taken {
        match SerializeHandler::named(value) {
            Ok(handler) => {
                self.serialize_handler = handler;
                true
            }
            Err(_) => {
                said.push(Problem::SerializeHandler(value.to_owned()));
                false
            }
        }
    }

    fn set_cookie_lifetime(&mut self, value: &str, said: &mut Vec<Problem>) -> Taken {
        const LONGEST: i64 = i64::MAX - i32::MAX as i64 - 1;
        let start = leading_int(value).0;
        if start < 0 {
            said.push(Problem::CookieLifetime);
            return false;
        }
        // PHP says that it takes such a time, and keeps the one before.
        if start > LONGEST {
            return true;
        }
        let mut lifetime = 0;
        number(&mut lifetime, "session.cookie_lifetime", value, said);
        if lifetime < 0 {
            return false;
        }
        self.cookie_lifetime = lifetime;
        true
    }

    fn set_sid_length(&mut self, value: &str, said: &mut Vec<Problem>) -> Taken {
        let (length, rest) = leading_int(value);
        if self.version >= PhpVersion::V8_4 && length != 32 {
            said.push(Problem::Deprecated(Deprecation::SidLength));
        }
        match usize::try_from(length) {
            Ok(length @ 22..=256) if rest.is_empty() => {
                self.sid_length = length;
                true
            }
            _ => {
                said.push(Problem::SidLength);
                false
            }
        }
    }

    fn set_sid_bits(&mut self, value: &str, said: &mut Vec<Problem>) -> Taken {
        let (bits, rest) = leading_int(value);
        if self.version >= PhpVersion::V8_4 && bits != 4 {
            said.push(Problem::Deprecated(Deprecation::SidBits));
        }
        match u8::try_from(bits) {
            Ok(bits @ 4..=6) if rest.is_empty() => {
                self.sid_bits_per_character = bits;
                true
            }
            _ => {
                said.push(Problem::SidBits);
                false
            }
        }
    }
}

fn text(setting: &mut String, value: &str) -> Taken {
    value.clone_into(setting);
    true
}

fn flag(setting: &mut bool, value: &str) -> Taken {
    *setting = boolean(value);
    true
}

fn number(setting: &mut i64, name: &'static str, value: &str, said: &mut Vec<Problem>) -> Taken {
    bounded(setting, name, value, None, said)
}

fn bounded(
    setting: &mut i64,
    name: &'static str,
    value: &str,
    least: Option<(i64, Problem)>,
    said: &mut Vec<Problem>,
) -> Taken {
    let (number, flaw) = quantity(value);
    said.extend(flaw.map(|detail| Problem::Quantity { setting: name, detail }));
    match least {
        Some((least, problem)) if number < least => {
            said.push(problem);
            false
        }
        _ => {
            *setting = number;
            true
        }
    }
}

/// What PHP takes for a number: a decimal one, with a fraction or an exponent, and blanks around it.
fn is_numeric(text: &str) -> bool {
    let blank = [' ', '\t', '\n', '\r', '\u{b}', '\u{c}'];
    let text = text.trim_matches(blank);
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let signless = |text: &str| text.strip_prefix(['+', '-']).unwrap_or(text).to_owned();
    let exponent = exponent.map(signless);
    all_digits(whole)
        && all_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && all_digits(&exponent))
}
