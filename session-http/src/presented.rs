//! The session id that a request presents, and only when it is unambiguous.

use http::header::COOKIE;
use session_core::Timestamp;

use crate::{
    Headers, Signing,
    keys::KeyId,
    token::{Token, TokenForm},
};

/// The most bytes of `Cookie` headers that are looked through. Browsers and servers stay below.
const MAX_COOKIE_HEADERS: usize = 64 * 1024;
/// The most different values of one cookie whose signatures are checked.
const MAX_CANDIDATES: usize = 8;

/// Why a session id was refused. The request goes on as one without a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Refusal {
    /// The cookies are longer than any browser sends.
    TooLong,
    /// Several cookies of this name hold different values: one was planted, from a neighbouring
    /// host or for another path, and the order says nothing about which.
    Ambiguous,
    /// The value is no session id.
    Malformed,
    /// The id may only travel over TLS, and this request did not.
    PlainHttp,
    /// The id is not signed, and has to be.
    Unsigned,
    /// The signature is not that of the key it names.
    Forged,
    /// The signature names a key that the ring does not have.
    UnknownKey(KeyId),
}

impl Refusal {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "cookies too long",
            Self::Ambiguous => "several session cookies",
            Self::Malformed => "malformed session id",
            Self::PlainHttp => "secure cookie over plain http",
            Self::Unsigned => "session id without a signature",
            Self::Forged => "forged signature",
            Self::UnknownKey(_) => "signed with an unknown key",
        }
    }
}

/// The token out of all `values` that a request carries in `carrier`; `None` when there is none.
pub(crate) fn choose<'a>(
    form: &TokenForm,
    carrier: &str,
    mut values: impl Iterator<Item = &'a [u8]>,
    now: impl Fn() -> Timestamp,
) -> Result<Option<Token>, Refusal> {
    let Some(first) = values.next() else { return Ok(None) };
    let others: Vec<&[u8]> = values.filter(|other| *other != first).collect();
    if others.is_empty() {
        return form.read(carrier, first, now).map(Some);
    }
    let picks = form.signing.as_ref().is_some_and(Signing::picks);
    if !picks || others.len() >= MAX_CANDIDATES {
        return Err(Refusal::Ambiguous);
    }
    let all = std::iter::once(first).chain(others);
    let mut tokens = all.filter_map(|value| form.read(carrier, value, &now).ok());
    let chosen = tokens.next().ok_or(Refusal::Ambiguous)?;
    let is_alone = tokens.all(|other| other.id == chosen.id);
    is_alone.then_some(Some(chosen)).ok_or(Refusal::Ambiguous)
}

/// The values of all cookies called `name`.
pub(crate) fn cookie_values<'a>(
    headers: &'a impl Headers,
    name: &str,
) -> Result<impl Iterator<Item = &'a [u8]>, Refusal> {
    if headers.values(&COOKIE).map(<[u8]>::len).sum::<usize>() > MAX_COOKIE_HEADERS {
        return Err(Refusal::TooLong);
    }
    let pairs = headers.values(&COOKIE).flat_map(pairs);
    Ok(pairs.filter(move |(n, _)| *n == name.as_bytes()).map(|(_, value)| value))
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
    use http::{HeaderMap, HeaderValue};
    use proptest::prelude::*;
    use session_core::SessionId;

    use super::*;
    use crate::{KeyRing, token::Ids};

    const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const B: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA";

    type Presented = Result<Option<Token>, Refusal>;

    fn read<T: AsRef<[u8]>>(headers: &[T]) -> Presented {
        read_as(&TokenForm::NATIVE, headers)
    }

    fn read_as<T: AsRef<[u8]>>(form: &TokenForm, headers: &[T]) -> Presented {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(COOKIE, HeaderValue::from_bytes(header.as_ref()).unwrap());
        }
        let values = cookie_values(&map, "__Host-id")?;
        choose(form, "__Host-id", values, Timestamp::default)
    }

    fn id(text: &str) -> Presented {
        let id = SessionId::parse_native(text).unwrap();
        Ok(Some(Token { id, is_stale: false }))
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
        assert_eq!(read::<&str>(&[]), Ok(None));
        let others = [format!("id={A}"), format!("__host-id={A}"), format!("x__Host-id={A}")];
        for header in others.iter().map(String::as_str).chain(["", ";;", "=", "__Host-id", "a=b"]) {
            assert_eq!(read(&[header]), Ok(None), "{header}");
        }
    }

    #[test]
    fn sec_38_different_cookies_of_one_name_are_refused_whatever_their_order() {
        let ambiguous = Err(Refusal::Ambiguous);
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
            assert_eq!(read(&[&header]), Err(Refusal::Malformed), "{value}");
        }
        let not_text = [b"__Host-id=".as_slice(), &[0xff; 43]].concat();
        assert_eq!(read(&[not_text]), Err(Refusal::Malformed));
        let quoted = format!("__Host-id=\"{A}\"");
        assert_eq!(read(&[&quoted]), Err(Refusal::Malformed));
    }

    #[test]
    fn cookies_longer_than_any_browser_sends_are_not_looked_through() {
        let filler = format!("a={}", "x".repeat(MAX_COOKIE_HEADERS));
        assert_eq!(read(&[&filler, &format!("__Host-id={A}")]), Err(Refusal::TooLong));
    }

    #[test]
    fn sec_38_the_one_that_is_signed_is_picked_where_that_is_wanted() {
        let ring = KeyRing::new([b"0123456789abcdef0123456789abcdef"]).unwrap();
        let form = |signing| TokenForm { ids: Ids::Native, signing: Some(signing) };
        let picks = form(Signing::new(ring.clone()).pick_signed());
        let refuses = form(Signing::new(ring));
        let cookie = |text: &str| {
            let id = SessionId::parse_native(text).unwrap();
            format!("__Host-id={}", picks.write("__Host-id", &id))
        };
        let (own, attackers) = (cookie(A), cookie(B));
        let ambiguous = Err(Refusal::Ambiguous);
        for planted in ["__Host-id=junk", &format!("__Host-id={B}"), "__Host-id=a.b.c"] {
            for header in [format!("{own}; {planted}"), format!("{planted}; {own}")] {
                assert_eq!(read_as(&picks, &[&header]), id(A), "{header}");
                assert_eq!(read_as(&refuses, &[&header]), ambiguous, "{header}");
            }
        }
        assert_eq!(read_as(&picks, &[&own, &attackers]), ambiguous, "both are signed");
        assert_eq!(read_as(&picks, &["__Host-id=x; __Host-id=y"]), ambiguous, "none is");
        let many: Vec<String> = (0..8).map(|n| format!("__Host-id={n}")).collect();
        assert_eq!(read_as(&picks, &[own, many.join("; ")]), ambiguous, "too many to check");
    }

    #[test]
    fn sec_38_a_signed_cookie_does_not_beat_an_unsigned_one_that_is_still_good() {
        let ring = KeyRing::new([b"0123456789abcdef0123456789abcdef"]).unwrap();
        let signing = Signing::new(ring).pick_signed();
        let form = |signing| TokenForm { ids: Ids::Native, signing: Some(signing) };
        let strict = form(signing.clone());
        let planted = strict.write("__Host-id", &SessionId::parse_native(B).unwrap());
        let both = [format!("__Host-id={A}; __Host-id={planted}")];
        let tolerant = form(signing.accept_unsigned_until(Timestamp::from_millis(u64::MAX)));
        assert_eq!(read_as(&tolerant, &both), Err(Refusal::Ambiguous));
        assert_eq!(read_as(&strict, &both), id(B));
    }

    proptest! {
        #[test]
        fn any_cookies_are_read_without_a_panic(lines: Vec<Vec<u8>>, name in "[a-z;= ]{0,3}") {
            let mut headers = HeaderMap::new();
            for line in &lines {
                if let Ok(value) = HeaderValue::from_bytes(line) {
                    headers.append(COOKIE, value);
                }
            }
            if let Ok(values) = cookie_values(&headers, &name) {
                drop(choose(&TokenForm::NATIVE, &name, values, Timestamp::default));
            }
        }

        #[test]
        fn the_id_is_found_wherever_it_stands(
            before in "([a-z]{1,3}=[^;\r\n\u{0}-\u{1f}\u{7f}-\u{10ffff}]{0,9};[ \t]?){0,3}",
            after in "(;[ \t]?[a-z]{0,3}=?[0-9]{0,3}){0,3}",
        ) {
            prop_assert_eq!(read(&[format!("{before}__Host-id={A}{after}")]), id(A));
        }
    }
}
