//! Headers, as each framework holds them.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers of a message, to be read.
///
/// Adapters of frameworks with a type of their own implement it, so that nothing is copied but what
/// is looked at.
pub trait Headers {
    /// The values of a header, in their order.
    fn values<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]>;
}

/// The headers of a response, to be completed.
pub trait ResponseHeaders: Headers {
    /// The names of all headers; one may come twice.
    fn names(&self) -> impl Iterator<Item = &str>;

    /// Puts `value` in the place of all values of a header.
    fn insert(&mut self, name: HeaderName, value: HeaderValue);

    /// Adds a value to a header.
    fn append(&mut self, name: HeaderName, value: HeaderValue);

    /// Removes a header.
    fn remove(&mut self, name: &str);
}

impl Headers for HeaderMap {
    fn values<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.get_all(name).iter().map(HeaderValue::as_bytes)
    }
}

impl ResponseHeaders for HeaderMap {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.keys().map(HeaderName::as_str)
    }

    fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        self.insert(name, value);
    }

    fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.append(name, value);
    }

    fn remove(&mut self, name: &str) {
        self.remove(name);
    }
}
