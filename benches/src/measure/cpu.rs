//! The CPU time of this program, and of a server.

use std::{fs, time::Duration};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};
use nix::unistd::{SysconfVar, sysconf};

use super::Result;

pub(super) fn of_this_process() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok(duration(usage.user_time())? + duration(usage.system_time())?)
}

fn duration(time: TimeVal) -> Result<Duration> {
    let micros = u64::try_from(time.tv_usec())?;
    Ok(Duration::from_secs(u64::try_from(time.tv_sec())?) + Duration::from_micros(micros))
}

/// The CPU time of a process and of its children that run: those of PostgreSQL are its connections.
pub(super) fn of_server(id: i32) -> Result<Duration> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
    let ids = children.split_whitespace().map(str::to_owned).chain([id.to_string()]);
    // One that has ended meanwhile counts no more.
    let ticks = ids.filter_map(|id| ticks(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?));
    let second = sysconf(SysconfVar::CLK_TCK)?.ok_or("no clock")?;
    Ok(Duration::from_secs_f64(ticks.sum::<u64>() as f64 / second as f64))
}

/// In user and system mode, the 14th and 15th field; the second ends with a bracket.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_a_name_with_brackets() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 42 8 0 0 20 0";
        assert_eq!(ticks(stat), Some(50));
    }
}
