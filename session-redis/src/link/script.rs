//! A script and the digest by which the server knows it.

use std::sync::Arc;

/// A script; a clone is the same one.
#[derive(Debug, Clone)]
pub(crate) struct Script(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    text: String,
    sha: String,
}

impl Script {
    pub(crate) fn new(text: &str) -> Self {
        let sha = redis::Script::new(text).get_hash().to_owned();
        Self(Arc::new(Inner { text: text.to_owned(), sha }))
    }

    pub(super) fn text(&self) -> &str {
        &self.0.text
    }

    pub(super) fn sha(&self) -> &str {
        &self.0.sha
    }
}
