//! Asks until there is an answer, a refusal that stays, or no time left.

use std::{sync::Arc, time::Duration};

use session_core::ErrorKind;
use tokio::time::{Instant, sleep_until};

use super::{
    Answer, Boxed, Command, Request,
    connection::{Connection, Failure, Why},
    fault::{Fault, Verdict},
    server::{Server, Use},
    topology::Topology,
};

/// The pauses between tries begin with one of up to this and double.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// So many redirections in a row are followed without a pause.
const REDIRECTIONS: u32 = 5;

/// What has come of a request so far.
struct Course<'a> {
    topology: &'a Topology,
    deadline: Instant,
    tries: u32,
    /// Whether an earlier try may have been done.
    in_doubt: bool,
    /// Where to go next, if a server said so.
    redirect: Option<Redirect>,
    /// Why the last try failed.
    last: Option<Fault>,
}

struct Redirect {
    to: Arc<Server>,
    /// The slot is on its way there; the server has to be told that we know.
    asking: bool,
}

/// Sends a request until it is answered.
pub(super) async fn ask(
    topology: &Topology,
    request: Request,
    deadline: Instant,
) -> Result<Answer, Fault> {
    let writes = request.writes();
    let Request { key, mut commands, replica } = request;
    let mut course =
        Course { topology, deadline, tries: 0, in_doubt: false, redirect: None, last: None };
    loop {
        let replica = replica && course.tries == 0;
        let (server, asking) = match course.redirect.take() {
            Some(redirect) => (redirect.to, redirect.asking),
            None => match found(topology, &key, replica, deadline).await {
                Ok(server) => (server, false),
                Err(fault) => {
                    Box::pin(course.pause(fault)).await?;
                    continue;
                }
            },
        };
        let use_of = match (replica, writes) {
            (true, _) => Use::ReplicaRead,
            (_, true) => Use::Write,
            _ => Use::Read,
        };
        let connection = match connected(&server, use_of, deadline).await {
            Ok(connection) => connection,
            Err(fault) => {
                let next: Boxed<'_, _> = Box::pin(course.do_without(&server, &key, fault, replica));
                next.await?;
                continue;
            }
        };
        let asked = if asking { with_asking(commands) } else { commands };
        commands = match connection.ask(asked, deadline).await {
            Ok(values) => {
                let values = if asking { without_asking(values) } else { values };
                return Ok(Answer { values, resent: course.in_doubt, acknowledged: true });
            }
            Err(Failure { why: Why::Unacknowledged(values), .. }) => {
                let values = if asking { without_asking(values) } else { values };
                return Ok(Answer { values, resent: course.in_doubt, acknowledged: false });
            }
            Err(failure) => {
                let Failure { mut commands, why } = failure;
                if asking {
                    commands = without_asking(commands);
                }
                let next: Boxed<'_, _> =
                    Box::pin(course.follow(&server, commands, why, !connection.is_fit()));
                next.await?
            }
        };
    }
}

/// Boxed where it has to be found out: what is rare would make the future of every request large.
async fn found(
    topology: &Topology,
    key: &[u8],
    replica: bool,
    deadline: Instant,
) -> Result<Arc<Server>, Fault> {
    match topology.known(key, replica) {
        Some(server) => Ok(server),
        None => Box::pin(topology.server(key, replica, deadline)).await,
    }
}

async fn connected(
    server: &Server,
    use_of: Use,
    deadline: Instant,
) -> Result<Arc<Connection>, Fault> {
    match server.present(use_of) {
        Some(connection) => Ok(connection),
        None => Box::pin(server.connection(use_of, deadline)).await,
    }
}

impl Course<'_> {
    /// What to send next.
    async fn follow(
        &mut self,
        server: &Arc<Server>,
        commands: Vec<Command>,
        why: Why,
        unfit: bool,
    ) -> Result<Vec<Command>, Fault> {
        let refused = match why {
            Why::Refused(error) => Verdict::of(&error),
            Why::Unacknowledged(_) => return Err(Fault::unacknowledged()),
            Why::Unsent(fault) | Why::Unanswered(fault) if commands.is_empty() => {
                return Err(fault.in_doubt(true));
            }
            Why::Unsent(fault) => {
                self.pause(fault).await?;
                return Ok(commands);
            }
            Why::Unanswered(fault) => {
                self.in_doubt = true;
                if unfit {
                    self.look_again_in_a_cluster(server).await;
                }
                self.pause(fault).await?;
                return Ok(commands);
            }
        };
        match refused {
            Verdict::NoScript => {
                self.tries += 1;
                return Ok(commands.into_iter().map(Command::with_text).collect());
            }
            Verdict::Moved(target) => self.redirected(server, &target, false).await?,
            Verdict::Ask(target) => self.redirected(server, &target, true).await?,
            Verdict::Again(fault) => self.pause(fault).await?,
            Verdict::Elsewhere(fault) => {
                self.topology.look_again(server, None, self.deadline).await;
                self.pause(fault).await?;
            }
            Verdict::Never(fault) => return Err(fault.in_doubt(self.in_doubt)),
        }
        Ok(commands)
    }

    /// The connection is done for: it is made anew in any case, but the slots may be elsewhere now.
    async fn look_again_in_a_cluster(&self, server: &Server) {
        if matches!(self.topology, Topology::Cluster(_)) {
            self.topology.look_again(server, None, self.deadline).await;
        }
    }

    /// Fails when the key is still on a server that has been down for long.
    async fn give_up_on(
        &self,
        server: &Arc<Server>,
        key: &[u8],
        fault: &Fault,
    ) -> Result<(), Fault> {
        if !server.is_long_down() {
            return Ok(());
        }
        match self.topology.server(key, false, self.deadline).await {
            Ok(now) if !Arc::ptr_eq(&now, server) => Ok(()),
            // What was known before tells more than that there is no time left.
            _ => Err(self.last.as_ref().unwrap_or(fault).clone().in_doubt(self.in_doubt)),
        }
    }

    /// Goes on when there is no connection.
    async fn do_without(
        &mut self,
        server: &Arc<Server>,
        key: &[u8],
        fault: Fault,
        replica: bool,
    ) -> Result<(), Fault> {
        if fault.passes() && !replica {
            self.look_again_in_a_cluster(server).await;
            self.give_up_on(server, key, &fault).await?;
        }
        self.pause(fault).await
    }

    async fn redirected(&mut self, from: &Server, target: &str, asking: bool) -> Result<(), Fault> {
        let to = self.topology.server_at(target, from);
        if !asking {
            self.topology.look_again(from, to.as_ref(), self.deadline).await;
        }
        if self.tries >= REDIRECTIONS || to.is_none() {
            let fault = Fault::new(ErrorKind::Unavailable, "the cluster is being changed");
            self.pause(fault).await?;
        } else {
            self.tries += 1;
        }
        self.redirect = to.map(|to| Redirect { to, asking });
        Ok(())
    }

    /// Waits before the next try, if there is time for one.
    async fn pause(&mut self, fault: Fault) -> Result<(), Fault> {
        if !fault.passes() {
            return Err(fault.in_doubt(self.in_doubt));
        }
        if Instant::now() >= self.deadline {
            // What was known before tells more than that there is no time left.
            return Err(self.last.take().unwrap_or(fault).in_doubt(self.in_doubt));
        }
        let longest = FIRST_PAUSE * 2_u32.saturating_pow(self.tries.min(10));
        let until = Instant::now() + longest.min(LONGEST_PAUSE).mul_f64(fastrand::f64());
        self.tries += 1;
        if until >= self.deadline {
            return Err(fault.in_doubt(self.in_doubt));
        }
        self.last = Some(fault);
        sleep_until(until).await;
        Ok(())
    }
}

fn with_asking(commands: Vec<Command>) -> Vec<Command> {
    commands.into_iter().flat_map(|command| [Command::new("ASKING", &[]), command]).collect()
}

/// Every second one.
fn without_asking<T>(all: Vec<T>) -> Vec<T> {
    all.into_iter().skip(1).step_by(2).collect()
}
