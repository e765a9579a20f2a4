//! What this program does in the guest.

use std::process::ExitCode;

use session_conformance::Suite;

use crate::{
    caches,
    common::commit,
    counts, crowd, cut,
    directory::{Directory, Kind},
    exclusion, faults, full, stale,
};

/// The environment variable that says what to do.
pub(crate) const ROLE: &str = "SESSION_FILES_NFS_ROLE";

/// The suite reads its filter from the command line.
pub(crate) fn arguments(role: &str) -> &str {
    role.strip_prefix("suite ").and_then(|rest| rest.splitn(5, ' ').nth(4)).unwrap_or_default()
}

pub(crate) fn run(role: &str) -> ExitCode {
    let words: Vec<&str> = role.split_whitespace().collect();
    if let ["suite", name, server, one, two, ..] = *words {
        let kind = Kind::TwoClients([one.into(), two.into()]);
        let name = String::from(name).leak();
        let directory = Directory::new(name, server.as_ref(), kind).by(commit(one));
        return Suite::new().backend(directory).run();
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match *words {
            ["hold", root, holds] => exclusion::hold(root, holds.parse().unwrap()).await,
            ["number", root] => exclusion::print_number(root).await,
            ["names"] => caches::names().await,
            ["times"] => caches::times().await,
            ["write", root] => caches::replace(root).await,
            ["read", root] => caches::read(root).await,
            ["count", root] => counts::count(root).await,
            ["count-links", root] => counts::count_links(root).await,
            ["php", root] => counts::php(root).await,
            ["hold-on", root] => cut::hold_on(root).await,
            ["commit-on", root] => cut::commit_on(root).await,
            ["take", root] => cut::take(root).await,
            ["text", root] => cut::print_text(root).await,
            ["full", user, ref complaint @ ..] => {
                full::save(user.parse().unwrap(), &complaint.join(" ")).await;
            }
            ["quota", kib] => full::bound(kib.parse().unwrap()),
            ["stale"] => stale::replaced().await,
            ["silly"] => stale::silly().await,
            ["crowd", root] => crowd::crowd(root).await,
            ["hang", root] => faults::be_hung(root).await,
            ["sweep", root, records] => counts::sweep(root, records.parse().unwrap()).await,
            _ => panic!("no such role: {role}"),
        }
    });
    ExitCode::SUCCESS
}
