//! What is counted.

use std::fmt;

use serde::Serialize;

/// What is counted while users click.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Tally {
    /// How many users logged in.
    pub users: u64,
    /// Requests that they sent.
    pub requests: u64,
    /// Instances that were killed.
    pub kills: u64,
    /// Instances that were started again after that.
    pub restarts: u64,
    /// Instances that were added.
    pub scaled_up: u64,
    /// Instances that were taken away.
    pub scaled_down: u64,
    /// Requests that the balancer sent to another instance than it first meant to.
    pub redispatched: u64,
    /// Requests whose answer did not come because an instance died: errors of the transport, which
    /// are no answer about a session.
    pub broken: u64,
    /// Those among them that broke off while no instance had been killed lately: one that was alive
    /// crashed over them.
    pub broken_unexplained: u64,
    /// Of those that broke off, the ones that users sent again, because that does no harm.
    pub sent_again: u64,
    /// Answers that failed, by an instance that was alive.
    pub errors: u64,
    /// Users to whom an instance said that it does not know them.
    pub logged_out: u64,
    /// Those among them to whom that happened before an instance was killed.
    pub logged_out_early: u64,
    /// Cookies that a log-out had ended, and that were good again.
    pub came_back: u64,
    /// Changes that were acknowledged, and were not there in the end.
    pub lost: u64,
    /// Answers without a change that had been acknowledged before they were asked for.
    pub outdated: u64,
    /// Counts that took effect twice.
    pub doubled: u64,
}

impl Tally {
    /// Whether nobody could notice anything.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let wrongs = [self.logged_out, self.lost, self.outdated, self.doubled, self.came_back];
        wrongs.iter().sum::<u64>() + self.errors == 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  users: {}, requests: {}, kills: {}, restarts: {}, scaled up: {}, down: {}",
            self.users, self.requests, self.kills, self.restarts, self.scaled_up, self.scaled_down
        )?;
        writeln!(
            f,
            "  transport: {} sent elsewhere by the balancer, {} broke off, {} sent again by users",
            self.redispatched, self.broken, self.sent_again
        )?;
        if self.broken_unexplained > 0 {
            writeln!(f, "  {} broke off without a kill", self.broken_unexplained)?;
        }
        write!(
            f,
            "  logged out: {}, lost: {}, outdated: {}, counted twice: {}, back after log-out: {}, errors: {}",
            self.logged_out, self.lost, self.outdated, self.doubled, self.came_back, self.errors
        )
    }
}
