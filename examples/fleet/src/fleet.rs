//! Instances of the shops, each a process of its own, behind one balancer.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use example_driver::{Error, Result, client::Client};
use futures_util::future::try_join_all;
use serde::Serialize;
use test_servers::{
    Program,
    haproxy::{Behind, Haproxy, Options},
    until,
};

use crate::diagnosis::{Told, diagnose};

/// The instance that gets another key where one does.
pub(crate) const WRONG: usize = 2;

/// The names of the instances; there are no more.
pub const NAMES: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

/// A start or an orderly end takes no longer, whatever the machine has to do besides.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a fleet is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    program: PathBuf,
    running: usize,
    store: String,
    sticky: bool,
    port: Option<u16>,
    aside: Option<(&'static str, SocketAddr)>,
    keys: [String; 2],
    wrong_key: bool,
}

impl Settings {
    /// Four instances on one store, by its URL; `program` is this one, which each of them is as
    /// well.
    /// Ids are signed with a key that is made now.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, store: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            running: 4,
            store: store.into(),
            sticky: false,
            port: None,
            aside: None,
            keys: [key(), key()],
            wrong_key: false,
        }
    }

    /// Each instance keeps its sessions to itself.
    #[must_use]
    pub fn unshared(program: impl Into<PathBuf>) -> Self {
        Self::new(program, "memory:")
    }

    /// So many instances at first, of six.
    #[must_use]
    pub fn running(mut self, running: usize) -> Self {
        self.running = running.clamp(1, NAMES.len());
        self
    }

    /// The balancer binds each visitor to an instance.
    #[must_use]
    pub fn sticky(mut self) -> Self {
        self.sticky = true;
        self
    }

    /// The third instance signs with another key.
    #[must_use]
    pub fn wrong_key(mut self) -> Self {
        self.wrong_key = true;
        self
    }

    /// The balancer listens here.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The balancer sends what is below a path to somebody else.
    #[must_use]
    pub fn aside(mut self, path: &'static str, to: SocketAddr) -> Self {
        self.aside = Some((path, to));
        self
    }

    fn key_of(&self, index: usize) -> &str {
        let [right, wrong] = &self.keys;
        if self.wrong_key && index == WRONG { wrong } else { right }
    }

    fn options(&self) -> Options {
        let mut options = Options::new(NAMES).health("/healthz");
        if self.sticky {
            options = options.sticky();
        }
        if let Some(port) = self.port {
            options = options.port(port);
        }
        if let Some((path, to)) = self.aside {
            options = options.aside(path, to);
        }
        options
    }
}

/// Good for a demonstration. A real one is from `openssl rand -base64 32`.
fn key() -> String {
    (0..4).map(|_| format!("{:016x}", fastrand::u64(..))).collect()
}

/// What an instance is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Framework {
    /// `examples/axum`.
    Axum,
    /// `examples/actix`.
    Actix,
}

impl Framework {
    const fn of(index: usize) -> Self {
        if index.is_multiple_of(2) { Self::Axum } else { Self::Actix }
    }

    /// As it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Axum => "axum",
            Self::Actix => "actix",
        }
    }
}

/// How an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum State {
    /// It was not started, or was stopped in order.
    Off,
    /// It serves.
    Up,
    /// It was killed, and nobody told the balancer.
    Killed,
}

/// A running fleet. Dropping it ends all of its processes.
#[derive(Debug)]
pub struct Fleet {
    instances: Vec<Instance>,
    balancer: Haproxy,
}

#[derive(Debug)]
struct Instance {
    program: Program,
    framework: Framework,
    state: Mutex<State>,
}

/// What there is to know of an instance.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// What it is made with.
    pub framework: Framework,
    /// How it is.
    pub state: State,
    /// What the balancer thinks of it.
    pub balancer: String,
    /// The id of its process.
    pub process: Option<i32>,
    /// How many requests it got.
    pub requests: u64,
}

impl Fleet {
    /// Starts the balancer, and all instances at once, and waits until they serve.
    ///
    /// # Errors
    /// With the log of what did not start.
    pub async fn start(settings: &Settings) -> Result<Self> {
        let balancer = Haproxy::start(&settings.options()).await?;
        let instances = (0..NAMES.len()).map(|index| Instance::new(settings, index, &balancer));
        let fleet = Self { instances: instances.collect::<Result<_>>()?, balancer };
        try_join_all((0..settings.running).map(|index| fleet.launch(index))).await?;
        Ok(fleet)
    }

    /// Where the balancer listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.balancer.address()
    }

    /// Starts an instance, again or for the first time, and has the balancer send it requests when
    /// it is ready.
    ///
    /// # Errors
    /// With its log when it is not ready in time.
    pub async fn launch(&self, index: usize) -> Result {
        let (instance, number) = (self.instance(index)?, u16::try_from(index)?);
        instance.program.start()?;
        let address = self.address_behind(number);
        let answers = until("answer", PATIENCE, || async move {
            let well = Client::new().get(address, "/healthz").await;
            let ended = instance.program.process_id().is_none();
            Ok(well.is_ok().then_some(true).or_else(|| ended.then_some(false)))
        });
        if !answers.await.unwrap_or(false) {
            let log = instance.program.log();
            return Err(format!("{} did not start; its log:\n{log}", self.name(index)).into());
        }
        self.balancer.admit(number).await?;
        instance.set(State::Up);
        Ok(())
    }

    /// `kill -9`: the balancer is not told.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn kill(&self, index: usize) -> Result {
        let instance = self.instance(index)?;
        instance.program.kill();
        instance.set(State::Killed);
        Ok(())
    }

    /// Takes an instance out of the balancer, and has it end when it has answered what it was
    /// asked.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&self, index: usize) -> Result {
        let instance = self.instance(index)?;
        self.balancer.dismiss(u16::try_from(index)?).await?;
        // What it was sent and has not accepted yet would break off.
        let idle = || async {
            let behind = self.balancer.servers().await?;
            Ok(behind.get(index).filter(|it| it.under_way == 0).map(drop))
        };
        until("last answers", PATIENCE, idle).await?;
        instance.program.terminate()?;
        let gone = || async { Ok(instance.program.process_id().is_none().then_some(())) };
        until("end of the instance", PATIENCE, gone).await?;
        instance.set(State::Off);
        Ok(())
    }

    /// How each instance is.
    #[must_use]
    pub fn states(&self) -> Vec<State> {
        self.instances.iter().map(Instance::state).collect()
    }

    /// All that there is to know of each instance.
    ///
    /// # Errors
    /// When the balancer does not answer.
    pub async fn views(&self) -> Result<Vec<View>> {
        let views = self.instances.iter().zip(NAMES).zip(self.balancer.servers().await?);
        let views = views.map(|((instance, name), behind)| View {
            name,
            framework: instance.framework,
            state: instance.state(),
            balancer: behind.status,
            process: instance.program.process_id(),
            requests: behind.requests,
        });
        Ok(views.collect())
    }

    /// Names the instances that do not share their keys with the others. Each is asked directly.
    ///
    /// # Errors
    /// When one that should be up does not answer.
    pub async fn diagnosis(&self) -> Result<Vec<String>> {
        let up = self.instances.iter().zip(0..).filter(|(it, _)| it.state() == State::Up);
        let told = up.map(|(_, index)| async move {
            let reply = Client::new().get(self.address_behind(index), "/keys").await?;
            Ok::<_, Error>(serde_json::from_slice::<Told>(&reply.body)?)
        });
        Ok(diagnose(&try_join_all(told).await?))
    }

    fn address_behind(&self, index: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.balancer.port_behind(index)))
    }

    /// What the balancer has counted, for each instance.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn counted(&self) -> Result<Vec<(Framework, Behind)>> {
        let frameworks = self.instances.iter().map(|instance| instance.framework);
        Ok(frameworks.zip(self.balancer.servers().await?).collect())
    }

    /// The ids of all processes.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        let instances = self.instances.iter().filter_map(|it| it.program.process_id());
        instances.chain([self.balancer.process_id()]).collect()
    }

    /// What an instance has logged.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn log(&self, index: usize) -> Result<String> {
        Ok(self.instance(index)?.program.log())
    }

    /// What an instance is called, with its framework.
    #[must_use]
    pub fn name(&self, index: usize) -> String {
        let name = NAMES.get(index).copied().unwrap_or("nobody");
        format!("{name} ({})", Framework::of(index).name())
    }

    fn instance(&self, index: usize) -> Result<&Instance> {
        self.instances.get(index).ok_or_else(|| format!("there is no instance {index}").into())
    }
}

impl Instance {
    fn new(settings: &Settings, index: usize, balancer: &Haproxy) -> Result<Self> {
        let framework = Framework::of(index);
        let program = Program::new(&settings.program)?
            .argument("instance")
            .argument(framework.name())
            .variable("PORT", balancer.port_behind(u16::try_from(index)?).to_string())
            .variable("INSTANCE", NAMES.get(index).copied().unwrap_or_default())
            .variable("SESSION_STORE", &settings.store)
            .variable("SESSION_KEYS", settings.key_of(index));
        Ok(Self { program, framework, state: Mutex::new(State::Off) })
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
