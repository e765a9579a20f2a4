//! `session-files verify`, on a mount that is fit and on one that is not.

use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::Value;
use test_servers::nfs::{CLIENTS, Guest, SERVER};

use crate::lane::Lane;

/// The program, which is made with the feature `verify` only.
const PROGRAM: Option<&str> = option_env!("CARGO_BIN_EXE_session-files");

pub(crate) fn trials(lane: &Lane) -> Vec<Trial> {
    let lane = match PROGRAM {
        Some(_) => lane.clone(),
        None => lane.clone().without("the feature verify is not on"),
    };
    vec![
        lane.trial("two_verifiers_on_two_clients_find_the_mount_fit", |guest| async move {
            for (status, report) in verify(&guest, CLIENTS, "").await? {
                println!("{}", detail(&report, "locks exclude"));
                assert!(status == 0 && report["passed"] == true, "{report:#}");
                let costs = report["costs"].as_array().unwrap();
                let calls = |cost: &Value| cost["calls"].as_f64().unwrap();
                assert_eq!(costs.len(), 4);
                assert!(costs.iter().all(|cost| (2.0..40.0).contains(&calls(cost))), "{report:#}");
            }
            assert_eq!(guest.run(&format!("ls -A {SERVER}/verify")).await?.output.trim(), ".clock");
            Ok(())
        }),
        lane.trial("a_mount_with_locks_of_its_own_is_refused_and_found_out", |guest| async move {
            let mounts = ["/mnt/own1", "/mnt/own2"];
            guest.run("for n in 1 2; do attach $n own$n vers=3,nolock /srv/x; done").await?;
            let refused = verify(&guest, mounts, "").await?;
            let tried = verify(&guest, mounts, "--anyway").await?;
            guest.run("umount /mnt/own1 /mnt/own2").await?;
            for (status, report) in refused {
                let detail = detail(&report, "the store takes the mount");
                assert!(status == 1 && detail.contains("without nolock"), "{report:#}");
            }
            for (status, report) in tried {
                let detail = detail(&report, "locks exclude");
                println!("{detail}");
                assert!(status == 1 && !detail.contains(" 0 overlaps"), "{report:#}");
            }
            Ok(())
        }),
    ]
}

fn detail(report: &Value, name: &str) -> String {
    let checks = report["checks"].as_array().unwrap_or_else(|| panic!("no report: {report:#}"));
    let check = checks.iter().find(|check| check["name"] == name);
    check.map(|check| check["detail"].as_str().unwrap().to_owned()).unwrap_or_default()
}

/// Runs one on each of two mounts at the same time.
async fn verify(
    guest: &Arc<Guest>,
    mounts: [&str; 2],
    more: &str,
) -> test_servers::Result<Vec<(i32, Value)>> {
    let program = PROGRAM.unwrap_or_default();
    guest.run(&format!("mkdir -p -m 700 {SERVER}/verify")).await?;
    let start = |mount| {
        guest.start(&format!("'{program}' verify {mount}/verify --seconds 3 --json {more}"))
    };
    let mut reports = Vec::new();
    for running in mounts.map(start) {
        let done = running?.wait().await?;
        let report = serde_json::from_str(&done.output);
        reports.push((done.status, report.unwrap_or(Value::String(done.output))));
    }
    Ok(reports)
}
