//! The benchmark of the web layers: pages that read and write a session, over HTTP.

mod added;
mod client;
mod kept;
mod pages;
mod servers;

use std::{net::SocketAddr, sync::Arc};

use self::{
    added::{BARE_ACTIX, BARE_AXUM},
    client::Client,
};
use crate::{
    findings::Verdict,
    machine::versions,
    measure::{Contender, Operation, Plan, Result, Role, Share, Work},
    options::Options,
    redis::Place,
    report::{Facts, Report},
    rounds::{Rounds, Series, show},
    setup::Setup,
};

const TASKS: [usize; 3] = [1, 16, 64];

/// A contender's server, and the sessions of its visitors.
#[derive(Debug, Clone)]
struct Site {
    name: &'static str,
    role: Role,
    address: SocketAddr,
    cookies: Arc<[String]>,
}

/// Runs it, and writes the report.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let setup = Setup::of(1_000, 1024);
    let place = Place::start(options.flavor, false).await?;
    show("filling the server");
    let sites = sites(options, &place, &setup).await?;
    let mut report = Report::new(facts(options, &place, &setup).await?, |operation| operation);
    if options.speed {
        let contenders: Vec<Contender> = sites.iter().flat_map(Site::contenders).collect();
        let plan = Plan { server: place.process(), ..options.plan(setup.sessions) };
        let rounds = Rounds { plan, tasks: options.tasks(&TASKS), rounds: options.rounds() };
        report.series = rounds.run(&contenders).await?;
        report.verdicts = verdicts(&report.series);
        report.tables.push(added::table(&report.series));
    }
    if options.wait {
        show("50 clients at one session");
        let with_session: Vec<Site> =
            sites.into_iter().filter(|site| site.role != Role::Bare).collect();
        report.tables.push(kept::table(&with_session).await?);
        show("");
    }
    report.finish(options, "web")
}

async fn sites(options: &Options, place: &Place, setup: &Setup) -> Result<Vec<Site>> {
    let url = || place.our_url();
    let theirs = place.urls().into_iter().next().unwrap_or_default();
    let all = [
        (BARE_AXUM, Role::Bare, servers::bare_axum()?),
        (BARE_ACTIX, Role::Bare, servers::bare_actix()?),
        ("session-tower", Role::Ours, servers::session_tower(url())?),
        ("session-actix", Role::Ours, servers::session_actix(url())?),
        ("tower-sessions", Role::Peer, servers::tower_sessions(theirs.clone())?),
        ("actix-session", Role::Peer, servers::actix_session(theirs)?),
        ("tower-sessions on session-compat", Role::Ours, servers::tower_sessions_on_ours(url())?),
        ("actix-session on session-compat", Role::Ours, servers::actix_session_on_ours(url())?),
    ];
    let mut sites = Vec::new();
    for (name, role, address) in all {
        let asked = options.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
        if asked || (role == Role::Bare && !options.alone) {
            let filled = Site::fill(name, role, address, setup).await;
            sites.push(filled.map_err(|error| format!("{name}: {error}"))?);
        }
    }
    Ok(sites)
}

impl Site {
    /// Begins the sessions.
    async fn fill(
        name: &'static str,
        role: Role,
        address: SocketAddr,
        setup: &Setup,
    ) -> Result<Self> {
        let (mut client, path) =
            (Client::connect(address).await?, format!("/fill/{}", setup.text()));
        let mut cookies = Vec::with_capacity(setup.sessions);
        for _ in 0..setup.sessions {
            let reply = client.get(&path, "").await?;
            match reply.cookie {
                Some(cookie) => cookies.push(cookie),
                None if role == Role::Bare => cookies.push("id=none".to_owned()),
                None => return Err(format!("no cookie with status {}", reply.status).into()),
            }
        }
        Ok(Self { name, role, address, cookies: cookies.into() })
    }

    fn contenders(&self) -> [Contender; 2] {
        let (read, write) = (self.clone(), self.clone());
        let page =
            |site: &Self, share| Page { site: site.clone(), share, client: None, written: 0 };
        [
            Contender::new(self.name, self.role, Operation::Read, move |share| {
                Read(page(&read, share))
            }),
            Contender::new(self.name, self.role, Operation::Write, move |share| {
                Write(page(&write, share))
            }),
        ]
    }
}

/// A visitor with a connection of his own.
struct Page {
    site: Site,
    share: Share,
    client: Option<Client>,
    written: u64,
}

impl Page {
    async fn get(&mut self, path: &str, session: usize) -> Result<String> {
        let client = match &mut self.client {
            Some(client) => client,
            None => self.client.insert(Client::connect(self.site.address).await?),
        };
        let reply = client.get(path, &self.site.cookies[session]).await?;
        if reply.status != 200 {
            return Err(format!("status {}", reply.status).into());
        }
        Ok(reply.body)
    }
}

struct Read(Page);
struct Write(Page);

impl Work for Read {
    async fn step(&mut self) -> Result<()> {
        let session = self.0.share.any();
        if self.0.get("/read", session).await? != pages::READ {
            return Err("another session".into());
        }
        Ok(())
    }
}

impl Work for Write {
    async fn step(&mut self) -> Result<()> {
        let session = self.0.share.any_own();
        self.0.written += 1;
        let path = format!("/write/{}-{}", self.0.share.index, self.0.written);
        self.0.get(&path, session).await.map(drop)
    }
}

/// Ours are to be ahead of both peers.
fn verdicts(all: &[Series]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for ours in all.iter().filter(|series| series.role == Role::Ours) {
        let same = |other: &&Series| {
            other.role == Role::Peer
                && (other.operation, other.tasks) == (ours.operation, ours.tasks)
        };
        for theirs in all.iter().filter(same) {
            let Series { name, operation, tasks, .. } = ours;
            let target = format!("{name}: {operation:?} of {} with {tasks}", theirs.name);
            verdicts.push(Verdict::new(target, ours.ratio(theirs), 1.0));
        }
    }
    verdicts
}

async fn facts(options: &Options, place: &Place, setup: &Setup) -> Result<Facts> {
    let crates =
        ["axum", "actix-web", "tower-sessions", "tower-sessions-redis-store", "actix-session"];
    Ok(Facts {
        title: "Pages with a session in Redis, beside other crates",
        server: place.describe(options.flavor).await?,
        crates: crates.map(|name| (name, versions(name))).to_vec(),
        left_out: Vec::new(),
        payload: setup.payload.len(),
        sessions: setup.sessions,
    })
}
