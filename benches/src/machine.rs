//! Where it ran, and with what.

use std::fs;

use nix::sys::utsname::uname;
use serde::{Deserialize, Serialize};

/// The lock file this program was built with.
const LOCK_FILE: &str = include_str!("../Cargo.lock");

/// Facts without which figures mean little.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) load_before: String,
    pub(crate) load_after: String,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let kernel = uname().map(|name| name.release().to_string_lossy().into_owned());
        Self {
            processor: processor().unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: kernel.unwrap_or_default(),
            load_before: load(),
            load_after: String::new(),
        }
    }

    pub(crate) fn look_again(&mut self) {
        self.load_after = load();
    }
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The load average of the last 1, 5 and 15 minutes.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// The versions of a crate in this program, such as `1.8.1`.
pub(crate) fn versions(name: &str) -> String {
    let wanted = format!("name = \"{name}\"");
    let lines: Vec<&str> = LOCK_FILE.lines().collect();
    let found = lines.windows(2).filter(|pair| pair[0] == wanted);
    let version = |pair: &[&str]| pair[1].split('"').nth(1).unwrap_or_default().to_owned();
    found.map(version).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        assert_eq!(versions("fred"), "10.1.0");
        assert_eq!(versions("no-such-crate"), "");
    }
}
