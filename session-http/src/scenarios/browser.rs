//! A visitor: sends requests and keeps the session cookie, as a browser does.

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;
use http::{
    HeaderMap, Request, Response,
    header::{COOKIE, SET_COOKIE},
};

use super::Server;

/// A browser in front of one server. A clone shares its cookie, as a second tab does.
#[derive(Clone)]
pub struct Browser {
    server: Rc<dyn Server>,
    cookie: Rc<RefCell<Option<String>>>,
}

impl Browser {
    /// A browser without a cookie.
    #[must_use]
    pub fn new(server: impl Into<Rc<dyn Server>>) -> Self {
        Self { server: server.into(), cookie: Rc::default() }
    }

    /// Another visitor of the same server, who presents `cookie` (`name=value`).
    #[must_use]
    pub fn presenting(&self, cookie: impl Into<String>) -> Self {
        let cookie = Rc::new(RefCell::new(Some(cookie.into())));
        Self { server: Rc::clone(&self.server), cookie }
    }

    /// The cookie as the browser sends it, `name=value`.
    #[must_use]
    pub fn cookie(&self) -> Option<String> {
        self.cookie.borrow().clone()
    }

    /// The session id in the cookie.
    #[must_use]
    pub fn id(&self) -> String {
        let cookie = self.cookie().expect("the browser has a cookie");
        cookie.split_once('=').expect("name=value").1.to_owned()
    }

    /// Requests `path`.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(path, HeaderMap::new()).await
    }

    /// Requests `path` with further headers.
    pub async fn send(&self, path: &str, headers: HeaderMap) -> Reply {
        let mut request = Request::get(path).body(Bytes::new()).expect("a request");
        *request.headers_mut() = headers;
        if let Some(cookie) = self.cookie() {
            request.headers_mut().append(COOKIE, cookie.parse().expect("a header"));
        }
        let reply = Reply(self.server.call(request).await);
        if let Some(set) = reply.set_cookie() {
            let cookie = set.split(';').next().expect("name=value").to_owned();
            let is_cleared = set.contains("Max-Age=0");
            *self.cookie.borrow_mut() = (!is_cleared).then_some(cookie);
        }
        reply
    }
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser").finish_non_exhaustive()
    }
}

/// A response.
#[derive(Debug)]
pub struct Reply(Response<Bytes>);

impl Reply {
    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    /// The body.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.0.body()).expect("text")
    }

    /// The `Set-Cookie` header; there must not be two.
    #[must_use]
    pub fn set_cookie(&self) -> Option<&str> {
        let all = self.0.headers().get_all(SET_COOKIE);
        assert!(all.iter().count() <= 1, "two Set-Cookie headers");
        self.header("set-cookie")
    }

    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers().get(name).map(|value| value.to_str().expect("text"))
    }

    /// All values of a header.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let values = self.0.headers().get_all(name);
        values.iter().map(|value| value.to_str().expect("text")).collect()
    }

    /// Everything that the visitor gets to see.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} {:?} {}", self.status(), self.0.headers(), self.text())
    }
}
