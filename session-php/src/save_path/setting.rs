//! Settings of the handlers, as PHP reads them.

use std::time::Duration;

use super::Refusal;
use crate::Ini;

/// A setting that is on or off.
pub(super) fn flag(ini: &Ini, name: &str, default: bool) -> Result<bool, Refusal> {
    let Some(value) = ini.get(name)? else { return Ok(default) };
    Ok(match value.trim().to_ascii_lowercase().as_str() {
        "on" | "yes" | "true" => true,
        other => other.parse::<i64>().is_ok_and(|number| number != 0),
    })
}

/// A setting that is a whole number.
pub(super) fn number(ini: &Ini, name: &str, default: i64) -> Result<i64, Refusal> {
    let Some(value) = ini.get(name)? else { return Ok(default) };
    value.trim().parse().map_err(|_odd| Refusal::new(name, "it is no whole number"))
}

/// When a lock ends: after so many seconds, else with `max_execution_time`, else never.
pub(super) fn lock_expire(ini: &Ini, name: &str) -> Result<Option<Duration>, Refusal> {
    for seconds in [number(ini, name, 0)?, number(ini, "max_execution_time", 30)?] {
        if let Some(seconds) = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0) {
            return Ok(Some(Duration::from_secs(seconds)));
        }
    }
    Ok(None)
}
