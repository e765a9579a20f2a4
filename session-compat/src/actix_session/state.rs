//! The state as actix-session hands it over: the one place that knows its type, which the next
//! release changes.

use std::collections::HashMap;

use session_core::{Error, ErrorKind, Operation, Result};

use crate::bridge::Values;

/// JSON text by name.
pub(super) type State = HashMap<String, String>;

pub(super) fn to_state(values: Values) -> Result<State> {
    let text = |(name, value)| Ok((name, serde_json::to_string(&value)?));
    values.into_iter().map(text).collect::<serde_json::Result<_>>().map_err(|_told| no_json())
}

pub(super) fn from_state(state: State) -> Result<Values> {
    let value = |(name, text): (_, String)| Ok((name, serde_json::from_str(&text)?));
    // The parser's error may repeat the value, so it goes no further.
    state.into_iter().map(value).collect::<serde_json::Result<_>>().map_err(|_told| no_json())
}

fn no_json() -> Error {
    Error::new(ErrorKind::Unsupported, "compat", Operation::Encode)
        .with_detail("an entry of the session is not JSON")
}
