//! What the comparison of whole stores is told to do.

use std::{path::PathBuf, time::Duration};

use super::kind::Kind;
use crate::measure::Result;

pub(crate) const USAGE: &str = "\
usage: session-benches [stores] [OPTION]..   compares whole stores: ours, other libraries, bare clients
       session-benches memcached|php|redis|sql|web [OPTION]..   looks closer at one; see below

  --on KIND         only on memory, files, redis, valkey, memcached, mariadb, mysql, postgresql,
                    sqlite or dynamodb; may be given again. Servers are started here
  --store URL       a store of yours by its URL instead; may be given again. Sessions are made in it,
                    and most are left to expire within the hour. No other library is let at it
  --only TEXT       only candidates with TEXT in their name (`session` is ours)
  --quick           one short round, to see whether it works
  --rounds N        as many rounds (default: 3)
  --slice MS        each candidate is measured for so long in a round (default: 240)
  --sessions N      as many sessions (default: 1000)
  --bytes N         sessions of this size (default: 1024)
  --seed N          which sessions are asked for (default: 1)
  --sweep           also the sweep of 100,000 sessions of which the half has expired, beside traffic
  --growth N        also speed with 1,000, 10,000 .. up to N stored sessions
  --sizes           also speed with sessions of 0.25 to 256 KiB
  --compare FILE    says what has changed since the run that wrote this report.json
  --report FILE     measures nothing, and makes the report of this report.json anew
  --save-results    also keeps the results in benches/results and makes the table of README.md of them
  --out FOLDER      where report.html, report.md and report.json go (default: target/bench)
";

/// What the comparison is told to do.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) stores: Vec<String>,
    pub(crate) only: Option<String>,
    pub(crate) rounds: usize,
    pub(crate) slice: Duration,
    pub(crate) sessions: usize,
    pub(crate) bytes: usize,
    pub(crate) seed: u64,
    pub(crate) sweep: bool,
    pub(crate) growth: Option<usize>,
    pub(crate) sizes: bool,
    pub(crate) compare: Option<PathBuf>,
    pub(crate) report: Option<PathBuf>,
    pub(crate) save: bool,
    pub(crate) out: PathBuf,
}

impl Options {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            kinds: Vec::new(),
            stores: Vec::new(),
            only: None,
            rounds: 3,
            slice: Duration::from_millis(240),
            sessions: 1000,
            bytes: 1024,
            seed: 1,
            sweep: false,
            growth: None,
            sizes: false,
            compare: None,
            report: None,
            save: false,
            out: PathBuf::from("target/bench"),
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--on" => options.kinds.push(kind(&value()?)?),
                "--store" => options.stores.push(value()?),
                "--only" => options.only = Some(value()?),
                "--quick" => (options.rounds, options.slice) = (1, Duration::from_millis(60)),
                "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
                "--slice" => options.slice = Duration::from_millis(value()?.parse()?),
                "--sessions" => options.sessions = value()?.parse::<usize>()?.max(16),
                "--bytes" => options.bytes = value()?.parse()?,
                "--seed" => options.seed = value()?.parse()?,
                "--sweep" => options.sweep = true,
                "--growth" => options.growth = Some(value()?.parse()?),
                "--sizes" => options.sizes = true,
                "--compare" => options.compare = Some(value()?.into()),
                "--report" => options.report = Some(value()?.into()),
                "--save-results" => options.save = true,
                "--out" => options.out = value()?.into(),
                "--help" => return Err(format!("{USAGE}\n{}", crate::options::USAGE).into()),
                _ => return Err(format!("{word} is not an option\n\n{USAGE}").into()),
            }
        }
        Ok(options)
    }

    /// The kinds to start, which are all unless it is said.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let all = self.kinds.is_empty() && self.stores.is_empty();
        if all { Kind::ALL.to_vec() } else { self.kinds.clone() }
    }
}

fn kind(word: &str) -> Result<Kind> {
    let known = Kind::ALL.into_iter().find(|kind| kind.word() == word.to_lowercase());
    known.ok_or_else(|| format!("{word} is no kind of store\n\n{USAGE}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options> {
        Options::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn without_options_every_kind_is_started() {
        assert_eq!(read("").unwrap().kinds(), Kind::ALL);
        assert_eq!(read("--store memory:").unwrap().kinds(), []);
        assert_eq!(
            read("--on redis --on dynamodb").unwrap().kinds(),
            [Kind::Redis, Kind::DynamoDb]
        );
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(read("--on oracle").unwrap_err().to_string().contains("oracle"));
        assert!(read("--quik").is_err());
        assert!(read("--growth").is_err());
    }
}
