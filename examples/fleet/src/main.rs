//! Starts a fleet, or tells its stories.
//!
//! ```text
//! cargo run -p example-fleet             # a fleet on http://127.0.0.1:8080, until Ctrl-C
//! cargo run -p example-fleet -- drive    # 200 users on fleets of four kinds, and what came of it
//! ```

mod arguments;

use std::{
    env,
    io::{Write, stderr, stdout},
    process::ExitCode,
    sync::Arc,
};

use arguments::{Arguments, Command, USAGE};
use example_driver::Result;
use example_fleet::{Fleet, Framework, PATH, Settings, Stories, serve, shared_store};
use tokio::{net::TcpListener, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse(env::args().skip(1)) {
        Ok(Arguments { command: Command::Instance(framework), .. }) => {
            return instance(framework).await;
        }
        Ok(Arguments { command: Command::Help, .. }) => {
            write!(stdout(), "{USAGE}").map_err(Into::into)
        }
        Ok(arguments) if arguments.command == Command::Drive => drive(&arguments).await,
        Ok(arguments) => run(&arguments).await,
        Err(wrong) => Err(format!("{wrong}\n{USAGE}").into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(stderr(), "{error}"));
            ExitCode::FAILURE
        }
    }
}

/// This process is an instance of a fleet.
#[expect(clippy::future_not_send, reason = "actix's server stays on one thread")]
async fn instance(framework: Framework) -> ExitCode {
    match framework {
        Framework::Actix => example_common::run(example_actix::serve).await,
        _ => example_common::run(example_axum::serve).await,
    }
}

/// Keeps a fleet running until it is told to stop.
async fn run(arguments: &Arguments) -> Result {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let (url, _server) = match arguments.unshared {
        true => ("memory:".to_owned(), None),
        false => shared_store(arguments.store.clone()).await?,
    };
    let mut settings = Settings::new(env::current_exe()?, &url)
        .running(arguments.instances)
        .aside(PATH, listener.local_addr()?);
    if arguments.port != 0 {
        settings = settings.port(arguments.port);
    }
    if arguments.sticky {
        settings = settings.sticky();
    }
    if arguments.wrong_key {
        settings = settings.wrong_key();
    }
    let fleet = Arc::new(Fleet::start(&settings).await?);
    let address = fleet.address();
    writeln!(
        stdout(),
        "{} instances behind HAProxy, to be seen on http://{address}{PATH}\n\
         the shop  http://{address}/\n\
         a name    http://{address}/test/index?name=foobar\n\
         Ctrl-C stops everything",
        arguments.instances
    )?;
    tokio::select! {
        served = serve(listener, Arc::clone(&fleet), &url) => served,
        () = stop_signal() => Ok(()),
    }
}

async fn stop_signal() {
    use signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = signal::ctrl_c() => {}
    }
}

/// Tells every story, whatever comes of the others.
async fn drive(arguments: &Arguments) -> Result {
    let stories = Stories::new(env::current_exe()?)
        .store(arguments.store.clone())
        .seed(arguments.seed)
        .users(arguments.users);
    let mut out = stdout();
    let mut failed = 0;
    let reports = [
        stories.shared().await,
        stories.wrong_key().await,
        stories.unshared().await,
        stories.sticky().await,
    ];
    for report in reports {
        failed += u32::from(report.is_err());
        writeln!(out, "{}", report.unwrap_or_else(|error| format!("FAILED: {error}\n")))?;
    }
    if failed > 0 { Err(format!("{failed} of 4 went wrong").into()) } else { Ok(()) }
}
