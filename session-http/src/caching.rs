//! What a session says to caches.

use std::time::Duration;

use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, EXPIRES, PRAGMA, VARY},
};

use crate::{Headers, ResponseHeaders};

/// What responses that depend on the session say to caches: PHP's `session.cache_limiter`.
///
/// It speaks where the handler said nothing of caching itself, and of errors (4xx, 5xx) it lets
/// nobody keep any. A response that sets or clears the
/// session id is kept out of every cache whatever is chosen here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheLimiter {
    /// `nocache`: nobody keeps the response, not even the browser.
    NoCache,
    /// `private`: the browser keeps it for so long (PHP's `session.cache_expire`); caches of before
    /// HTTP/1.1 do not.
    Private(Duration),
    /// `private_no_expire`: the same, without a word to the old caches, which some browsers took
    /// for themselves.
    PrivateNoExpire(Duration),
    /// `public`: everybody keeps it for so long. For pages that are the same for all visitors.
    Public(Duration),
}

/// The past, as PHP writes it.
const LONG_AGO: HeaderValue = HeaderValue::from_static("Thu, 19 Nov 1981 08:52:00 GMT");

impl CacheLimiter {
    /// Whether it is said of a response with this status: errors are not to be kept.
    pub(crate) fn speaks_of(self, status: StatusCode) -> bool {
        self == Self::NoCache || !(status.is_client_error() || status.is_server_error())
    }

    pub(crate) fn apply(self, headers: &mut impl ResponseHeaders) {
        let said = [CACHE_CONTROL, EXPIRES, PRAGMA];
        if said.iter().any(|name| headers.values(name).next().is_some()) {
            return;
        }
        if matches!(self, Self::NoCache | Self::Private(_)) {
            headers.insert(EXPIRES, LONG_AGO);
        }
        let max_age = |scope: &str, age: Duration| format!("{scope}, max-age={}", age.as_secs());
        let control = match self {
            Self::NoCache => {
                headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
                "no-store, no-cache, must-revalidate".to_owned()
            }
            Self::Private(age) | Self::PrivateNoExpire(age) => max_age("private", age),
            Self::Public(age) => max_age("public", age),
        };
        if let Ok(control) = HeaderValue::try_from(control) {
            headers.insert(CACHE_CONTROL, control);
        }
    }
}

/// Keeps a response that hands out or takes back a session id out of every cache.
///
/// Whatever the handler said of caching gives way, except that the response must not be
/// transformed. The headers by which applications speak to one cache past `Cache-Control` go.
pub(crate) fn forbid_storing(headers: &mut impl ResponseHeaders) {
    if !has_directive(headers, CACHE_CONTROL, "no-store") {
        let keep = has_directive(headers, CACHE_CONTROL, "no-transform");
        let value = if keep { "no-store, no-transform" } else { "no-store" };
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
    }
    let mut others: Vec<String> =
        headers.names().filter(|name| is_targeted(name)).map(Into::into).collect();
    others.push(EXPIRES.to_string());
    for name in others {
        headers.remove(&name);
    }
}

/// Says that the response depends on a header of the request.
pub(crate) fn vary_by(name: &HeaderName, headers: &mut impl ResponseHeaders) {
    if !has_directive(headers, VARY, name.as_str()) && !has_directive(headers, VARY, "*") {
        headers.append(VARY, HeaderValue::from(name.clone()));
    }
}

/// `CDN-Cache-Control`, its variants of single vendors, and `Surrogate-Control`.
fn is_targeted(name: &str) -> bool {
    name.ends_with("cdn-cache-control") || name == "surrogate-control"
}

fn has_directive(headers: &impl Headers, name: HeaderName, wanted: &str) -> bool {
    headers
        .values(&name)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|directive| directive.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header::COOKIE};

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(line).collect()
    }

    fn after_forbidding(cache_control: &'static str) -> HeaderMap {
        let mut headers = headers(&[
            ("cache-control", cache_control),
            ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
            ("cdn-cache-control", "max-age=60"),
            ("cloudflare-cdn-cache-control", "max-age=60"),
            ("surrogate-control", "max-age=60"),
            ("etag", "\"1\""),
        ]);
        forbid_storing(&mut headers);
        headers
    }

    #[test]
    fn sec_36_no_cache_may_store_a_response_with_the_cookie() {
        for before in ["public, max-age=3600", "private", "no-cache=\"Set-Cookie\"", ""] {
            let after = after_forbidding(before);
            assert_eq!(after.get_all(CACHE_CONTROL).iter().collect::<Vec<_>>(), ["no-store"]);
            assert_eq!(after.len(), 2, "the ETag stays, other cache headers go: {after:?}");
        }
        let mut none = HeaderMap::new();
        forbid_storing(&mut none);
        assert_eq!(none[CACHE_CONTROL], "no-store");
    }

    #[test]
    fn what_the_handler_said_stays_where_it_agrees() {
        let strict = "private, No-Store, max-age=0";
        assert_eq!(after_forbidding(strict)[CACHE_CONTROL], strict);
        let kept = after_forbidding("public, no-transform");
        assert_eq!(kept[CACHE_CONTROL], "no-store, no-transform");
    }

    #[test]
    fn sec_36_vary_names_the_cookie_once() {
        for (before, after) in [
            (&[][..], vec!["cookie"]),
            (&[("vary", "accept")], vec!["accept", "cookie"]),
            (&[("vary", "accept, Cookie")], vec!["accept, Cookie"]),
            (&[("vary", "*")], vec!["*"]),
            (&[("vary", "x-cookie")], vec!["x-cookie", "cookie"]),
        ] {
            let mut headers = headers(before);
            vary_by(&COOKIE, &mut headers);
            vary_by(&COOKIE, &mut headers);
            assert_eq!(headers.get_all(VARY).iter().collect::<Vec<_>>(), after);
        }
    }

    #[test]
    fn the_cache_limiter_says_what_phps_does() {
        let minute = Duration::from_secs(60);
        let past = "Thu, 19 Nov 1981 08:52:00 GMT";
        for (limiter, control, expires, pragma) in [
            (CacheLimiter::NoCache, "no-store, no-cache, must-revalidate", Some(past), true),
            (CacheLimiter::Private(minute), "private, max-age=60", Some(past), false),
            (CacheLimiter::PrivateNoExpire(minute), "private, max-age=60", None, false),
            (CacheLimiter::Public(minute), "public, max-age=60", None, false),
        ] {
            let mut headers = HeaderMap::new();
            limiter.apply(&mut headers);
            assert_eq!(headers[CACHE_CONTROL], control);
            assert_eq!(headers.get(EXPIRES).map(|value| value.to_str().unwrap()), expires);
            assert_eq!(headers.contains_key(PRAGMA), pragma, "{limiter:?}");
        }
    }

    #[test]
    fn the_cache_limiter_is_silent_where_the_handler_spoke() {
        for line in [("cache-control", "max-age=1"), ("expires", "0"), ("pragma", "x")] {
            let before = headers(&[line]);
            let mut after = before.clone();
            CacheLimiter::NoCache.apply(&mut after);
            assert_eq!(after, before);
        }
    }
}
