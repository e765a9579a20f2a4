//! The walk over all keys: the sweep and the enumeration.
//!
//! Directories and names are visited in the order of their digests, so a single digest says where
//! a walk goes on, in any process. Records are looked at by their status; none is opened.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use session_core::{Cursor, Key, KeyDigest, SweepReport};

use crate::{
    Commit,
    claims::Claims,
    fault::Outcome,
    layout::{FileKind, Place, deadline_of, leaf_path, parse_leaf, parse_name},
    section::{Section, Vault},
    tree::{Status, Tree},
};

/// The last key that a walk looked at; `None` before the first.
pub(crate) type Position = Option<KeyDigest>;

pub(crate) fn cursor_of(position: Position) -> Option<Cursor> {
    position.map(|digest| Cursor::new(digest.as_bytes().to_vec()))
}

/// The position that a cursor names; the beginning for a cursor of another store.
pub(crate) fn position_of(cursor: Option<&Cursor>) -> Position {
    let bytes = cursor.and_then(|cursor| <[u8; 32]>::try_from(cursor.as_bytes()).ok());
    bytes.map(KeyDigest::from_bytes)
}

/// What bounds one piece of a walk: a count, and a time after which nothing more is begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) count: usize,
    pub(crate) time: Duration,
}

/// A key with something to remove.
#[derive(Debug, Clone)]
pub(crate) struct Leftovers {
    pub(crate) digest: KeyDigest,
    expired: bool,
    lease: bool,
    temps: Vec<String>,
}

/// One piece of a sweep.
#[derive(Debug, Default)]
pub(crate) struct SweepPiece {
    pub(crate) report: SweepReport,
    /// Keys that were in use just now, to be cleaned later.
    pub(crate) busy: Vec<Leftovers>,
    /// Where to go on; `None` at the end.
    pub(crate) next: Position,
}

/// Sweeps on from `after`. `locked` does its argument while a key is locked, or answers `None`
/// when the key is in use.
pub(crate) fn sweep_piece(
    vault: &Vault,
    after: Position,
    bounds: Bounds,
    locked: impl Fn(&Leftovers) -> Option<Outcome<Cleaned>>,
) -> Outcome<SweepPiece> {
    let mut piece = SweepPiece::default();
    let started = Instant::now();
    piece.next = walk(&vault.tree, after, |step| {
        let report = &mut piece.report;
        match step {
            Step::LeafEnd => {}
            Step::Unreadable => report.skipped += 1,
            Step::Key(digest, files) => {
                let is_there = files.lease || files.record && !is_gone(vault, &digest);
                report.scanned += usize::from(is_there);
                match leftovers(vault, digest, files) {
                    Err(_) => report.skipped += 1,
                    Ok(None) => {}
                    Ok(Some(found)) => match locked(&found) {
                        Some(outcome) => count(report, outcome),
                        None => piece.busy.push(found),
                    },
                }
            }
        }
        stop_if(report.scanned >= bounds.count || started.elapsed() >= bounds.time)
    })?;
    Ok(piece)
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cleaned {
    /// Its record is gone; it had expired so long ago.
    Removed(Duration),
    /// Its record had expired when it was looked at, and is live or gone by now.
    Spared,
    /// There was no expired record, only something beside it.
    Tidied,
}

/// Adds what a piece did to the report of the whole.
pub(crate) fn add(report: &mut SweepReport, piece: &SweepReport) {
    report.scanned += piece.scanned;
    report.deleted += piece.deleted;
    report.skipped += piece.skipped;
    report.oldest_lag = report.oldest_lag.max(piece.oldest_lag);
}

/// Adds what became of one key to a report.
pub(crate) fn count<E>(report: &mut SweepReport, outcome: Result<Cleaned, E>) {
    match outcome {
        Ok(Cleaned::Removed(lag)) => {
            report.deleted += 1;
            report.oldest_lag = report.oldest_lag.max(Some(lag));
        }
        Ok(Cleaned::Tidied) => {}
        Ok(Cleaned::Spared) | Err(_) => report.skipped += 1,
    }
}

impl Leftovers {
    /// Removes what is still to be removed. The caller holds the key's locks.
    pub(crate) fn clean(&self, section: &Section<'_>) -> Outcome<Cleaned> {
        if let Some(claims) = section.claims() {
            return claims.clean();
        }
        for temp in &self.temps {
            section.remove_stray_temp(temp)?;
        }
        let cleaned = match self.expired {
            true => section.remove_expired_record()?.map_or(Cleaned::Spared, Cleaned::Removed),
            false => Cleaned::Tidied,
        };
        if self.lease {
            section.remove_stray_lease()?;
        }
        Ok(cleaned)
    }
}

fn leftovers(vault: &Vault, digest: KeyDigest, files: Files) -> Outcome<Option<Leftovers>> {
    if vault.commit == Commit::HardLink {
        let place = Place::of(&digest);
        let now = vault.time.now(&vault.tree);
        let untidy = files.record && Claims::new(vault, &digest, &place).is_untidy(now)?;
        let found = Leftovers { digest, expired: false, lease: false, temps: Vec::new() };
        return Ok(untidy.then_some(found));
    }
    let expired = files.record && !is_live(vault, &digest)?;
    // A lease beside a live record is its holder's affair.
    let lease = files.lease && (expired || !files.record);
    let found = Leftovers { digest, expired, lease, temps: files.temps };
    Ok((expired || lease || !found.temps.is_empty()).then_some(found))
}

/// Whether the listing that showed a key was old.
fn is_gone(vault: &Vault, digest: &KeyDigest) -> bool {
    let tree = &vault.tree;
    tree.tells_changes_by_time && matches!(tree.status(&Place::of(digest).record()), Ok(None))
}

/// Whether there is a live record, by what this machine knows: another may have prolonged it.
fn is_live(vault: &Vault, digest: &KeyDigest) -> Outcome<bool> {
    shows_life(vault, vault.tree.status(&Place::of(digest).record())?)
}

fn is_live_now(vault: &Vault, digest: &KeyDigest) -> Outcome<bool> {
    if vault.commit == Commit::HardLink {
        return Ok(Claims::new(vault, digest, &Place::of(digest)).load()?.is_some());
    }
    let known = is_live(vault, digest)?;
    if known || !vault.tree.is_shared {
        return Ok(known);
    }
    shows_life(vault, vault.tree.status_now(&Place::of(digest).record())?)
}

fn shows_life(vault: &Vault, status: Option<Status>) -> Outcome<bool> {
    let Some(status) = status else { return Ok(false) };
    let now = vault.time.now(&vault.tree);
    // What is not a file was not put there by us, and stays.
    Ok(!status.is_file || !deadline_of(status.mtime).has_passed(now))
}

/// One page of the keys of live sessions.
pub(crate) fn page(
    vault: &Vault,
    after: Position,
    bounds: Bounds,
) -> Outcome<(Vec<Key>, Position)> {
    let mut keys = Vec::new();
    let started = Instant::now();
    let next = walk(&vault.tree, after, |step| {
        if let Step::Key(digest, Files { record: true, .. }) = step
            && is_live_now(vault, &digest).unwrap_or(false)
        {
            keys.push(Key::from_digest(digest));
        }
        stop_if(keys.len() >= bounds.count || started.elapsed() >= bounds.time)
    })?;
    Ok((keys, next))
}

fn stop_if(stop: bool) -> ControlFlow<()> {
    if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// What a walk comes to.
enum Step {
    Key(KeyDigest, Files),
    /// A directory that cannot be read.
    Unreadable,
    /// All of a directory was visited, or there was nothing in it.
    LeafEnd,
}

/// The files of one key in its directory.
#[derive(Debug, Default)]
struct Files {
    record: bool,
    lease: bool,
    temps: Vec<String>,
}

/// Visits all keys after `after` in the order of their digests until `visit` stops it; returns
/// where it was stopped, `None` at the end.
fn walk(
    tree: &Tree,
    after: Position,
    mut visit: impl FnMut(Step) -> ControlFlow<()>,
) -> Outcome<Position> {
    // A walk that stopped at the end of a directory goes on behind it.
    for leaf in leaves(tree)?.into_iter().filter(|leaf| end_of(*leaf) > after) {
        let keys = match keys_of(tree, &leaf_path(leaf)) {
            Ok(keys) => keys,
            Err(_) if visit(Step::Unreadable).is_break() => return Ok(end_of(leaf)),
            Err(_) => continue,
        };
        for (digest, files) in keys.into_iter().filter(|(digest, _)| Some(*digest) > after) {
            if visit(Step::Key(digest, files)).is_break() {
                return Ok(Some(digest));
            }
        }
        if visit(Step::LeafEnd).is_break() {
            return Ok(end_of(leaf));
        }
    }
    Ok(None)
}

/// The directories of records, in order.
fn leaves(tree: &Tree) -> Outcome<Vec<u16>> {
    let names = tree.names(".")?.unwrap_or_default();
    let mut leaves: Vec<u16> = names.iter().filter_map(|name| parse_leaf(name)).collect();
    leaves.sort_unstable();
    Ok(leaves)
}

fn keys_of(tree: &Tree, path: &str) -> Outcome<BTreeMap<KeyDigest, Files>> {
    let mut keys = BTreeMap::<KeyDigest, Files>::new();
    for name in tree.names(path)?.unwrap_or_default() {
        let Some((digest, kind)) = parse_name(&name) else { continue };
        let files = keys.entry(digest).or_default();
        match kind {
            FileKind::Record => files.record = true,
            FileKind::Lease => files.lease = true,
            FileKind::Temp => files.temps.extend(String::from_utf8(name)),
        }
    }
    Ok(keys)
}

/// The position behind every key of a directory.
fn end_of(leaf: u16) -> Position {
    let mut bytes = [u8::MAX; 32];
    let [first, second, ..] = &mut bytes;
    [*first, *second] = ((leaf << 4) | 0xf).to_be_bytes();
    Some(KeyDigest::from_bytes(bytes))
}
