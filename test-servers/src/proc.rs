//! What Linux tells of processes.

use std::fs;

use nix::unistd::{Pid, getpgid};

/// The children of a process that have left its group, of which it is the leader.
pub(crate) fn strays(parent: Pid) -> Vec<Pid> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().filter_map(|id| id.parse().ok()).map(Pid::from_raw);
    children.filter(|child| getpgid(Some(*child)).is_ok_and(|group| group != parent)).collect()
}

/// Stopped by a signal, or gone.
pub(crate) fn is_stopped(id: Pid) -> bool {
    state(id).is_none_or(|state| "TZ".contains(state))
}

/// Gone, or dead and waiting for somebody to take note.
pub(crate) fn is_gone(id: Pid) -> bool {
    state(id).is_none_or(|state| state == 'Z')
}

fn state(id: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
