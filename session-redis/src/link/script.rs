//! A script and the digest by which the server knows it.

use std::{fmt, sync::Arc};

use data_encoding::HEXLOWER;
use sha1::{Digest, Sha1};

/// A script; a clone is the same one.
#[derive(Clone)]
pub(crate) struct Script(Arc<Inner>);

struct Inner {
    text: String,
    sha: String,
}

impl Script {
    pub(crate) fn new(text: &str) -> Self {
        let sha = HEXLOWER.encode(&Sha1::digest(text));
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
