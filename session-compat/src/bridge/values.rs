//! The entries of a session as a foreign framework sees them, and what it changed.

use std::collections::HashMap;

use serde::de::IgnoredAny;
use serde_json::Value;
use session_core::{Result, Session, SessionData};

/// Entries by name.
pub(crate) type Values = HashMap<String, Value>;

/// The name of the entry that the adapter adds for itself. It is never stored.
pub(crate) const CARRIED: &str = "\u{1}session-compat";

/// The entries that have a form in JSON. What has none (bytes, maps whose keys are no strings) is not
/// shown, and stays as it is.
pub(crate) fn shown(data: &SessionData) -> Values {
    let names = data.names().into_iter().filter(|name| name != CARRIED);
    names.filter_map(|name| data.get(&name).ok().flatten().map(|value| (name, value))).collect()
}

/// What of the entries is the application's.
pub(crate) fn without_carried(values: &Values) -> Values {
    let own = values.iter().filter(|(name, _)| *name != CARRIED);
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Makes the changes to `session` that led from `shown` to `values`; whether there were any.
pub(crate) async fn apply(session: &Session, shown: &Values, values: &Values) -> Result<bool> {
    let mut is_changed = false;
    for name in shown.keys().filter(|name| !values.contains_key(*name)) {
        session.remove::<IgnoredAny>(name).await?;
        is_changed = true;
    }
    for (name, value) in values {
        if name != CARRIED && shown.get(name) != Some(value) {
            session.insert(name, value).await?;
            is_changed = true;
        }
    }
    Ok(is_changed)
}
