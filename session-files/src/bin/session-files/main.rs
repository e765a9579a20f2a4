//! `session-files verify DIR`: tells whether a directory that machines share is fit for sessions.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program talks through its output"
)]

mod checks;
mod cost;
mod meeting;
mod report;

use std::{env, path::PathBuf, process::ExitCode, time::Duration};

use crate::{
    meeting::{Meeting, Result},
    report::Report,
};

const USAGE: &str = "\
usage: session-files verify DIR [--machines N] [--seconds S] [--json] [--anyway]

Start it on all machines that are to share DIR, within a minute. Each of them tells whether locks
exclude, whether a file is replaced in one step, whether changes are seen at once, and what an
operation costs. What it makes in DIR it removes again.

  --machines N  how many machines (or processes) take part; default 2
  --seconds S   how long each check goes on; default 5
  --json        for programs
  --anyway      go on where the store would refuse the mount

exit status: 0 fit for sessions, 1 not fit, 2 it could not be found out
";

struct Arguments {
    directory: PathBuf,
    machines: usize,
    time: Duration,
    json: bool,
    anyway: bool,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Option<Self> {
        if words.next()? != "verify" {
            return None;
        }
        let (directory, time) = (PathBuf::new(), Duration::from_secs(5));
        let mut parsed = Self { directory, machines: 2, time, json: false, anyway: false };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--json" => parsed.json = true,
                "--anyway" => parsed.anyway = true,
                "--machines" => parsed.machines = words.next()?.parse().ok().filter(|n| *n > 0)?,
                "--seconds" => parsed.time = Duration::from_secs(words.next()?.parse().ok()?),
                _ if word.starts_with('-') || parsed.directory.is_absolute() => return None,
                _ => parsed.directory = std::path::absolute(word).ok()?,
            }
        }
        parsed.directory.is_absolute().then_some(parsed)
    }
}

fn main() -> ExitCode {
    let Some(arguments) = Arguments::parse(env::args().skip(1)) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    match verify(&arguments) {
        Ok(report) => {
            print!("{}", if arguments.json { report.to_json() } else { report.to_string() });
            ExitCode::from(u8::from(!report.passed()))
        }
        Err(error) => {
            eprintln!("session-files: {error}");
            ExitCode::from(2)
        }
    }
}

fn verify(arguments: &Arguments) -> Result<Report> {
    let mut report = Report::new(&arguments.directory);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // The store's own look at the mount comes first: without it nothing is made.
    let refusal = runtime.block_on(cost::refusal(&arguments.directory));
    let refused = refusal.is_some();
    report.check("the store takes the mount", !refused, refusal.unwrap_or_default());
    if refused && !arguments.anyway {
        return Ok(report);
    }
    let meeting = Meeting::of(&arguments.directory, arguments.machines)?;
    checks::locks(&meeting, arguments.time, &mut report)?;
    checks::renames(&meeting, arguments.time, &mut report)?;
    checks::news(&meeting, &mut report)?;
    if !refused {
        cost::measure(&runtime, &meeting, &mut report)?;
    }
    meeting.end()?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<Arguments> {
        Arguments::parse(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn arguments_are_read_in_any_order_and_wrong_ones_refused() {
        let parsed = parse("verify --machines 3 /x --json --seconds 1").unwrap();
        assert_eq!((parsed.machines, parsed.json, parsed.anyway), (3, true, false));
        assert_eq!(parsed.directory, PathBuf::from("/x"));
        for wrong in
            ["", "verify", "check /x", "verify /x /y", "verify /x --machines 0", "verify /x -j"]
        {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
