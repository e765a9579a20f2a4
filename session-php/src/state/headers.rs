//! The headers of the response: the cookie, and those for caches.

use session_core::Timestamp;

use super::{PhpId, Problem};
use crate::{
    Settings,
    settings::{PhpVersion, breaks_cookie},
};

/// The headers that the session has set, in their order.
#[derive(Clone, Default)]
pub(super) struct Headers(Vec<(&'static str, String)>);

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

const SET_COOKIE: &str = "Set-Cookie";
/// When PHP's first pages were served.
const LONG_AGO: &str = "Thu, 19 Nov 1981 08:52:00 GMT";

impl Headers {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// What replaces a header comes last.
    fn replace(&mut self, name: &'static str, value: String) {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, value));
    }

    /// The cookie of a session, in the place of one that is there. What is wrong with it, if it is
    /// not sent.
    pub(super) fn set_cookie(
        &mut self,
        settings: &Settings,
        id: &PhpId,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let settles = settings.version >= PhpVersion::V8_5;
        if settles && settings.cookie_partitioned && !settings.cookie_secure {
            return Err(Problem::CookiePartitioned);
        }
        if breaks_cookie(&settings.name) {
            return Err(Problem::CookieName);
        }
        let start = format!("{}=", settings.name);
        self.0.retain(|(name, value)| *name != SET_COOKIE || !value.starts_with(&start));
        let value = cookie(settings, id, now);
        if value.contains('\0') {
            return Err(Problem::HeaderNul);
        }
        if value.contains(['\r', '\n']) {
            return Err(Problem::HeaderLineBreak);
        }
        self.0.push((SET_COOKIE, value));
        Ok(())
    }

    /// What the setting `cache_limiter` asks for.
    pub(super) fn limit_caching(
        &mut self,
        settings: &Settings,
        last_modified: Option<Timestamp>,
        now: Timestamp,
    ) {
        let seconds = settings.cache_expire.wrapping_mul(60);
        let limiter = settings.cache_limiter.to_ascii_lowercase();
        match limiter.as_str() {
            "public" => {
                self.replace("Expires", date(seconds_of(now).saturating_add(seconds)));
                self.replace("Cache-Control", format!("public, max-age={seconds}"));
            }
            "private" | "private_no_expire" => {
                if limiter == "private" {
                    self.replace("Expires", LONG_AGO.to_owned());
                }
                self.replace("Cache-Control", format!("private, max-age={seconds}"));
            }
            "nocache" => {
                self.replace("Expires", LONG_AGO.to_owned());
                self.replace("Cache-Control", "no-store, no-cache, must-revalidate".to_owned());
                self.replace("Pragma", "no-cache".to_owned());
                return;
            }
            _ => return,
        }
        if let Some(modified) = last_modified {
            self.replace("Last-Modified", date(seconds_of(modified)));
        }
    }
}

fn cookie(settings: &Settings, id: &PhpId, now: Timestamp) -> String {
    let mut cookie = format!("{}={}", settings.name, url_encoded(id.expose()));
    let lifetime = settings.cookie_lifetime;
    let end = seconds_of(now).wrapping_add(lifetime);
    if lifetime > 0 && end > 0 {
        cookie += &format!("; expires={}; Max-Age={lifetime}", date(end));
    }
    let mut text = |name: &str, value: &str| {
        if !value.is_empty() {
            cookie += &format!("; {name}={value}");
        }
    };
    text("path", &settings.cookie_path);
    text("domain", &settings.cookie_domain);
    let flags = [
        (settings.cookie_secure, "; secure"),
        (settings.cookie_partitioned, "; Partitioned"),
        (settings.cookie_httponly, "; HttpOnly"),
    ];
    cookie.extend(flags.into_iter().filter_map(|(is_set, flag)| is_set.then_some(flag)));
    if !settings.cookie_samesite.is_empty() {
        cookie += &format!("; SameSite={}", settings.cookie_samesite);
    }
    cookie
}

/// `urlencode`
fn url_encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        match byte {
            b'-' | b'_' | b'.' => out.push(char::from(*byte)),
            b' ' => out.push('+'),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(*byte)),
            byte => out += &format!("%{byte:02X}"),
        }
        out
    })
}

fn seconds_of(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis() / 1000).unwrap_or(i64::MAX)
}

const DAY: i64 = 24 * 60 * 60;
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A time in headers, from seconds since 1970.
fn date(seconds: i64) -> String {
    let (days, time) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let weekday = pick(&WEEKDAYS, days.rem_euclid(7));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    let month = pick(&MONTHS, month);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

fn pick(names: &[&'static str], at: i64) -> &'static str {
    usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or_default()
}

/// Year, month from 0 and day of the Gregorian calendar, from days since 1970. Years are counted
/// from March, so that the day that comes every four years is a year's last.
fn civil(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 400 * 365 + 97;
    let days = days.saturating_add(719_468);
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    (era * 400 + year + i64::from(month < 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(375_007_920), LONG_AGO);
        assert_eq!(date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(date(1_700_000_000), "Tue, 14 Nov 2023 22:13:20 GMT");
        assert_eq!(date(4_107_542_399), "Sun, 28 Feb 2100 23:59:59 GMT");
        assert_eq!(date(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
    }
}
