//! Users click while instances come and go.

use std::sync::{Arc, Mutex, PoisonError};

use example_driver::Result;
use futures_util::future::try_join_all;

use crate::{
    fleet::Fleet,
    pace::Pace,
    plan::{Incident, Kind, Plan},
    tally::Tally,
    user::User,
};

/// Of so many users one logs out in the end.
const LOGS_OUT: usize = 10;

/// Users who click on a fleet, and what is counted of it meanwhile.
#[derive(Debug)]
pub struct Drive {
    plan: Plan,
    pace: Pace,
    story: Mutex<Vec<String>>,
}

impl Drive {
    /// Users who will do as planned.
    #[must_use]
    pub fn new(plan: Plan) -> Arc<Self> {
        Arc::new(Self { plan, pace: Pace::new(), story: Mutex::default() })
    }

    /// Has the users click while the incidents happen, until everybody is done; then looks whether
    /// everything is there that was acknowledged.
    ///
    /// # Errors
    /// When a request is not answered for a minute, or an instance does not start. What goes wrong
    /// with sessions is counted.
    pub async fn run(&self, fleet: &Fleet) -> Result<Tally> {
        let mut users: Vec<User<'_>> = (0..self.plan.users)
            .map(|number| User::new(&self.pace, fleet.address(), number))
            .collect();
        let before = redispatched(fleet).await?;
        let incidents = self.plan.incidents(fleet.states());
        let clicks = try_join_all(users.iter_mut().enumerate().map(|it| self.use_shop(it)));
        tokio::try_join!(clicks, self.cause(fleet, &incidents))?;
        try_join_all(users.iter_mut().map(|user| self.look(user))).await?;
        let leaving = users.iter_mut().step_by(LOGS_OUT);
        try_join_all(leaving.map(User::log_out)).await?;
        let redispatched = redispatched(fleet).await?.saturating_sub(before);
        self.pace.count(|tally| tally.redispatched = redispatched);
        Ok(self.tally())
    }

    /// What was counted so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.pace.tally().clone()
    }

    /// What happened to instances so far.
    #[must_use]
    pub fn story(&self) -> Vec<String> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first answer that was an error, for the report.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.pace.failure()
    }

    async fn use_shop(&self, (number, user): (usize, &mut User<'_>)) -> Result {
        {
            let _place = self.pace.place().await;
            user.log_in().await?;
        }
        for click in self.plan.clicks(number) {
            let _place = self.pace.place().await;
            user.click(click).await?;
        }
        Ok(())
    }

    async fn look(&self, user: &mut User<'_>) -> Result {
        let _place = self.pace.place().await;
        user.look_at_everything().await
    }

    /// Lets the incidents happen, each after its number of requests and before that of the next.
    async fn cause(&self, fleet: &Fleet, incidents: &[Incident]) -> Result {
        let ends = incidents.iter().skip(1).map(|next| next.after).chain([u64::MAX]);
        for (incident, end) in incidents.iter().zip(ends) {
            self.pace.allow(end);
            self.pace.reach(incident.after).await;
            self.happen(fleet, incident).await?;
        }
        Ok(())
    }

    async fn happen(&self, fleet: &Fleet, incident: &Incident) -> Result {
        let instance = incident.instance;
        let what = match incident.kind {
            Kind::Kill => {
                self.pace.count_kill();
                fleet.kill(instance)?;
                "was killed"
            }
            Kind::Restart => {
                fleet.launch(instance).await?;
                self.pace.count(|tally| tally.restarts += 1);
                "is back"
            }
            Kind::ScaleUp => {
                fleet.launch(instance).await?;
                self.pace.count(|tally| tally.scaled_up += 1);
                "joined the fleet"
            }
            Kind::ScaleDown => {
                fleet.stop(instance).await?;
                self.pace.count(|tally| tally.scaled_down += 1);
                "left the fleet"
            }
        };
        let line =
            format!("{:>6} requests: {} {what}", self.tally().requests, fleet.name(instance));
        self.story.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        Ok(())
    }
}

async fn redispatched(fleet: &Fleet) -> Result<u64> {
    Ok(fleet.counted().await?.iter().map(|(_, behind)| behind.redispatched).sum())
}
