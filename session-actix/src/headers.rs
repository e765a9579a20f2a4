//! actix's headers and those of the `http` crate: the same names and values in other types.

use actix_web::http::header;
use http::{HeaderName, HeaderValue};
use session_http::{Headers, ResponseHeaders};

/// The headers of a request.
pub(crate) struct Request<'a>(pub(crate) &'a header::HeaderMap);

/// The headers of a response.
pub(crate) struct Response<'a>(pub(crate) &'a mut header::HeaderMap);

fn values<'a>(map: &'a header::HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    map.get_all(name.as_str()).map(header::HeaderValue::as_bytes)
}

impl Headers for Request<'_> {
    fn values<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        values(self.0, name)
    }
}

impl Headers for Response<'_> {
    fn values<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        values(self.0, name)
    }
}

impl ResponseHeaders for Response<'_> {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(header::HeaderName::as_str)
    }

    fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        if let Some((name, value)) = to_actix(&name, &value) {
            self.0.insert(name, value);
        }
    }

    fn append(&mut self, name: HeaderName, value: HeaderValue) {
        if let Some((name, value)) = to_actix(&name, &value) {
            self.0.append(name, value);
        }
    }

    fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }
}

/// Never `None`: both types allow the same.
pub(crate) fn to_actix(
    name: &HeaderName,
    value: &HeaderValue,
) -> Option<(header::HeaderName, header::HeaderValue)> {
    let name = header::HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
    let mut copy = header::HeaderValue::from_bytes(value.as_bytes()).ok()?;
    copy.set_sensitive(value.is_sensitive());
    Some((name, copy))
}
