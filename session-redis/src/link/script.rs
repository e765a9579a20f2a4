//! A script and the digest by which the server knows it.

use std::{fmt, sync::Arc};

/// A script; a clone is the same one.
#[derive(Clone)]
pub(crate) struct Script(Arc<Inner>);

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

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script({})", self.0.sha)
    }
}
