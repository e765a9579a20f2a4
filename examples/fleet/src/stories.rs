//! What happens to users on fleets of different kinds, and what must come of it.

use std::path::PathBuf;

use example_driver::{Result, ensure};
use test_servers::redis::{Options, Server};

use crate::{
    drive::Drive,
    fleet::{Fleet, NAMES, Settings, WRONG},
    plan::Plan,
    tally::Tally,
};

/// Stories of fleets.
#[derive(Debug, Clone)]
pub struct Stories {
    program: PathBuf,
    store: Option<String>,
    seed: Option<u64>,
    users: Option<usize>,
}

impl Stories {
    /// Stories whose instances are this `program`, on a Redis of their own.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), store: None, seed: None, users: None }
    }

    /// On the store of this URL, if there is one.
    #[must_use]
    pub fn store(mut self, url: Option<String>) -> Self {
        self.store = url;
        self
    }

    /// With other chances.
    #[must_use]
    pub fn seed(mut self, seed: Option<u64>) -> Self {
        self.seed = seed;
        self
    }

    /// With so many users.
    #[must_use]
    pub fn users(mut self, users: Option<usize>) -> Self {
        self.users = users;
        self
    }

    /// One store for all instances: nobody is logged out and nothing is lost, while they are killed,
    /// started again, added and taken away.
    ///
    /// # Errors
    /// When somebody noticed something.
    pub async fn shared(&self) -> Result<String> {
        let (url, _server) = shared_store(self.store.clone()).await?;
        let scheme = url.split(':').next().unwrap_or_default();
        let title = format!("sessions in {scheme}, no stickiness, instances come and go");
        let settings = Settings::new(&self.program, &url);
        self.play(&title, &settings, Plan::turbulent(), |tally, diagnosis| {
            tally.is_clean() && tally.kills > 0 && tally.restarts > 0 && diagnosis.is_empty()
        })
        .await
    }

    /// Each instance has sessions of its own: users are logged out at once.
    ///
    /// # Errors
    /// When they are not.
    pub async fn unshared(&self) -> Result<String> {
        let title = "each instance has sessions of its own, no stickiness, nothing happens";
        let settings = Settings::unshared(&self.program);
        self.play(title, &settings, Plan::calm(), |tally, _| tally.logged_out > 0 && tally.lost > 0)
            .await
    }

    /// One store for all instances, one of which signs with another key: users are logged out, and
    /// the diagnosis says by whom.
    ///
    /// # Errors
    /// When they are not, or another instance is named.
    pub async fn wrong_key(&self) -> Result<String> {
        let (url, _server) = shared_store(self.store.clone()).await?;
        let scheme = url.split(':').next().unwrap_or_default();
        let title = format!("sessions in {scheme}, no stickiness, one instance has another key");
        let settings = Settings::new(&self.program, &url).wrong_key();
        self.play(&title, &settings, Plan::calm(), |tally, diagnosis| {
            let name = NAMES.get(WRONG).copied().unwrap_or_default();
            let names = |line: &String| line.contains(&format!(": {name} signs with"));
            tally.logged_out > 0 && diagnosis.len() == 1 && diagnosis.iter().all(names)
        })
        .await
    }

    /// The same behind a sticky balancer: users are logged out when their instance dies.
    ///
    /// # Errors
    /// When they are not, or were before.
    pub async fn sticky(&self) -> Result<String> {
        let title = "each instance has sessions of its own, sticky cookies, one instance dies";
        let settings = Settings::unshared(&self.program).sticky();
        self.play(title, &settings, Plan::one_dies(), |tally, _| {
            tally.logged_out > 0 && tally.logged_out_early == 0 && tally.lost > 0
        })
        .await
    }

    async fn play(
        &self,
        title: &str,
        settings: &Settings,
        mut plan: Plan,
        expected: fn(&Tally, &[String]) -> bool,
    ) -> Result<String> {
        plan = self.seed.into_iter().fold(plan, Plan::seed);
        plan = self.users.into_iter().fold(plan, Plan::users);
        let fleet = Fleet::start(settings).await?;
        let drive = Drive::new(plan);
        let tally = drive.run(&fleet).await?;
        let story: String = drive.story().iter().map(|line| format!("  {line}\n")).collect();
        let mut report = format!("{title}\n{story}{tally}\n");
        if tally.logged_out > tally.logged_out_early && tally.logged_out_early == 0 {
            report += "  nobody was logged out before the first kill\n";
        }
        let diagnosis = fleet.diagnosis().await?;
        diagnosis.iter().for_each(|line| report += &format!("  {line}\n"));
        let as_expected = tally.broken_unexplained == 0 && expected(&tally, &diagnosis);
        ensure(as_expected, || {
            let failure = drive.failure().map(|it| format!("\nfirst error: {it}"));
            format!("not as it must be:\n{report}{}", failure.unwrap_or_default())
        })?;
        Ok(report)
    }
}

/// The store of this URL, or a Redis of our own.
///
/// # Errors
/// When no Redis can be started.
pub async fn shared_store(url: Option<String>) -> Result<(String, Option<Server>)> {
    if let Some(url) = url {
        return Ok((url, None));
    }
    let options = Options::redis();
    if let Some(reason) = Server::missing(&options) {
        return Err(reason.into());
    }
    let server = Server::start(&options).await?;
    Ok((server.url(), Some(server)))
}
