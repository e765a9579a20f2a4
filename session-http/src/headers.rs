//! What a session adds to the response's headers.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, EXPIRES, VARY},
};

/// Keeps a response that hands out or takes back a session id out of every cache.
///
/// Whatever the handler said of caching gives way, except that the response must not be
/// transformed. The headers by which applications speak to one cache past `Cache-Control` go.
pub(crate) fn forbid_storing(headers: &mut HeaderMap) {
    if !has_directive(headers, CACHE_CONTROL, "no-store") {
        let keep = has_directive(headers, CACHE_CONTROL, "no-transform");
        let value = if keep { "no-store, no-transform" } else { "no-store" };
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
    }
    headers.remove(EXPIRES);
    let targeted: Vec<HeaderName> =
        headers.keys().filter(|name| is_targeted(name.as_str())).cloned().collect();
    for name in targeted {
        headers.remove(name);
    }
}

/// Says that the response depends on the request's cookies.
pub(crate) fn vary_by_cookie(headers: &mut HeaderMap) {
    if !has_directive(headers, VARY, "cookie") && !has_directive(headers, VARY, "*") {
        headers.append(VARY, HeaderValue::from_static("cookie"));
    }
}

/// `CDN-Cache-Control`, its variants of single vendors, and `Surrogate-Control`.
fn is_targeted(name: &str) -> bool {
    name.ends_with("cdn-cache-control") || name == "surrogate-control"
}

fn has_directive(headers: &HeaderMap, name: HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name);
    values
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|directive| directive.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
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
            vary_by_cookie(&mut headers);
            vary_by_cookie(&mut headers);
            assert_eq!(headers.get_all(VARY).iter().collect::<Vec<_>>(), after);
        }
    }
}
