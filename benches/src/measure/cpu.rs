//! The CPU time of this program, and of a server.

use std::{fs, time::Duration};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};

use super::Result;

pub(crate) fn of_this_process() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok(duration(usage.user_time())? + duration(usage.system_time())?)
}

fn duration(time: TimeVal) -> Result<Duration> {
    let micros = u64::try_from(time.tv_usec())?;
    Ok(Duration::from_secs(u64::try_from(time.tv_sec())?) + Duration::from_micros(micros))
}

/// The CPU time of a process and of its children that run: those of PostgreSQL are its connections.
pub(crate) fn of_server(id: i32) -> Result<Duration> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
    let ids = children.split_whitespace().map(str::to_owned).chain([id.to_string()]);
    // One that has ended meanwhile counts no more.
    let nanos = ids.filter_map(|id| of_threads(&id).ok()).sum();
    Ok(Duration::from_nanos(nanos))
}

/// In nanoseconds; `stat` has ticks of ten milliseconds.
fn of_threads(id: &str) -> Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        let line = fs::read_to_string(thread?.path().join("schedstat"))?;
        sum += line.split_whitespace().next().ok_or("an empty schedstat")?.parse::<u64>()?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_time_of_a_process_grows_as_it_works() {
        let own = i32::try_from(std::process::id()).unwrap();
        let (before, began) = (of_server(own).unwrap(), Instant::now());
        while of_server(own).unwrap() < before + Duration::from_millis(5) {
            assert!(began.elapsed() < Duration::from_secs(30));
        }
    }
}
