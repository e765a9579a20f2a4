//! The benchmark of the Memcached store.

mod bare;
mod crates;
mod ours;
mod targets;

use test_servers::memcached::{Options as ServerOptions, Server};

use crate::{
    machine::versions,
    measure::{Contender, Result, Role},
    options::Options,
    report::{Facts, Report},
    rounds::{Rounds, show},
    setup::Setup,
};

const TASKS: [usize; 3] = [1, 16, 128];
/// Names of keys as long as those of our store.
const WIDTH: usize = "session:".len() + 43;

/// Runs it, and writes the report.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let setup = Setup::of(10_000, 1024);
    let server = Server::start(&ServerOptions::new().memory(256)).await?;
    let mut report = Report::new(facts(&setup)?, targets::baseline);
    show("filling the server");
    let contenders = contenders(options, &server, &setup).await?;
    let plan = options.plan(setup.sessions);
    let rounds = Rounds { plan, tasks: options.tasks(&TASKS), rounds: options.rounds() };
    report.series = rounds.run(&contenders).await?;
    report.verdicts = targets::verdicts(&report.series);
    report.finish(options, "memcached")
}

/// The name of a key that begins with this.
fn name(prefix: &str, index: usize) -> String {
    let width = WIDTH - prefix.len();
    format!("{prefix}{index:0width$}")
}

async fn contenders(options: &Options, server: &Server, setup: &Setup) -> Result<Vec<Contender>> {
    let mut all = bare::contenders(server, setup).await?;
    all.extend(ours::contenders(server, setup).await?);
    all.extend(crates::contenders(server, setup).await?);
    if let Some(only) = &options.only {
        let asked = |name: &str| name.contains(only.as_str());
        let bare = |role| role == Role::Bare && !options.alone;
        all.retain(|contender| bare(contender.role) || asked(contender.name));
    }
    Ok(all)
}

fn facts(setup: &Setup) -> Result<Facts> {
    let crates = ["memcache", "async-memcached", "tokio"];
    Ok(Facts {
        title: "session-memcached beside one pipelined socket and other crates",
        server: format!("memcached {}, one thread, on this machine", Server::version()?),
        crates: crates.map(|name| (name, versions(name))).to_vec(),
        left_out: Vec::new(),
        payload: setup.payload.len(),
        sessions: setup.sessions,
    })
}
