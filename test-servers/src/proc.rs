//! What Linux tells of processes.

use std::{fs, path::Path};

use nix::unistd::{Pid, getpgid};

/// The children of a process that have left its group, of which it is the leader.
pub(crate) fn strays(parent: Pid) -> Vec<Pid> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().filter_map(|id| id.parse().ok()).map(Pid::from_raw);
    children.filter(|child| getpgid(Some(*child)).is_ok_and(|group| group != parent)).collect()
}

/// Stopped by a signal with all its threads, or gone.
pub(crate) fn is_stopped(id: Pid) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return true };
    let mut stats = threads.flatten().map(|thread| thread.path().join("stat"));
    stats.all(|stat| state_in(&stat).is_none_or(|state| "TZ".contains(state)))
}

/// Gone, or dead and waiting for somebody to take note.
pub(crate) fn is_gone(id: Pid) -> bool {
    state(id).is_none_or(|state| state == 'Z')
}

fn state(id: Pid) -> Option<char> {
    state_in(format!("/proc/{id}/stat").as_ref())
}

fn state_in(stat: &Path) -> Option<char> {
    fs::read_to_string(stat).ok()?.rsplit_once(") ")?.1.chars().next()
}
