//! Walking over the files: garbage collection and enumeration.

use std::{
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use session_core::{Cursor, Key, KeyHasher, KeyPage, SweepBudget, SweepReport, Timestamp};

use super::{
    PhpLayout,
    file::{Found, SessionFile, Share, deadline},
    layout::{DRAFT, PREFIX},
};
use crate::fault::Outcome;

/// How old the draft of a new session must be to be that of a program that died.
const DRAFT_AGE: Duration = Duration::from_secs(3_600);

/// Removes expired sessions that nobody has open, from `cursor` on.
///
/// PHP looks at neither the lock nor directories below the first; we do both.
pub(super) fn sweep(
    layout: &PhpLayout,
    now: Timestamp,
    cursor: Option<&Cursor>,
    budget: SweepBudget,
) -> Outcome<SweepReport> {
    let started = Instant::now();
    let mut report = SweepReport::default();
    let mut files = after(layout, cursor)?.into_iter();
    while let Some(file) = files.next() {
        report.scanned += 1;
        match remove_expired(layout, &file, now) {
            Ok(Some(lag)) => {
                report.deleted += 1;
                report.oldest_lag = report.oldest_lag.max(Some(lag));
            }
            Ok(None) => {}
            Err(_unreadable) => report.skipped += 1,
        }
        let over = report.scanned >= budget.max_scanned || started.elapsed() >= budget.max_time;
        if over && files.len() > 0 {
            report.next = Some(position(layout, &file));
            break;
        }
    }
    Ok(report)
}

/// The ids of live sessions.
pub(super) fn keys(
    layout: &PhpLayout,
    now: Timestamp,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Outcome<KeyPage> {
    let mut page = KeyPage::default();
    let mut files = after(layout, cursor)?.into_iter();
    while let Some(file) = files.next() {
        let id = file.file_name().and_then(|name| name.to_str()).and_then(PhpLayout::id);
        let lives = fs::symlink_metadata(&file).is_ok_and(|found| {
            found.is_file() && !deadline(&found, layout.lifetime).has_passed(now)
        });
        page.keys.extend(id.filter(|_| lives).map(|id| -> Key { KeyHasher::plain().key(&id) }));
        if page.keys.len() >= limit.max(1) && files.len() > 0 {
            page.next = Some(position(layout, &file));
            break;
        }
    }
    Ok(page)
}

/// Removes a file if its session has expired and nobody has it; says how long ago it expired.
fn remove_expired(layout: &PhpLayout, path: &Path, now: Timestamp) -> io::Result<Option<Duration>> {
    let has_expired = |path: &Path| -> io::Result<Option<Duration>> {
        let found = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found?,
        };
        let end = deadline(&found, layout.lifetime);
        let lag = end.timestamp().map(|end| now.since(end));
        Ok(lag.filter(|_| found.is_file() && end.has_passed(now)))
    };
    if has_expired(path)?.is_none() {
        return Ok(None);
    }
    let Found::Locked(_file) = SessionFile::lock(path, Share::Exclusive)? else { return Ok(None) };
    let lag = has_expired(path)?;
    if lag.is_some() {
        fs::remove_file(path)?;
    }
    Ok(lag)
}

/// All sessions' files in order, from those after `cursor` on.
fn after(layout: &PhpLayout, cursor: Option<&Cursor>) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    walk(&layout.directory, layout.depth, &mut files)?;
    if let Some(cursor) = cursor {
        files.retain(|file| position(layout, file).as_bytes() > cursor.as_bytes());
    }
    files.sort_by_cached_key(|file| position(layout, file).as_bytes().to_vec());
    Ok(files)
}

fn walk(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if depth > 0 && name.len() == 1 && entry.file_type()?.is_dir() {
            walk(&path, depth - 1, files)?;
        } else if depth == 0 && name.as_bytes().starts_with(PREFIX.as_bytes()) {
            files.push(path);
        } else if name.as_bytes().starts_with(DRAFT.as_bytes()) {
            remove_draft(&path);
        }
    }
    Ok(())
}

/// Removes what a program left behind that died while it made a session.
fn remove_draft(path: &Path) {
    let age = fs::symlink_metadata(path).and_then(|found| found.modified());
    if age.is_ok_and(|since| since.elapsed().is_ok_and(|age| age > DRAFT_AGE)) {
        // If this fails, the next sweep tries again.
        fs::remove_file(path).ok();
    }
}

/// Where a file stands in the walk.
fn position(layout: &PhpLayout, file: &Path) -> Cursor {
    let below = file.strip_prefix(&layout.directory).unwrap_or(file);
    Cursor::new(below.as_os_str().as_bytes().to_vec())
}
