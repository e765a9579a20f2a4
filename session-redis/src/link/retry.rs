//! Asks until there is an answer, a refusal that stays, or no time left.

use std::{sync::Arc, time::Duration};

use session_core::ErrorKind;
use tokio::time::{Instant, sleep_until};

use super::{
    Answer, Boxed, Command, Request, Value,
    connection::{Connection, Why},
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
    request: Request,
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
// Not itself asynchronous: the compiler keeps what is moved into such a future twice.
pub(super) fn ask(
    topology: &Topology,
    request: Request,
    deadline: Instant,
) -> impl Future<Output = Result<Answer, Fault>> + Send {
    let mut course = Course {
        topology,
        request,
        deadline,
        tries: 0,
        in_doubt: false,
        redirect: None,
        last: None,
    };
    async move { course.run().await }
}

impl Course<'_> {
    /// Boxes what is rare: the future of every request would else be large.
    async fn run(&mut self) -> Result<Answer, Fault> {
        loop {
            let (server, asking) = match self.known() {
                Some(known) => known,
                None => (Box::pin(self.find()).await?, false),
            };
            let connection = match server.present(self.use_of()) {
                Some(connection) => connection,
                None => match Box::pin(self.connect(&server)).await? {
                    Some(connection) => connection,
                    None => continue,
                },
            };
            let asked = if asking {
                Box::pin(self.ask_where_it_goes(&connection)).await
            } else {
                connection.ask(&self.request.commands, self.deadline).await
            };
            let (values, acknowledged) = match asked {
                Ok(values) => (values, true),
                Err(Why::Unacknowledged(values)) => (values, false),
                Err(why) => {
                    let next: Boxed<'_, _> =
                        Box::pin(self.follow(&server, why, !connection.is_fit()));
                    next.await?;
                    continue;
                }
            };
            return Ok(Answer { values, resent: self.in_doubt, acknowledged });
        }
    }

    fn asks_a_replica(&self) -> bool {
        self.request.replica && self.tries == 0
    }

    fn use_of(&self) -> Use {
        match (self.asks_a_replica(), self.request.writes()) {
            (true, _) => Use::ReplicaRead,
            (_, true) => Use::Write,
            _ => Use::Read,
        }
    }

    /// The server to ask, and whether it has to be told that the slot is on its way there; if
    /// nobody has to be asked.
    fn known(&mut self) -> Option<(Arc<Server>, bool)> {
        if let Some(Redirect { to, asking }) = self.redirect.take() {
            return Some((to, asking));
        }
        let known = self.topology.known(&self.request.key, self.asks_a_replica());
        known.map(|server| (server, false))
    }

    async fn find(&mut self) -> Result<Arc<Server>, Fault> {
        loop {
            let (key, replica) = (&self.request.key, self.asks_a_replica());
            match self.topology.server(key, replica, self.deadline).await {
                Ok(server) => return Ok(server),
                Err(fault) => self.pause(fault).await?,
            }
        }
    }

    /// None where another server may be the one to ask by now.
    async fn connect(&mut self, server: &Arc<Server>) -> Result<Option<Arc<Connection>>, Fault> {
        let fault = match server.connection(self.use_of(), self.deadline).await {
            Ok(connection) => return Ok(Some(connection)),
            Err(fault) => fault,
        };
        if fault.passes() && !self.asks_a_replica() {
            self.look_again_in_a_cluster(server).await;
            self.give_up_on(server, &fault).await?;
        }
        self.pause(fault).await?;
        Ok(None)
    }

    async fn ask_where_it_goes(&self, connection: &Connection) -> Result<Vec<Value>, Why> {
        let each = |command: &Command| [Command::new("ASKING", &[]), command.clone()];
        let commands: Vec<_> = self.request.commands.iter().flat_map(each).collect();
        let of_ours = |values: Vec<Value>| values.into_iter().skip(1).step_by(2).collect();
        match connection.ask(&commands, self.deadline).await {
            Ok(values) => Ok(of_ours(values)),
            Err(Why::Unacknowledged(values)) => Err(Why::Unacknowledged(of_ours(values))),
            Err(why) => Err(why),
        }
    }

    /// Prepares the next try.
    async fn follow(&mut self, server: &Arc<Server>, why: Why, unfit: bool) -> Result<(), Fault> {
        let refused = match why {
            Why::Refused(error) => Verdict::of(&error),
            why => {
                self.in_doubt |= !matches!(why, Why::Unsent(_));
                if unfit {
                    self.look_again_in_a_cluster(server).await;
                }
                let fault = match why {
                    // What was wrong with that connection need not be with the next one.
                    Why::Unsent(fault) if !fault.passes() => {
                        Fault::new(ErrorKind::Unavailable, "the connection has ended")
                    }
                    why => why.into_fault(),
                };
                return self.pause(fault).await;
            }
        };
        match refused {
            Verdict::NoScript => {
                self.tries += 1;
                let commands = self.request.commands.iter_mut();
                commands.for_each(|command| *command = command.with_text());
                Ok(())
            }
            Verdict::Moved(target) => self.redirected(server, &target, false).await,
            Verdict::Ask(target) => self.redirected(server, &target, true).await,
            Verdict::Again(fault) => self.pause(fault).await,
            Verdict::Elsewhere(fault) => {
                self.topology.look_again(server, None, self.deadline).await;
                self.pause(fault).await
            }
            Verdict::Never(fault) => Err(fault.in_doubt(self.in_doubt)),
        }
    }

    /// The connection is done for: it is made anew in any case, but the slots may be elsewhere now.
    async fn look_again_in_a_cluster(&self, server: &Server) {
        if matches!(self.topology, Topology::Cluster(_)) {
            self.topology.look_again(server, None, self.deadline).await;
        }
    }

    /// Fails when the key is still on a server that has been down for long.
    async fn give_up_on(&mut self, server: &Arc<Server>, fault: &Fault) -> Result<(), Fault> {
        if !server.is_long_down() {
            return Ok(());
        }
        match self.topology.server(&self.request.key, false, self.deadline).await {
            Ok(now) if !Arc::ptr_eq(&now, server) => Ok(()),
            _ => Err(self.reason(fault.clone()).in_doubt(self.in_doubt)),
        }
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

    /// Why there is no answer: what was met before tells more than that a try took too long.
    fn reason(&mut self, fault: Fault) -> Fault {
        if fault.is_silence() { self.last.take().unwrap_or(fault) } else { fault }
    }

    /// Waits before the next try, if there is time for one.
    async fn pause(&mut self, fault: Fault) -> Result<(), Fault> {
        if !fault.passes() {
            return Err(fault.in_doubt(self.in_doubt));
        }
        let fault = self.reason(fault);
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
