//! Where ids come from: cookies, the query, forms.

use session_core::Timestamp;

use super::PhpId;

/// What a session needs to know of the request.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Request {
    /// The header `Cookie`; several of them joined with `; `.
    pub cookies: Vec<u8>,
    /// The query of the address, for `use_only_cookies=0`.
    pub query: Vec<u8>,
    /// The body of a form (`application/x-www-form-urlencoded`), for `use_only_cookies=0`.
    pub form: Vec<u8>,
    /// The header `Referer`, for `referer_check`.
    pub referer: Vec<u8>,
    /// When what answers the request was last modified (PHP: the script), for `Last-Modified` of
    /// the cache limiters. Without it that header is left out.
    pub last_modified: Option<Timestamp>,
}

/// Cookies are secrets.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("last_modified", &self.last_modified)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// A request with this `Cookie` header.
    #[must_use]
    pub fn with_cookies(cookies: impl Into<Vec<u8>>) -> Self {
        Self { cookies: cookies.into(), ..Self::default() }
    }

    pub(super) fn cookie(&self, name: &str) -> Option<Found> {
        find(&self.cookies, Source::Cookie, name)
    }

    pub(super) fn query_value(&self, name: &str) -> Option<Found> {
        find(&self.query, Source::Address, name)
    }

    pub(super) fn form_value(&self, name: &str) -> Option<Found> {
        find(&self.form, Source::Address, name)
    }
}

/// A value of `$_COOKIE`, `$_GET` or `$_POST`.
pub(super) enum Found {
    Text(PhpId),
    /// `name[]=…` is an array, which is no id.
    Array,
}

impl Found {
    pub(super) fn into_id(self) -> Option<PhpId> {
        match self {
            Self::Text(id) => Some(id),
            Self::Array => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Cookie,
    Address,
}

/// The value that PHP registers under a name: of cookies the first counts, of others the last.
fn find(text: &[u8], source: Source, name: &str) -> Option<Found> {
    let separator = if source == Source::Cookie { b';' } else { b'&' };
    let mut found = None;
    for part in text.split(|byte| *byte == separator) {
        let part = if source == Source::Cookie { trim_start(part) } else { part };
        let mut halves = part.splitn(2, |byte| *byte == b'=');
        let (raw, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
        let decoded = if source == Source::Cookie { raw.to_vec() } else { decode(raw, true) };
        let Some((key, is_array)) = variable_name(&decoded) else { continue };
        if key != name.as_bytes() {
            continue;
        }
        found = match found {
            _ if is_array => Some(Found::Array),
            Some(first) if source == Source::Cookie => Some(first),
            _ => Some(Found::Text(PhpId::new(decode(value, source == Source::Address)))),
        };
    }
    found
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// The name of a variable, and whether it becomes an array: blanks and dots are underscores.
fn variable_name(raw: &[u8]) -> Option<(Vec<u8>, bool)> {
    let raw = super::id::until_nul(raw);
    let start = raw.iter().position(|byte| *byte != b' ')?;
    let raw = raw.get(start..)?;
    let bracket = raw.iter().position(|byte| *byte == b'[');
    let closes = bracket.is_some_and(|at| raw.iter().skip(at).any(|byte| *byte == b']'));
    let end = if closes { bracket.unwrap_or(raw.len()) } else { raw.len() };
    let key: Vec<u8> = raw
        .iter()
        .take(end)
        .enumerate()
        .map(|(at, byte)| match byte {
            b' ' | b'.' => b'_',
            // Only the first, when nothing closes it.
            b'[' if bracket == Some(at) => b'_',
            other => *other,
        })
        .collect();
    (!key.is_empty()).then_some((key, closes))
}

/// `urldecode`, or `rawurldecode`, which leaves `+` alone.
fn decode(text: &[u8], plus: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let hex = |digit: &u8| char::from(*digit).to_digit(16).and_then(|it| u8::try_from(it).ok());
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, behind @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                out.push(hex(high).unwrap_or_default() << 4 | hex(low).unwrap_or_default());
                rest = behind;
            }
            (b'+', _) if plus => out.push(b' '),
            (other, _) => out.push(*other),
        }
    }
    out
}
