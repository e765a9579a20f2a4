//! Whether a request came over TLS.

use http::HeaderName;

use crate::Headers;

/// How the application knows that the browser's connection was encrypted.
///
/// The application itself mostly sees plain HTTP, because a load balancer ends the TLS
/// connection. A cookie that is `Secure` is neither accepted nor sent on a request that came
/// unencrypted. Without a `Secure` cookie this setting has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Transport {
    /// The application can be reached over TLS only: it ends TLS itself, or everything in front
    /// of it does. The default.
    #[default]
    AlwaysTls,
    /// The trusted proxy in front says so for each request: the header's value is `https`.
    ///
    /// Only for a proxy that sets this header on every request; one that does not would let
    /// clients claim what they like. A list of values must be `https` throughout.
    ProxyHeader(HeaderName),
}

impl Transport {
    /// [`ProxyHeader`](Self::ProxyHeader) with `X-Forwarded-Proto`, which most load balancers set.
    #[must_use]
    pub const fn forwarded_proto() -> Self {
        Self::ProxyHeader(HeaderName::from_static("x-forwarded-proto"))
    }

    pub(crate) fn is_tls(&self, headers: &impl Headers) -> bool {
        let Self::ProxyHeader(name) = self else { return true };
        let mut values = headers.values(name).peekable();
        let is_https = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(b"https");
        values.peek().is_some()
            && values.flat_map(|value| value.split(|b| *b == b',')).all(is_https)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn is_tls(values: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-forwarded-proto", HeaderValue::from_static(value));
        }
        Transport::forwarded_proto().is_tls(&headers)
    }

    #[test]
    fn sec_39_only_https_throughout_counts_as_tls() {
        assert!(Transport::AlwaysTls.is_tls(&HeaderMap::new()));
        assert!(is_tls(&["https"]) && is_tls(&["HTTPS"]) && is_tls(&["https, https"]));
        for plain in [&[][..], &["http"], &["https, http"], &["http,https"], &["https", "http"]] {
            assert!(!is_tls(plain), "{plain:?}");
        }
        for odd in ["", "https,", "httpss", "wss"] {
            assert!(!is_tls(&[odd]), "{odd:?}");
        }
    }
}
