//! What the program is told to do.

use std::{path::PathBuf, time::Duration};

use test_servers::redis::Flavor;

use crate::{
    measure::{Plan, Result},
    sql::Engine,
};

pub(crate) const USAGE: &str = "\
usage: session-benches dynamo|memcached|php|redis|sql|web [OPTION]..

  --quick        five short rounds (under two minutes) instead of nine longer ones
  --valkey       redis, web: on Valkey instead of Redis
  --cluster      redis: on a cluster of three primaries and three replicas
  --engine NAME  sql: only on mariadb, mysql, postgres or sqlite; may be given again
  --durable      sql: every commit is on disk before it is acknowledged
  --skip-speed   without the rounds
  --skip-wait    without the bursts on one lock, or of web: without the updates of one session
  --skip-sweep   sql: without the sweep beside writers
  --only TEXT    only contenders with TEXT in their name, and what they are compared with
  --alone TEXT   only contenders with TEXT in their name, for a profile
  --tasks N      only with N tasks, instead of 1, 16 and 64 or 128; may be given again
  --rounds N     as many rounds
  --out FOLDER   where the report goes (default: target/bench)
";

/// What the program is told to do.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) quick: bool,
    pub(crate) flavor: Flavor,
    pub(crate) cluster: bool,
    pub(crate) engines: Vec<Engine>,
    pub(crate) durable: bool,
    pub(crate) speed: bool,
    pub(crate) wait: bool,
    pub(crate) sweep: bool,
    pub(crate) only: Option<String>,
    pub(crate) alone: bool,
    tasks: Vec<usize>,
    rounds: Option<usize>,
    pub(crate) out: PathBuf,
}

impl Options {
    /// Reads what follows the name of the benchmark.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            quick: false,
            flavor: Flavor::Redis,
            cluster: false,
            engines: Vec::new(),
            durable: false,
            speed: true,
            wait: true,
            sweep: true,
            only: None,
            alone: false,
            tasks: Vec::new(),
            rounds: None,
            out: PathBuf::from("target/bench"),
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--quick" => options.quick = true,
                "--valkey" => options.flavor = Flavor::Valkey,
                "--cluster" => options.cluster = true,
                "--engine" => options.engines.push(Engine::named(&value()?)?),
                "--durable" => options.durable = true,
                "--skip-speed" => options.speed = false,
                "--skip-wait" => options.wait = false,
                "--skip-sweep" => options.sweep = false,
                "--only" => options.only = Some(value()?),
                "--alone" => (options.only, options.alone) = (Some(value()?), true),
                "--tasks" => options.tasks.push(value()?.parse()?),
                "--rounds" => options.rounds = Some(value()?.parse()?),
                "--out" => options.out = value()?.into(),
                "--help" => return Err(USAGE.into()),
                _ => return Err(format!("{word} is not an option\n\n{USAGE}").into()),
            }
        }
        Ok(options)
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 5 } else { 9 })
    }

    /// How many tasks there are, in turn.
    pub(crate) fn tasks(&self, standard: &[usize]) -> Vec<usize> {
        if self.tasks.is_empty() { standard.to_vec() } else { self.tasks.clone() }
    }

    /// The name of the report's files.
    pub(crate) fn name(&self) -> String {
        let shape = if self.cluster { "-cluster" } else { "" };
        format!("{}{shape}", self.flavor.name())
    }

    /// How long a contender runs in each round.
    pub(crate) fn plan(&self, sessions: usize) -> Plan {
        let millis = Duration::from_millis;
        let (warm_up, counted) =
            if self.quick { (millis(80), millis(220)) } else { (millis(150), millis(600)) };
        Plan { warm_up, counted, sessions, server: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options> {
        Options::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read() {
        let options = read("--quick --valkey --cluster --tasks 16").unwrap();
        assert_eq!((options.name().as_str(), options.rounds()), ("valkey-cluster", 5));
        assert_eq!(options.tasks(&[1]), [16]);
    }

    #[test]
    fn an_unknown_option_and_a_missing_value_are_refused() {
        assert!(read("--quik").unwrap_err().to_string().contains("--quik"));
        assert!(read("--rounds").is_err());
    }
}
