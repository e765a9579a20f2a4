//! The benchmark of the Redis store.

mod commands;
mod counted;
pub(crate) mod fred;
mod ours;
mod place;
mod targets;
mod waiting;

pub(crate) use self::place::Place;
use crate::{
    machine::versions,
    measure::{Contender, Plan, Result, Role},
    options::Options,
    peers,
    report::{Facts, Report},
    rounds::{Rounds, show},
    setup::Setup,
};

const TTL_SECONDS: i64 = 3600;
const TASKS: [usize; 3] = [1, 16, 128];

/// Names of keys as long as those of our store.
pub(crate) fn names(setup: &Setup, prefix: &str) -> Vec<String> {
    let width = "session:".len() + 43 - prefix.len();
    (0..setup.sessions).map(|index| format!("{prefix}{index:0width$}")).collect()
}

/// Runs it, and writes the report.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let setup = Setup::of(10_000, 1024);
    let place = Place::start(options.flavor, options.cluster).await?;
    let mut report = Report::new(facts(options, &place, &setup).await?, targets::baseline);
    if options.speed {
        show("filling the server");
        let contenders = contenders(options, &place, &setup).await?;
        let plan = Plan { server: place.process(), ..options.plan(setup.sessions) };
        for contender in &contenders {
            report.costs.push(counted::count(&place, &plan, contender).await?);
        }
        let rounds = Rounds { plan, tasks: options.tasks(&TASKS), rounds: options.rounds() };
        report.series = rounds.run(&contenders).await?;
        report.verdicts = targets::verdicts(&report.series);
    }
    if options.wait {
        report.bursts = waiting::run(&place, options).await?;
    }
    report.finish(options, &options.name())
}

async fn contenders(options: &Options, place: &Place, setup: &Setup) -> Result<Vec<Contender>> {
    let mut all = commands::contenders(place, setup).await?;
    all.extend(ours::contenders(place, setup).await?);
    all.extend(fred::contenders(place, setup).await?);
    all.extend(peers::on_redis(place, setup).await?);
    if let Some(only) = &options.only {
        let asked = |name: &str| name.contains(only.as_str());
        let bare = |role| role == Role::Bare && !options.alone;
        all.retain(|contender| bare(contender.role) || asked(contender.name));
    }
    Ok(all)
}

async fn facts(options: &Options, place: &Place, setup: &Setup) -> Result<Facts> {
    let crates = [
        "redis",
        "fred",
        "tower-sessions-redis-store",
        "actix-session",
        "axum_session",
        "axum_session_redispool",
        "tokio",
    ];
    Ok(Facts {
        title: "session-redis beside bare commands and other crates",
        server: place.describe(options.flavor).await?,
        crates: crates.map(|name| (name, versions(name))).to_vec(),
        left_out: peers::LEFT_OUT.to_vec(),
        payload: setup.payload.len(),
        sessions: setup.sessions,
    })
}
