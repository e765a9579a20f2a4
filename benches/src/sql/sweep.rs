//! Sweeping many expired rows beside writers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use session_core::{SessionStore, SweepBudget};
use session_sql::SqlStore;
use sqlx::{MySqlConnection, PgConnection, SqliteConnection};
use tokio::{task::JoinSet, time::sleep};

use super::{Engine, client::Client, ours, place::Place};
use crate::{
    measure::{Result, median, percentile},
    options::Options,
    report::Table,
    rounds::show,
    setup::Setup,
    stored::Session,
};

const WRITERS: usize = 8;
/// Each writer's own.
const SESSIONS: usize = 100;
/// Of 100,000 rows, the half.
const EXPIRED: f64 = 50_000.0;
/// How long writers are watched at least.
const AT_LEAST: Duration = Duration::from_millis(1500);

#[derive(Debug, Clone, Copy)]
enum Way {
    Nothing,
    Sweepers(usize),
    OneDelete,
}

impl Way {
    const ALL: [Self; 4] = [Self::Nothing, Self::Sweepers(1), Self::Sweepers(2), Self::OneDelete];

    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "no sweep",
            Self::Sweepers(1) => "our sweep",
            Self::Sweepers(_) => "our sweep, twice at once",
            Self::OneDelete => "one DELETE of all",
        }
    }
}

/// What one run came to.
#[derive(Debug, Clone, Copy)]
struct Found {
    /// Of saves while the sweep went on, in milliseconds.
    p50: f64,
    p99: f64,
    worst: f64,
    saves: f64,
    /// Of the sweep, in seconds.
    seconds: f64,
    left: f64,
}

pub(super) async fn run(engine: Engine, options: &Options) -> Result<Table> {
    let mut all: Vec<Vec<Found>> = vec![Vec::new(); Way::ALL.len()];
    let rounds = if options.quick { 1 } else { 3 };
    for round in 1..=rounds {
        for (way, found) in Way::ALL.into_iter().zip(&mut all) {
            show(&format!("sweep, round {round} of {rounds}: {}", way.name()));
            found.push(once(engine, options, way).await?);
        }
    }
    show("");
    let rows = Way::ALL.into_iter().zip(&all).map(|(way, found)| row(way, found)).collect();
    let head = vec![
        "",
        "saves/s",
        "save p50 ms",
        "p99 ms",
        "worst ms",
        "sweep s",
        "rows/s",
        "expired rows left",
    ];
    let title = "Sweeping 50,000 expired of 100,000 rows, beside 8 writers";
    Ok(Table { title, head, rows })
}

fn row(way: Way, found: &[Found]) -> Vec<String> {
    let of = |figure: fn(&Found) -> f64| median(found.iter().map(figure));
    let (seconds, sweeps) = (of(|found| found.seconds), !matches!(way, Way::Nothing));
    let swept = |text: String| if sweeps { text } else { "-".to_owned() };
    vec![
        way.name().to_owned(),
        format!("{:.0}", of(|found| found.saves)),
        format!("{:.2}", of(|found| found.p50)),
        format!("{:.1}", of(|found| found.p99)),
        format!("{:.0}", of(|found| found.worst)),
        swept(format!("{seconds:.2}")),
        swept(format!("{:.0}", EXPIRED / seconds)),
        swept(format!("{:.0}", of(|found| found.left))),
    ]
}

/// On a fresh server: what others left behind is not to be swept with it.
async fn once(engine: Engine, options: &Options, way: Way) -> Result<Found> {
    let place = Place::start(engine, options.durable, false).await?;
    let store = ours::open(&place).await?;
    let mut session = Admin::open(&place).await?;
    let payload = Setup::of(1, 1024).payload;
    Session::create(&store, &payload).await?;
    // A statement that reads the table it fills would make a copy on disk.
    session.define("CREATE TABLE template AS SELECT * FROM sessions").await?;
    session.define(&fill(engine)).await?;
    let mut shares = Vec::new();
    for _ in 0..WRITERS {
        let mut own = Vec::new();
        for _ in 0..SESSIONS {
            own.push(Session::create(&store, &payload).await?);
        }
        shares.push(own);
    }
    session.define(analyze(engine)).await?;
    let (over, mut writers) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for own in shares {
        writers.spawn(write(store.clone(), own, payload.clone(), Arc::clone(&over)));
    }
    sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    let swept = clean(&place, &store, &mut session, way).await?;
    // Where it was over soon, what it left behind in the server counts as well.
    sleep(AT_LEAST.saturating_sub(began.elapsed())).await;
    let watched = began.elapsed();
    over.store(true, Ordering::Relaxed);
    let mut times = Vec::new();
    while let Some(of_one) = writers.join_next().await {
        let counted = of_one??.into_iter().filter(|(at, _)| *at >= began);
        times.extend(counted.map(|(_, time)| time));
    }
    times.sort_unstable();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let at = |part| percentile(&times, part).map_or(f64::NAN, millis);
    Ok(Found {
        p50: at(0.5),
        p99: at(0.99),
        worst: at(1.0),
        saves: times.len() as f64 / watched.as_secs_f64(),
        seconds: swept.as_secs_f64(),
        left: session.expired().await?,
    })
}

/// When each save began, and how long it took.
type Times = Vec<(Instant, Duration)>;

async fn write(
    store: SqlStore,
    own: Vec<Session>,
    payload: bytes::Bytes,
    over: Arc<AtomicBool>,
) -> Result<Times> {
    let mut times = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        own[fastrand::usize(..own.len())].save(&store, &payload).await?;
        times.push((began, began.elapsed()));
    }
    Ok(times)
}

/// Removes what has expired, and says how long it took. The first sweeper is in the program of the writers, as a
/// `Sweeper` is, and has their connections; another is in one of its own.
async fn clean(place: &Place, store: &SqlStore, admin: &mut Admin, way: Way) -> Result<Duration> {
    let began = Instant::now();
    match way {
        Way::Nothing => {}
        Way::OneDelete => {
            let now = now(place.engine);
            admin.define(&format!("DELETE FROM sessions WHERE deadline < {now}")).await?;
        }
        Way::Sweepers(count) => {
            let mut sweepers = JoinSet::new();
            sweepers.spawn(sweep(store.clone()));
            for _ in 1..count {
                let other = ours::open(place).await?;
                sweepers.spawn(sweep(other));
            }
            while let Some(done) = sweepers.join_next().await {
                done??;
            }
        }
    }
    Ok(began.elapsed())
}

async fn sweep(store: SqlStore) -> Result<()> {
    let mut cursor = None;
    loop {
        cursor = store.sweep(cursor.as_ref(), SweepBudget::default()).await?.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

fn now(engine: Engine) -> &'static str {
    match engine {
        Engine::MariaDb | Engine::MySql => "UNIX_TIMESTAMP() * 1000",
        Engine::Postgres => "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
        Engine::Sqlite => "unixepoch() * 1000",
    }
}

fn analyze(engine: Engine) -> &'static str {
    if engine.is_mysql() { "ANALYZE TABLE sessions" } else { "ANALYZE sessions" }
}

/// 100,000 rows like the one that there is, of which the half expired in the last hour.
fn fill(engine: Engine) -> String {
    let digest = match engine {
        Engine::MariaDb | Engine::MySql => "RANDOM_BYTES(32)",
        Engine::Postgres => "decode(md5(random()::text) || md5(random()::text), 'hex')",
        Engine::Sqlite => "randomblob(32)",
    };
    let digits: Vec<String> = (0..10).map(|digit| format!("SELECT {digit} AS d")).collect();
    let digits = format!("({})", digits.join(" UNION ALL "));
    let number = "(a.d * 10000 + b.d * 1000 + c.d * 100 + d.d * 10 + e.d)";
    format!(
        "INSERT INTO sessions (digest, commits, deadline, holder, lease_until, \
         absolute_deadline, principal, data) \
         SELECT {digest}, commits, \
         CASE WHEN e.d < 5 THEN deadline - 3600000 - 5000 - {number} * 30 ELSE deadline + {number} END, \
         holder, lease_until, absolute_deadline, principal, data \
         FROM template, {digits} a, {digits} b, {digits} c, {digits} d, {digits} e"
    )
}

/// A connection beside the store.
enum Admin {
    MySql(MySqlConnection),
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Admin {
    async fn open(place: &Place) -> Result<Self> {
        let (url, none) = (place.url(), "no connection");
        Ok(match place.engine {
            Engine::MariaDb | Engine::MySql => {
                Self::MySql(MySqlConnection::open(&url, 1).await?.pop().ok_or(none)?)
            }
            Engine::Postgres => {
                Self::Postgres(PgConnection::open(&url, 1).await?.pop().ok_or(none)?)
            }
            Engine::Sqlite => {
                Self::Sqlite(SqliteConnection::open(&url, 1).await?.pop().ok_or(none)?)
            }
        })
    }

    async fn define(&mut self, text: &str) -> Result<()> {
        match self {
            Self::MySql(own) => own.define(text).await,
            Self::Postgres(own) => own.define(text).await,
            Self::Sqlite(own) => own.define(text).await,
        }
    }

    async fn expired(&mut self) -> Result<f64> {
        const MYSQL: &str = "SELECT COUNT(*) FROM sessions WHERE deadline < UNIX_TIMESTAMP() * 1000 AND ? < 1 AND ? < 1";
        const POSTGRES: &str = "SELECT count(*) FROM sessions WHERE deadline < extract(epoch FROM now()) * 1000 AND $1 < 1 AND $2 < '\\x01'::bytea";
        const SQLITE: &str = "SELECT count(*) FROM sessions WHERE deadline < unixepoch() * 1000 AND ? < 1 AND ? < x'01'";
        let left = match self {
            Self::MySql(own) => own.ask(MYSQL, 0, b"0").await?,
            Self::Postgres(own) => own.ask(POSTGRES, 0, b"").await?,
            Self::Sqlite(own) => own.ask(SQLITE, 0, b"").await?,
        };
        Ok(left as f64)
    }
}
