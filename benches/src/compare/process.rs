//! What the operating system knows of processes.

use std::fs;

/// The process that listens on a port of this machine.
pub(crate) fn listening_on(port: u16) -> Option<i32> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let text = fs::read_to_string(table).ok()?;
        text.lines().skip(1).find_map(|line| inode_of(line, port))
    })?;
    let socket = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.into_iter().find(|id| holds(*id, &socket))
}

/// The inode of a socket that listens on the port, from a line of `/proc/net/tcp`.
fn inode_of(line: &str, port: u16) -> Option<String> {
    const LISTENS: &str = "0A";
    let words: Vec<&str> = line.split_whitespace().collect();
    let own = words.get(1)?.rsplit(':').next()?;
    let found = u16::from_str_radix(own, 16).ok()? == port && *words.get(3)? == LISTENS;
    found.then(|| words.get(9).map(|inode| (*inode).to_owned())).flatten()
}

fn holds(id: i32, socket: &str) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{id}/fd")) else { return false };
    let mut links = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.any(|link| link.to_str() == Some(socket))
}

/// Bytes of memory that a process uses, and its children.
pub(crate) fn memory(id: i32) -> Option<u64> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    let children = children.split_whitespace().filter_map(|id| own_memory(id.parse().ok()?));
    Some(own_memory(id)? + children.sum::<u64>())
}

/// Bytes of memory that a process uses. What it shares with others is counted to each in part.
pub(crate) fn own_memory(id: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let line = text.lines().find(|line| line.starts_with("Pss:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(listening_on(port), Some(own));
        drop(listener);
        assert_eq!(listening_on(port), None);
    }

    #[test]
    fn the_memory_of_this_process_is_known() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(memory(own).unwrap() > 100_000);
    }
}
