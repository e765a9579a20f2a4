//! The table of the AWS SDK for PHP. Its handler is set up by a program, and looks at no `save_path`: the URL
//! is ours, and has the options of the handler.

use super::Refusal;
use crate::Ini;

/// The table where the AWS SDK for PHP keeps sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DynamoDbPath {
    /// A URL like `dynamodb://Sessions?region=eu-central-1&locking=true`, as the store reads it.
    pub url: String,
    /// What keys begin with, where PHP's settings say so: `session.name`.
    pub session_name: Option<String>,
}

impl DynamoDbPath {
    pub(super) fn is_one(path: &str) -> bool {
        path.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("dynamodb"))
    }

    pub(super) fn parse(path: &str, ini: &Ini) -> Result<Self, Refusal> {
        let session_name = ini.get("session.name")?.map(ToOwned::to_owned);
        Ok(Self { url: path.to_owned(), session_name })
    }
}
