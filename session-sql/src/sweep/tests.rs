use std::sync::Mutex;

use super::*;
use crate::Engine;

/// Rows that expired one after the other, in a database where things take their time.
struct Rows {
    left: Mutex<usize>,
    engine: Engine,
    round_trip: Duration,
    /// What the first look takes.
    first_look: Mutex<Option<Duration>>,
    each: Duration,
    /// What others add to every statement that removes something.
    others: Duration,
    batches: Mutex<Vec<(i64, usize)>>,
    worked: Mutex<Duration>,
    rested: Mutex<Duration>,
}

const ALL: usize = 20_000;

impl Rows {
    fn taking(round_trip: Duration, each: Duration) -> Self {
        Self {
            left: Mutex::new(ALL),
            engine: Engine::Postgres,
            round_trip,
            first_look: Mutex::default(),
            each,
            others: Duration::ZERO,
            batches: Mutex::default(),
            worked: Mutex::default(),
            rested: Mutex::default(),
        }
    }

    fn first(&self) -> i64 {
        i64::try_from(1 + ALL - *self.left.lock().unwrap()).unwrap()
    }

    /// Sweeps to the end, in steps, as a sweeper does.
    async fn sweep(&self, share: u8) {
        let mut cursor = None;
        loop {
            let budget = SweepBudget::new(5_000, Duration::from_secs(3_600));
            let pace = Pace::new(share, self.engine);
            let report = walk(self, pace, cursor.as_ref(), budget).await.unwrap();
            cursor = report.next;
            if cursor.is_none() {
                assert_eq!(*self.left.lock().unwrap(), 0);
                return;
            }
        }
    }

    /// How long it worked, and how long it took.
    fn times(&self) -> (Duration, Duration) {
        let (worked, rested) = (*self.worked.lock().unwrap(), *self.rested.lock().unwrap());
        (worked, worked + rested)
    }

    fn sizes(&self) -> Vec<usize> {
        self.batches.lock().unwrap().iter().map(|(_, rows)| *rows).collect()
    }
}

#[async_trait]
impl Expired for Rows {
    async fn oldest(&self, low: i64) -> Result<Option<Oldest>> {
        *self.worked.lock().unwrap() += self.round_trip;
        assert!(low <= self.first(), "rows from {} to {low} are left behind", self.first());
        let first = self.first_look.lock().unwrap().take();
        let (deadline, took) = (self.first(), first.unwrap_or(self.round_trip));
        let oldest = Oldest { deadline, lag: Duration::from_secs(1), took };
        Ok((*self.left.lock().unwrap() > 0).then_some(oldest))
    }

    async fn remove(&self, low: i64, limit: usize) -> Result<Removed> {
        let rows = if low == LOCKS { 0 } else { limit.min(*self.left.lock().unwrap()) };
        let took = self.round_trip + self.others + self.each * u32::try_from(rows).unwrap();
        *self.worked.lock().unwrap() += took;
        if low != LOCKS {
            self.batches.lock().unwrap().push((low, rows));
        }
        *self.left.lock().unwrap() -= rows;
        Ok(Removed { rows, took })
    }

    async fn rest(&self, time: Duration) {
        *self.rested.lock().unwrap() += time;
    }
}

const MICRO: Duration = Duration::from_micros(1);
const MILLI: Duration = Duration::from_millis(1);

#[tokio::test]
async fn it_works_for_its_share_of_the_time_and_no_more() {
    for share in [5, 20, 50, 100] {
        let rows = Rows::taking(100 * MICRO, 20 * MICRO);
        rows.sweep(share).await;
        let (worked, took) = rows.times();
        let part = worked.as_secs_f64() / took.as_secs_f64();
        // Of looking for the first row no account is kept.
        let most = f64::from(share) / 100.0;
        assert!((most * 0.9..most * 1.3).contains(&part), "{share} %: {part}");
    }
}

#[tokio::test]
async fn a_batch_takes_no_longer_than_its_slice() {
    // A row takes so many microseconds.
    for (each, largest) in [(2, 500), (20, 50), (50, 20)] {
        let rows = Rows::taking(100 * MICRO, each * MICRO);
        rows.sweep(100).await;
        assert_eq!(rows.sizes().iter().max(), Some(&largest), "{each} us: {:?}", rows.sizes());
    }
}

#[tokio::test]
async fn a_batch_for_which_writers_wait_takes_a_quarter_of_that() {
    for (each, largest) in [(1, 250), (25, 10), (100, 5)] {
        let mut rows = Rows::taking(10 * MICRO, each * MICRO);
        rows.engine = Engine::Sqlite;
        rows.sweep(100).await;
        assert_eq!(rows.sizes().iter().max(), Some(&largest), "{each} us: {:?}", rows.sizes());
    }
}

#[tokio::test]
async fn a_first_look_that_took_long_makes_no_large_batches() {
    let rows = Rows::taking(100 * MICRO, 50 * MICRO);
    *rows.first_look.lock().unwrap() = Some(3 * MILLI);
    rows.sweep(100).await;
    assert!(rows.sizes().iter().all(|size| *size <= 40), "{:?}", rows.sizes());
}

#[tokio::test]
async fn a_server_that_is_far_away_is_swept_in_large_batches() {
    let rows = Rows::taking(20 * MILLI, 5 * MICRO);
    rows.sweep(20).await;
    assert!(rows.sizes().contains(&200), "{:?}", rows.sizes());
    // A row would take 100 ms if each went alone.
    assert!(rows.times().1 < 2 * MILLI * u32::try_from(ALL).unwrap(), "{:?}", rows.times());
}

#[tokio::test]
async fn a_batch_has_twenty_rows_at_least_whatever_holds_it_up() {
    let mut rows = Rows::taking(100 * MICRO, 1_000 * MICRO);
    rows.others = 10 * MILLI;
    rows.sweep(20).await;
    assert!(rows.sizes().len() <= ALL / 20 + 1, "{}", rows.sizes().len());
}

#[tokio::test]
async fn a_batch_begins_where_the_one_before_it_ended() {
    let rows = Rows::taking(100 * MICRO, 20 * MICRO);
    rows.sweep(100).await;
    let mut from = 1;
    for (low, count) in &*rows.batches.lock().unwrap() {
        assert_eq!(*low, from);
        from += i64::try_from(*count).unwrap();
    }
}

#[test]
fn a_foreign_cursor_begins_at_the_beginning() {
    for cursor in [&b"more"[..], &[], &[0xff; 8], &[0; 9]] {
        assert_eq!(deadline(&Cursor::new(cursor)), LOCKS);
    }
    assert_eq!(deadline(&Cursor::new(7_i64.to_be_bytes().to_vec())), 7);
}
