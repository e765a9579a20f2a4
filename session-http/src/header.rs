//! The session id in a header, for clients that keep no cookies.

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use session_core::{Result, SessionId, Timestamp};

use crate::{
    Headers, Signing,
    failure::wrong_setting,
    presented::{Refusal, choose},
    token::{Token, TokenForm},
};

/// How the session id travels in headers instead of a cookie: for clients of an API.
///
/// The client sends the id in one header, and finds a new one in another; when the session was
/// ended, that one is empty. The default, [`bearer`](Self::bearer), is what clients have an option for:
///
/// ```text
/// POST /login HTTP/1.1                     HTTP/1.1 200 OK
///                                          session-id: K3Gd…
///
/// GET /cart HTTP/1.1                       HTTP/1.1 200 OK
/// authorization: Bearer K3Gd…
/// ```
///
/// Browsers send such a header only when a script does it. So requests forged by other sites carry
/// none, but whatever script runs in the page can read the id: for pages, prefer the cookie.
/// A script of another origin needs `Access-Control-Allow-Headers` with the first header and
/// `Access-Control-Expose-Headers` with the second, from the application's CORS layer.
///
/// Responses say `Vary` with the first header, and those with the second are kept out of caches.
#[derive(Debug, Clone)]
pub struct SessionHeader {
    request: HeaderName,
    is_bearer: bool,
    response: HeaderName,
    /// What signatures are bound to. No cookie has a name with a blank.
    carrier: Box<str>,
    form: TokenForm,
}

impl SessionHeader {
    /// `Authorization: Bearer …` in requests, `Session-Id: …` in responses.
    ///
    /// Caches keep no response to a request with `Authorization`, and proxies keep it out of their
    /// logs. Other schemes (`Basic`) are left alone.
    #[must_use]
    pub fn bearer() -> Self {
        Self::new(AUTHORIZATION, true, HeaderName::from_static("session-id"))
    }

    /// The bare id in headers of these names, which may be the same: `X-Auth-Token`, for instance.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) when one is no header's name, or that of a header that means
    /// something to browsers, caches or servers: `Host`, `Vary`, `Content-Length` and the like.
    pub fn named(request: &str, response: &str) -> Result<Self> {
        Ok(Self::new(named(request)?, false, named(response)?))
    }

    fn new(request: HeaderName, is_bearer: bool, response: HeaderName) -> Self {
        let carrier = format!("header {request}").into();
        Self { request, is_bearer, response, carrier, form: TokenForm::NATIVE }
    }

    /// Signs the id with a ring of keys that all nodes share; see [`Signing`]. Default: the bare id.
    #[must_use]
    pub fn signed(mut self, signing: impl Into<Signing>) -> Self {
        self.form.signing = Some(signing.into());
        self
    }

    /// What the responses depend on.
    pub(crate) const fn request(&self) -> &HeaderName {
        &self.request
    }

    pub(crate) const fn response(&self) -> &HeaderName {
        &self.response
    }

    pub(crate) const fn form(&self) -> &TokenForm {
        &self.form
    }

    /// Whether the request has the header, empty or not.
    pub(crate) fn is_sent(&self, headers: &impl Headers) -> bool {
        self.values(headers).next().is_some()
    }

    pub(crate) fn read(
        &self,
        headers: &impl Headers,
        now: impl Fn() -> Timestamp,
    ) -> Result<Option<Token>, Refusal> {
        let values = self.values(headers).filter(|value| !value.is_empty());
        choose(&self.form, &self.carrier, values, now)
    }

    /// The header's value that hands out `id`; without one, it says that the session is over.
    pub(crate) fn value(&self, id: Option<&SessionId>) -> Result<HeaderValue> {
        let text = id.map(|id| self.form.write(&self.carrier, id)).unwrap_or_default();
        let mut value = HeaderValue::try_from(text)
            .map_err(|source| wrong_setting("the id makes no header").with_source(source))?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn values<'a>(&'a self, headers: &'a impl Headers) -> impl Iterator<Item = &'a [u8]> {
        let credentials = |value: &'a [u8]| {
            let value = value.trim_ascii();
            if self.is_bearer { bearer(value) } else { Some(value) }
        };
        headers.values(&self.request).filter_map(credentials)
    }
}

/// The credentials of the `Bearer` scheme, whose name is in any case.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(b"bearer".len())?;
    let is_ours = rest.first().is_none_or(|byte| *byte == b' ');
    (is_ours && scheme.eq_ignore_ascii_case(b"bearer")).then(|| rest.trim_ascii())
}

fn named(name: &str) -> Result<HeaderName> {
    const TAKEN: [&str; 20] = [
        "accept",
        "authorization",
        "cache-control",
        "clear-site-data",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expires",
        "host",
        "location",
        "origin",
        "pragma",
        "proxy-authorization",
        "set-cookie",
        "te",
        "transfer-encoding",
        "upgrade",
        "vary",
    ];
    let name = HeaderName::try_from(name)
        .map_err(|source| wrong_setting("not the name of a header").with_source(source))?;
    if TAKEN.contains(&name.as_str()) {
        return Err(wrong_setting("this header has another meaning"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use session_core::ErrorKind;

    use super::*;

    const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const B: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA";

    fn read(values: &[&str]) -> (bool, Result<Option<Token>, Refusal>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::try_from(*value).unwrap());
        }
        let header = SessionHeader::bearer();
        (header.is_sent(&headers), header.read(&headers, Timestamp::default))
    }

    #[test]
    fn the_id_is_read_from_bearer_credentials_only() {
        let id = SessionId::parse_native(A).unwrap();
        let found = (true, Ok(Some(Token { id, is_stale: false })));
        for value in [format!("Bearer {A}"), format!("bEARER   {A} ")] {
            assert_eq!(read(&[&value]), found, "{value}");
        }
        assert_eq!(read(&[&format!("Bearer {A}"), &format!("Bearer {A}")]), found, "one id");
        assert_eq!(read(&[&format!("Basic {A}"), &format!("Bearer {A}")]), found);
        for value in ["", "Basic YTpi", &format!("Bearers {A}"), A, "Beare"] {
            assert_eq!(read(&[value]), (false, Ok(None)), "{value}");
        }
        for value in ["Bearer", "Bearer "] {
            assert_eq!(read(&[value]), (true, Ok(None)), "who asks for this header has no id yet");
        }
    }

    #[test]
    fn sec_04_any_other_token_is_refused() {
        for value in ["junk", "eyJhbGciOiJIUzI1NiJ9.e30.x", &format!("{A}{A}"), &"A".repeat(9_000)]
        {
            let value = format!("Bearer {value}");
            assert_eq!(read(&[&value]), (true, Err(Refusal::Malformed)), "{value}");
        }
        let two = [format!("Bearer {A}"), format!("Bearer {B}")];
        assert_eq!(read(&[&two[0], &two[1]]), (true, Err(Refusal::Ambiguous)));
    }

    #[test]
    fn the_names_are_yours_but_for_those_that_mean_something() {
        assert!(SessionHeader::named("X-Auth-Token", "X-Auth-Token").is_ok());
        for name in [
            "",
            "a b",
            "Cookie",
            "set-cookie",
            "Authorization",
            "Host",
            "Connection",
            "Content-Length",
        ] {
            let error = SessionHeader::named(name, "x").expect_err("no such header");
            assert_eq!(error.kind(), ErrorKind::Config, "{name}");
        }
    }

    #[test]
    fn sec_44_the_header_keeps_the_id_out_of_debug_output() {
        let id = SessionId::parse_native(A).unwrap();
        let value = SessionHeader::bearer().value(Some(&id)).unwrap();
        assert_eq!(value, A);
        assert!(!format!("{value:?}").contains(A));
    }
}
