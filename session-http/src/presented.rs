//! The session id that a request presents: from the cookie only, and only when it is unambiguous.

use http::{HeaderMap, header::COOKIE};
use session_core::SessionId;

use crate::SessionCookie;

/// The most bytes of `Cookie` headers that are looked through. Browsers and servers stay below.
const MAX_COOKIE_HEADERS: usize = 64 * 1024;

/// What a request says of its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Presented {
    Nothing,
    Id(SessionId),
    Refused(Refusal),
}

/// Why a session cookie was refused. The request goes on as one without a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Refusal {
    /// The cookies are longer than any browser sends.
    TooLong,
    /// Several cookies of this name hold different values: one was planted, from a neighbouring
    /// host or for another path, and the order says nothing about which.
    Ambiguous,
    /// The value is no session id.
    Malformed,
    /// The cookie may only travel over TLS, and this request did not.
    PlainHttp,
}

impl Refusal {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "cookies too long",
            Self::Ambiguous => "several session cookies",
            Self::Malformed => "malformed session id",
            Self::PlainHttp => "secure cookie over plain http",
        }
    }
}

impl Presented {
    /// Reads the request's cookies.
    pub(crate) fn read(cookie: &SessionCookie, headers: &HeaderMap) -> Self {
        let values = || headers.get_all(COOKIE).iter().map(|value| value.as_bytes());
        if values().map(<[u8]>::len).sum::<usize>() > MAX_COOKIE_HEADERS {
            return Self::Refused(Refusal::TooLong);
        }
        let name = cookie.name().as_bytes();
        let mut found = values().flat_map(pairs).filter(|(n, _)| *n == name).map(|(_, v)| v);
        let Some(first) = found.next() else { return Self::Nothing };
        if found.any(|other| other != first) {
            return Self::Refused(Refusal::Ambiguous);
        }
        cookie.id(first).map_or(Self::Refused(Refusal::Malformed), Self::Id)
    }
}

/// The `name=value` pairs of a `Cookie` header.
///
/// Only blanks and tabs are trimmed: a server that trims more takes a cookie that the browser did
/// not hold to its prefix for one that it did.
fn pairs(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    header.split(|byte| *byte == b';').filter_map(|pair| {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        Some((trim(halves.next()?), trim(halves.next()?)))
    })
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const B: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA";

    fn read<T: AsRef<[u8]>>(headers: &[T]) -> Presented {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(COOKIE, HeaderValue::from_bytes(header.as_ref()).unwrap());
        }
        Presented::read(&SessionCookie::default(), &map)
    }

    fn id(text: &str) -> Presented {
        Presented::Id(SessionId::parse_native(text).unwrap())
    }

    #[test]
    fn the_id_is_found_among_other_cookies_and_in_any_cookie_header() {
        assert_eq!(read(&[&format!("__Host-id={A}")]), id(A));
        assert_eq!(read(&[&format!("a=1; __Host-id={A}; b=2;")]), id(A));
        assert_eq!(read(&[&format!(" \t__Host-id =\t{A} ")]), id(A));
        assert_eq!(read(&["a=1", &format!("__Host-id={A}"), "b=2"]), id(A));
    }

    #[test]
    fn without_the_cookie_nothing_is_presented() {
        assert_eq!(read::<&str>(&[]), Presented::Nothing);
        let others = [format!("id={A}"), format!("__host-id={A}"), format!("x__Host-id={A}")];
        for header in others.iter().map(String::as_str).chain(["", ";;", "=", "__Host-id", "a=b"]) {
            assert_eq!(read(&[header]), Presented::Nothing, "{header}");
        }
    }

    #[test]
    fn sec_38_different_cookies_of_one_name_are_refused_whatever_their_order() {
        let ambiguous = Presented::Refused(Refusal::Ambiguous);
        assert_eq!(read(&[&format!("__Host-id={A}; __Host-id={B}")]), ambiguous);
        assert_eq!(read(&[&format!("__Host-id={B}; __Host-id={A}")]), ambiguous);
        assert_eq!(read(&[format!("__Host-id={A}"), format!("__Host-id={B}")]), ambiguous);
        assert_eq!(read(&[&format!("__Host-id={A}; x=1; __Host-id=junk")]), ambiguous);
        assert_eq!(read(&[&format!("__Host-id={A}; __Host-id={A}")]), id(A), "the same is one");
    }

    #[test]
    fn sec_04_what_is_not_an_id_is_refused() {
        let long = "A".repeat(10_000);
        let cut = &A[1..];
        let other_bits = format!("{cut}B");
        let hostile = ["", "../../etc/passwd", "{}", "*", "' OR 1=1", &long, cut, &other_bits];
        for value in hostile {
            let header = format!("__Host-id={value}");
            assert_eq!(read(&[&header]), Presented::Refused(Refusal::Malformed), "{value}");
        }
        let not_text = [b"__Host-id=".as_slice(), &[0xff; 43]].concat();
        assert_eq!(read(&[not_text]), Presented::Refused(Refusal::Malformed));
        let quoted = format!("__Host-id=\"{A}\"");
        assert_eq!(read(&[&quoted]), Presented::Refused(Refusal::Malformed));
    }

    #[test]
    fn cookies_longer_than_any_browser_sends_are_not_looked_through() {
        let filler = format!("a={}", "x".repeat(MAX_COOKIE_HEADERS));
        assert_eq!(
            read(&[&filler, &format!("__Host-id={A}")]),
            Presented::Refused(Refusal::TooLong)
        );
    }
}
