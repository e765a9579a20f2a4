//! Nothing outlives its owner.

use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
};

use libtest_mimic::Trial;
use test_servers::{
    TestResult,
    redis::{Cluster, Flavor, Options, Server},
    sql, trial, until,
};

use crate::LIMIT;

/// Makes this program an owner of servers.
pub(crate) const ROLE: &str = "TEST_SERVERS_OWNER";
const POOLER: &str = "pgbouncer";

pub(crate) fn trials() -> Vec<Trial> {
    let missing = || Flavor::Redis.missing();
    vec![
        trial("no_server_outlives_a_killed_owner", &["redis"], missing(), || async {
            killed_owner().await
        }),
        sql_trial(sql::Flavor::MariaDb, &["mariadb"]),
        sql_trial(sql::Flavor::MySql, &["mysql"]),
        sql_trial(sql::Flavor::Postgres, &["postgres"]),
        trial(
            "pgbouncer::it_does_not_outlive_a_killed_owner",
            &["postgres", "pgbouncer"],
            sql::PgBouncer::missing(),
            killed_owner_of_pooler,
        ),
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

fn sql_trial(flavor: sql::Flavor, words: &'static [&'static str]) -> Trial {
    let name = format!("{}::no_server_outlives_a_killed_owner", flavor.name());
    trial(name, words, flavor.missing(), move || killed_owner_of_sql(flavor))
}

/// Starts an owner, and returns what it prints.
fn owned(role: &str) -> std::io::Result<(Child, String)> {
    let mut command = Command::new(env::current_exe()?);
    let mut owner = command.env(ROLE, role).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(owner.stdout.take().unwrap()).read_line(&mut line)?;
    Ok((owner, line))
}

async fn killed_owner_of_sql(flavor: sql::Flavor) -> TestResult {
    let (mut owner, line) = owned(flavor.name())?;
    let (segment, directory) = line.trim_end().split_once(' ').unwrap();
    let directory = Path::new(directory);
    let lives = || !mention(directory).is_empty();
    let lies_about = || directory.exists() || has_segment(segment);
    assert!(lives() && lies_about());
    assert_eq!(has_segment(segment), flavor == sql::Flavor::Postgres);
    owner.kill()?;
    owner.wait()?;
    let gone = || async { Ok((!lives() && !lies_about()).then_some(())) };
    until("end of the server and of its watcher", LIMIT, gone).await?;
    Ok(())
}

async fn killed_owner_of_pooler() -> TestResult {
    let (mut owner, line) = owned(POOLER)?;
    let directories: Vec<&Path> = line.split_whitespace().map(Path::new).collect();
    assert!(directories.len() == 2 && directories.iter().all(|it| !mention(it).is_empty()));
    owner.kill()?;
    owner.wait()?;
    let is_gone = |it: &&Path| mention(it).is_empty() && !it.exists();
    let gone = || async { Ok(directories.iter().all(is_gone).then_some(())) };
    until("end of the pooler and its server", LIMIT, gone).await?;
    Ok(())
}

async fn killed_owner() -> TestResult {
    let (mut owner, line) = owned("")?;
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

/// Starts what is asked for, and waits to be killed.
pub(crate) fn owner() -> ExitCode {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let role = env::var(ROLE).unwrap();
        if role == POOLER {
            return owner_of_pooler().await;
        }
        match sql::Flavor::ALL.into_iter().find(|flavor| flavor.name() == role) {
            Some(flavor) => owner_of_sql(flavor).await,
            None => owner_of_cluster().await,
        }
    })
}

/// Prints the ids of its processes and their directories. One of them is stopped, which must not
/// keep it alive.
async fn owner_of_cluster() -> ExitCode {
    let cluster = Cluster::start(&Options::redis()).await.unwrap();
    let ids = cluster.nodes().iter().map(|node| node.process_id().unwrap().to_string());
    let directories = cluster.nodes().iter().map(|node| node.socket().parent().unwrap());
    let directories = directories.map(|directory| directory.to_str().unwrap().to_owned());
    let words = ids.chain(directories).collect::<Vec<_>>().join(" ");
    cluster.nodes()[0].stop().unwrap();
    println!("{words}");
    std::future::pending().await
}

/// Prints its segment of shared memory, if it has one, and its directory. It is paused.
async fn owner_of_sql(flavor: sql::Flavor) -> ExitCode {
    let server = sql::Server::start(&sql::Options::new(flavor)).await.unwrap();
    server.pause().unwrap();
    let segment = segment(server.directory()).unwrap_or_default();
    println!("{segment} {}", server.directory().display());
    std::future::pending().await
}

/// Prints the directories of a pooler and its server.
async fn owner_of_pooler() -> ExitCode {
    let server = sql::Server::start(&sql::Options::postgres()).await.unwrap();
    let options = sql::PgBouncerOptions::session();
    let bouncer = sql::PgBouncer::start(&server, &options).await.unwrap();
    println!("{} {}", bouncer.directory().display(), server.directory().display());
    std::future::pending().await
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

/// The shared memory of PostgreSQL.
pub(crate) fn segment(directory: &Path) -> Option<String> {
    let text = std::fs::read_to_string(directory.join("data/postmaster.pid")).ok()?;
    Some(text.lines().nth(6)?.split_whitespace().last()?.to_owned())
}

pub(crate) fn has_segment(id: &str) -> bool {
    let all = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
    all.lines().any(|line| line.split_whitespace().nth(1) == Some(id))
}
