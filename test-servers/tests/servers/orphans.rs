//! Nothing outlives its owner.

use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use libtest_mimic::Trial;
use test_servers::{
    TestResult,
    redis::{Cluster, Flavor, Options, Server},
    trial, until,
};

use crate::LIMIT;

/// Makes this program an owner of servers.
pub(crate) const ROLE: &str = "TEST_SERVERS_OWNER";

pub(crate) fn trials() -> Vec<Trial> {
    let missing = || Flavor::Redis.missing();
    vec![
        trial("no_server_outlives_a_killed_owner", &["redis"], missing(), || async {
            killed_owner().await
        }),
        trial("no_server_outlives_its_handle", &["redis"], missing(), || async {
            let server = Server::start(&Options::redis()).await?;
            let id = server.process_id().unwrap();
            let directory = server.socket().parent().unwrap().to_owned();
            assert!(is_alive(id) && directory.exists());
            drop(server);
            assert!(!is_alive(id) && !directory.exists());
            Ok(())
        }),
    ]
}

async fn killed_owner() -> TestResult {
    let mut command = Command::new(env::current_exe()?);
    let mut owner = command.env(ROLE, "").stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(owner.stdout.take().unwrap()).read_line(&mut line)?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let (ids, directories) = words.split_at(6);
    let ids: Vec<i32> = ids.iter().map(|id| id.parse().unwrap()).collect();
    let lives = || ids.iter().any(|id| group_is_alive(*id));
    let lies_about = || directories.iter().any(|directory| Path::new(directory).exists());
    assert!(lives() && lies_about());
    owner.kill()?;
    owner.wait()?;
    let gone = || async { Ok((!lives() && !lies_about()).then_some(())) };
    until("end of all six and of their watchers", LIMIT, gone).await?;
    Ok(())
}

/// Starts a cluster, prints the ids of its processes and their directories, and waits to be killed. One of them is
/// stopped, which must not keep it alive.
pub(crate) fn owner() -> ExitCode {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let cluster = Cluster::start(&Options::redis()).await.unwrap();
        let ids = cluster.nodes().iter().map(|node| node.process_id().unwrap().to_string());
        let directories = cluster.nodes().iter().map(|node| node.socket().parent().unwrap());
        let directories = directories.map(|directory| directory.to_str().unwrap().to_owned());
        let words = ids.chain(directories).collect::<Vec<_>>().join(" ");
        cluster.nodes()[0].stop().unwrap();
        println!("{words}");
        std::future::pending::<ExitCode>().await
    })
}

fn is_alive(id: i32) -> bool {
    state_and_group(id).is_some_and(|(state, _)| state != "Z")
}

/// Whether any process of the group still runs.
fn group_is_alive(group: i32) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(state_and_group).any(|(state, of)| state != "Z" && of == group)
}

fn state_and_group(id: i32) -> Option<(String, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    Some((words.next()?.to_owned(), words.nth(1)?.parse().ok()?))
}

/// The processes that a directory belongs to: it is where they run, or among their arguments.
pub(crate) fn mention(directory: &Path) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let belongs = |id: &i32| {
        let place = std::fs::read_link(format!("/proc/{id}/cwd")).unwrap_or_default();
        let arguments = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).into_owned();
        place.starts_with(directory) || arguments.contains(directory.to_str().unwrap())
    };
    ids.filter(belongs).filter(|id| is_alive(*id)).collect()
}
