//! actix's headers and those of the `http` crate: the same names and values in other types.

use actix_web::http::header;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers as `session-http` reads them. None is lost: both types allow the same.
pub(crate) fn of_actix(headers: &header::HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
        })
        .collect()
}

/// Puts these headers in the place of others.
pub(crate) fn replace(actix: &mut header::HeaderMap, headers: &HeaderMap) {
    actix.clear();
    for (name, value) in headers {
        let name = header::HeaderName::from_bytes(name.as_str().as_bytes());
        let value = header::HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            actix.append(name, value);
        }
    }
}
