//! The benchmark of the DynamoDB store.

mod bare;
mod ours;
mod same;
mod targets;
mod units;

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig},
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use test_servers::dynamodb::Server;

use crate::{
    machine::versions,
    measure::{Contender, Result, Role},
    options::Options,
    report::{Facts, Report},
    rounds::{Rounds, show},
    setup::Setup,
};

const TASKS: [usize; 3] = [1, 16, 64];
/// Of our store, and of the bare commands.
const REGION: &str = "eu-central-1";
const ATTEMPT: Duration = Duration::from_secs(30);

/// Runs it, and writes the report.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let setup = Setup::of(1_000, 1024);
    let server = Server::start().await?;
    let mut report = Report::new(facts(&setup)?, targets::baseline);
    if options.speed {
        show("filling the tables");
        let contenders = contenders(options, &server, &setup).await?;
        let plan = options.plan(setup.sessions);
        let rounds = Rounds { plan, tasks: options.tasks(&TASKS), rounds: options.rounds() };
        report.series = rounds.run(&contenders).await?;
        report.verdicts = targets::verdicts(&report.series);
    }
    report.tables.push(units::table(&server).await?);
    report.finish(options, "dynamo")
}

/// A table of its own, by this name.
async fn table(server: &Server, name: &'static str) -> Result<&'static str> {
    server.create_table(name).await?;
    Ok(name)
}

/// The SDK's client as our store has it: the same HTTP, the same limits, and no repetition.
fn client(server: &Server) -> Client {
    let ring = Provider::Rustls(CryptoMode::Ring);
    let timeouts = TimeoutConfig::builder().connect_timeout(ATTEMPT).read_timeout(ATTEMPT).build();
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new("key", "secret", None, None, "bench"))
        .http_client(aws_smithy_http_client::Builder::new().tls_provider(ring).build_https())
        .timeout_config(timeouts)
        .retry_config(RetryConfig::disabled())
        .endpoint_url(server.url());
    Client::from_conf(config.build())
}

async fn contenders(options: &Options, server: &Server, setup: &Setup) -> Result<Vec<Contender>> {
    let mut all = bare::contenders(server, setup).await?;
    all.extend(ours::contenders(server, setup).await?);
    all.extend(same::contenders(server, setup).await?);
    if let Some(only) = &options.only {
        let asked = |name: &str| name.contains(only.as_str());
        let bare = |role| role == Role::Bare && !options.alone;
        all.retain(|contender| bare(contender.role) || asked(contender.name));
    }
    Ok(all)
}

fn facts(setup: &Setup) -> Result<Facts> {
    let crates = ["aws-sdk-dynamodb", "tower-sessions-dynamodb-store", "tokio"];
    Ok(Facts {
        title: "session-dynamo beside the bare SDK",
        server: format!("DynamoDB Local {}, in memory, on this machine", Server::version()?),
        crates: crates.map(|name| (name, versions(name))).to_vec(),
        left_out: Vec::new(),
        payload: setup.payload.len(),
        sessions: setup.sessions,
    })
}
