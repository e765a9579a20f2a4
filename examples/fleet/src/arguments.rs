//! The command line.

use std::str::FromStr;

use example_fleet::{Framework, NAMES};

pub(crate) const USAGE: &str = "\
usage: example-fleet [drive] [OPTIONS]

  (nothing)         start instances behind HAProxy, until Ctrl-C
  drive             have 200 users click on fleets of four kinds, and count what they notice

  --store URL       where sessions are; without it, in a Redis that is started
  --port N          where the balancer listens (8080); 0 for any that is free
  --instances N     how many instances are started at first, of six (4)
  --unshared        each instance keeps its sessions to itself
  --sticky          the balancer binds each visitor to an instance
  --wrong-key       the third instance signs with another key
  --seed N          other chances for `drive`
  --users N         fewer or more users for `drive`
";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Run,
    Drive,
    Help,
    /// For ourselves: every instance is a process of this program.
    Instance(Framework),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) command: Command,
    pub(crate) store: Option<String>,
    pub(crate) port: u16,
    pub(crate) instances: usize,
    pub(crate) unshared: bool,
    pub(crate) sticky: bool,
    pub(crate) wrong_key: bool,
    pub(crate) seed: Option<u64>,
    pub(crate) users: Option<usize>,
}

impl Arguments {
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut words = words.into_iter();
        let mut arguments = Self {
            command: Command::Run,
            store: None,
            port: 8080,
            instances: 4,
            unshared: false,
            sticky: false,
            wrong_key: false,
            seed: None,
            users: None,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "drive" => arguments.command = Command::Drive,
                "instance" => arguments.command = Command::Instance(framework(words.next())?),
                "--store" => arguments.store = Some(value(&word, words.next())?),
                "--port" => arguments.port = value(&word, words.next())?,
                "--instances" => arguments.instances = value(&word, words.next())?,
                "--unshared" => arguments.unshared = true,
                "--sticky" => arguments.sticky = true,
                "--wrong-key" => arguments.wrong_key = true,
                "--seed" => arguments.seed = Some(value(&word, words.next())?),
                "--users" => arguments.users = Some(value(&word, words.next())?),
                "--help" | "-h" => arguments.command = Command::Help,
                _ => return Err(format!("unknown: {word}")),
            }
        }
        if !(1..=NAMES.len()).contains(&arguments.instances) {
            return Err(format!("--instances takes 1 to {}", NAMES.len()));
        }
        Ok(arguments)
    }
}

fn framework(word: Option<String>) -> Result<Framework, String> {
    match word.as_deref() {
        Some("axum") => Ok(Framework::Axum),
        Some("actix") => Ok(Framework::Actix),
        _ => Err("an instance is axum or actix".to_owned()),
    }
}

fn value<T: FromStr>(option: &str, word: Option<String>) -> Result<T, String> {
    word.and_then(|word| word.parse().ok()).ok_or_else(|| format!("{option} needs a value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read_in_any_order() {
        let arguments = parse("--users 3 drive --store redis://h --seed 7").unwrap();
        assert_eq!(arguments.command, Command::Drive);
        assert_eq!((arguments.users, arguments.seed), (Some(3), Some(7)));
        assert_eq!(arguments.store.as_deref(), Some("redis://h"));
        let arguments = parse("--port 1 --unshared --sticky --wrong-key --instances 2").unwrap();
        assert_eq!((arguments.port, arguments.instances), (1, 2));
        assert!(arguments.unshared && arguments.sticky && arguments.wrong_key);
        assert_eq!(arguments.command, Command::Run);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in ["--port x", "--port", "dirve", "--instances 7", "--instances 0", "instance"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
