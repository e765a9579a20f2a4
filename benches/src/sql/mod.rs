//! The benchmark of the SQL store.

mod bare;
mod client;
mod counted;
mod engine;
mod line;
mod ours;
mod place;
mod same;
mod sizes;
mod sweep;
mod targets;
mod waiting;

use test_servers::sql::Server;

pub(crate) use self::{engine::Engine, place::Place};
use crate::{
    machine::versions,
    measure::{Contender, Plan, Result, Role},
    options::Options,
    peers,
    report::{Facts, Report},
    rounds::{Rounds, show},
    setup::Setup,
};

/// The connections of every contender.
pub(crate) const CONNECTIONS: usize = 16;
const TASKS: [usize; 3] = [1, 16, 64];

/// Runs it on each engine, and writes a report on each.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let asked = if options.engines.is_empty() { &Engine::ALL[..] } else { &options.engines };
    for engine in asked {
        match engine.missing() {
            Some(reason) => println!("\n{} IS LEFT OUT: {reason}\n", engine.name()),
            None => on(*engine, options).await?,
        }
    }
    Ok(())
}

async fn on(engine: Engine, options: &Options) -> Result<()> {
    let setup = Setup::of(10_000, 1024);
    let place = Place::start(engine, options.durable, false).await?;
    let mut report = Report::new(facts(options, &place, &setup)?, targets::baseline);
    if options.speed {
        show("filling the database");
        let contenders = contenders(options, &place, &setup).await?;
        let (tasks, rounds) = (options.tasks(&TASKS), options.rounds());
        let server = place.server().and_then(Server::process_id);
        let plan = Plan { server, ..options.plan(setup.sessions) };
        let rounds = Rounds { plan, tasks, rounds };
        report.series = rounds.run(&contenders).await?;
        report.verdicts = targets::verdicts(&report.series);
        drop(contenders);
        if options.only.is_none() {
            report.tables.push(sizes::run(&place, plan).await?);
        }
        if place.server().is_some() && !options.alone {
            report.costs = costs(options, engine).await?;
        }
    }
    drop(place);
    if options.wait {
        let counted = Place::start(engine, options.durable, true).await?;
        report.bursts = waiting::run(&counted, options).await?;
    }
    if options.sweep {
        report.tables.push(sweep::run(engine, options).await?);
    }
    let care = if options.durable { "-durable" } else { "" };
    report.finish(options, &format!("{}{care}", engine.name()))
}

/// On a server of its own, as counting costs time.
async fn costs(options: &Options, engine: Engine) -> Result<Vec<crate::findings::Cost>> {
    let setup = Setup::of(64, 1024);
    let place = Place::start(engine, false, true).await?;
    let plan = options.plan(setup.sessions);
    let mut costs = Vec::new();
    for contender in &contenders(options, &place, &setup).await? {
        costs.push(counted::count(&place, &plan, contender).await?);
    }
    Ok(costs)
}

async fn contenders(options: &Options, place: &Place, setup: &Setup) -> Result<Vec<Contender>> {
    let mut all = contenders_of(place, setup).await?;
    all.extend(peers::on_sql(place, setup).await?);
    if let Some(only) = &options.only {
        let asked = |name: &str| name.contains(only.as_str());
        let bare = |role| role == Role::Bare && !options.alone;
        all.retain(|contender| bare(contender.role) || asked(contender.name));
    }
    Ok(all)
}

/// Ours, the bare statements, and ours without our store.
async fn contenders_of(place: &Place, setup: &Setup) -> Result<Vec<Contender>> {
    let mut all = bare::contenders(place, setup).await?;
    all.extend(ours::contenders(place, setup).await?);
    all.extend(same::contenders(place, setup).await?);
    Ok(all)
}

fn facts(options: &Options, place: &Place, setup: &Setup) -> Result<Facts> {
    let crates = ["sqlx", "tower-sessions-sqlx-store", "tokio"];
    Ok(Facts {
        title: "session-sql beside bare statements and another crate",
        server: place.describe(options.durable)?,
        crates: crates.map(|name| (name, versions(name))).to_vec(),
        left_out: Vec::new(),
        payload: setup.payload.len(),
        sessions: setup.sessions,
    })
}
