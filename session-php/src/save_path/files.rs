//! The `save_path` of `files`: `[N;[MODE;]]PATH`.

use super::Refusal;
use crate::Ini;

/// Where `files` keeps sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilesPath {
    /// For how many of its first characters an id has a directory each.
    pub depth: usize,
    /// The permissions of new files, before the umask.
    pub mode: u32,
    /// The directory; none where PHP takes that for temporary files.
    pub directory: Option<String>,
}

impl FilesPath {
    pub(super) fn parse(path: &str, ini: &Ini) -> Result<Self, Refusal> {
        let refuse = |reason| Refusal::new("session.save_path", reason);
        let mut parts: Vec<&str> = path.splitn(3, ';').collect();
        let directory = parts.pop().unwrap_or_default();
        let number = |text: &str, radix| number(text, radix);
        let depth = parts.first().map_or(Some(0), |depth| number(depth, 10));
        let depth = depth.and_then(|depth| usize::try_from(depth).ok());
        let mode = parts.get(1).map_or(Some(0o600), |mode| number(mode, 8));
        let mode = mode.and_then(|mode| u32::try_from(mode).ok()).filter(|mode| *mode <= 0o7777);
        if directory.is_empty() && !parts.is_empty() {
            return Err(refuse("the directory is missing after the last semicolon"));
        }
        let temporary = ini.get("sys_temp_dir")?.filter(|_| directory.is_empty());
        let directory = temporary.unwrap_or(directory);
        Ok(Self {
            depth: depth.ok_or_else(|| refuse("the depth is not a number of directories"))?,
            mode: mode.ok_or_else(|| refuse("the mode is not octal, or above 7777"))?,
            directory: (!directory.is_empty()).then(|| directory.to_owned()),
        })
    }
}

/// As C's `strtol`: what is no number is zero, and what follows a number is left out.
fn number(text: &str, radix: u32) -> Option<i64> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = digits.find(|digit: char| !digit.is_digit(radix)).unwrap_or(digits.len());
    let digits = digits.get(..end).filter(|digits| !digits.is_empty()).unwrap_or("0");
    let value = i64::from_str_radix(digits, radix).ok()?;
    Some(if text.starts_with('-') { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Result<(usize, u32, Option<String>), Refusal> {
        let found = FilesPath::parse(path, &Ini::default())?;
        Ok((found.depth, found.mode, found.directory))
    }

    #[test]
    fn depth_and_mode_stand_before_the_directory() {
        let at = |depth, mode, directory: &str| Ok((depth, mode, Some(directory.to_owned())));
        assert_eq!(parse("/s"), at(0, 0o600, "/s"));
        assert_eq!(parse("2;/s"), at(2, 0o600, "/s"));
        assert_eq!(parse("2;0660;/s"), at(2, 0o660, "/s"));
        assert_eq!(parse("2;0660;/s;t"), at(2, 0o660, "/s;t"));
        assert_eq!(parse("abc;/s"), at(0, 0o600, "/s"));
        assert_eq!(parse(" 1x;640y;/s"), at(1, 0o640, "/s"));
        assert_eq!(parse(""), Ok((0, 0o600, None)));
        let ini = Ini::from_iter([("sys_temp_dir", "/t")]);
        assert_eq!(FilesPath::parse("", &ini).unwrap().directory.as_deref(), Some("/t"));
        assert_eq!(FilesPath::parse("/s", &ini).unwrap().directory.as_deref(), Some("/s"));
    }

    #[test]
    fn what_php_cannot_use_is_refused() {
        for path in ["-1;/s", "99999999999999999999;/s", "0;10000;/s", "0;-1;/s", "2;"] {
            assert_eq!(parse(path).unwrap_err().parameter(), "session.save_path", "{path}");
        }
    }
}
