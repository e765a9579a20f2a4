//! The verdict in words, computed from the figures.

use super::figures::{bytes, compact, list, percent, time, times};
use crate::compare::{
    candidate::Side,
    kind::Kind,
    library::Mode,
    results::{Deed, Outcome, Results, Shape, Speed},
    run::MANY,
};

/// What somebody needs, and what to take.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Need {
    pub(super) need: &'static str,
    pub(super) take: String,
    pub(super) because: String,
}

/// Which store for which need; needs that nothing was measured for are left out.
pub(super) fn needs(results: &Results) -> Vec<Need> {
    let all = [
        fastest("The fastest shared store, sessions may be lost with a restart", results, |kind| {
            kind.is_shared()
        }),
        fastest("A shared store that survives a restart", results, |kind| {
            kind.is_shared() && kind.survives_restart() && kind != Kind::DynamoDb
        }),
        fastest("The database that is there anyway", results, is_database),
        dynamodb(results),
        fastest("One machine, and sessions survive a restart", results, |kind| {
            matches!(kind, Kind::Files | Kind::Sqlite)
        }),
        pages(results),
        counters(results),
        php(results),
    ];
    all.into_iter().flatten().collect()
}

fn is_database(kind: Kind) -> bool {
    matches!(kind, Kind::MariaDb | Kind::MySql | Kind::Postgres)
}

/// Ours in each place of some kinds, by a figure; the least first.
fn ranked<'a>(
    results: &'a Results,
    which: fn(Kind) -> bool,
    figure: impl Fn(&Outcome) -> Option<f64>,
) -> Vec<(Kind, &'a Outcome, f64)> {
    let kinds = results.kinds().filter(|kind| which(*kind));
    let ours = kinds.filter_map(|kind| Some((kind, results.ours(kind)?)));
    let with = ours.filter_map(|(kind, outcome)| Some((kind, outcome, figure(outcome)?)));
    let mut all: Vec<_> = with.collect();
    all.sort_by(|one, other| one.2.total_cmp(&other.2));
    all
}

fn mixed(outcome: &Outcome) -> Option<&Speed> {
    outcome.speed(Deed::Mixed, MANY)
}

fn fastest(need: &'static str, results: &Results, which: fn(Kind) -> bool) -> Option<Need> {
    let mut all = ranked(results, which, |outcome| Some(mixed(outcome)?.median()));
    all.reverse();
    let (best, outcome, speed) = *all.first()?;
    let latency = mixed(outcome)?.latency;
    let mut because = format!(
        "{} requests a second of mixed traffic, half of them within {} and 99 % within {}.",
        compact(speed),
        time(latency[0]),
        time(latency[2])
    );
    // Those whose rounds overlap with the best one's are no slower, as far as can be told.
    let least = mixed(outcome)?.least();
    let (level, behind): (Vec<&(Kind, &Outcome, f64)>, Vec<_>) = all
        .iter()
        .skip(1)
        .partition(|(_, other, _)| mixed(other).is_some_and(|speed| speed.most() >= least));
    if !level.is_empty() {
        let names: Vec<_> = level.iter().map(|(kind, ..)| kind.title().to_owned()).collect();
        because += &format!(" Level with it within the noise: {}.", list(&names));
    }
    if !behind.is_empty() {
        let parts = behind
            .iter()
            .map(|(kind, _, other)| format!("{} ({})", kind.title(), percent(other / speed)));
        because += &format!(" Behind: {}.", list(&parts.collect::<Vec<_>>()));
    }
    Some(Need { need, take: best.title().to_owned(), because })
}

fn dynamodb(results: &Results) -> Option<Need> {
    let ours = results.ours(Kind::DynamoDb)?;
    let units = |deed| {
        let traffic = ours.cost(deed)?.traffic;
        Some(format!("{:.1} read and {:.1} write units", traffic.read_units, traffic.write_units))
    };
    let stored = bytes(results.settings.bytes as f64);
    Some(Need {
        need: "No server to run, paid by the request",
        take: Kind::DynamoDb.title().to_owned(),
        because: format!(
            "With sessions of {stored} a request that reads consumes {}, one that reads and saves {}, a \
             locked one {}. Speed was measured on DynamoDB Local, which says nothing about Amazon's.",
            units(Deed::Read)?,
            units(Deed::Change)?,
            units(Deed::Locked)?
        ),
    })
}

fn page(outcome: &Outcome, mode: Mode) -> Option<f64> {
    let mut all = outcome.bursts(Shape::Page).filter(|bursts| bursts.mode == mode);
    Some(all.next()?.of(|burst| burst.millis)).filter(|millis| *millis > 0.0)
}

fn pages(results: &Results) -> Option<Need> {
    let all = ranked(results, |_| true, |outcome| page(outcome, Mode::Merge));
    let (slowest, _, most) = *all.last()?;
    let (_, _, least) = *all.first()?;
    let exclusive = ranked(results, |_| true, |outcome| page(outcome, Mode::Exclusive));
    let (_, _, locked) = *exclusive.first()?;
    Some(Need {
        need: "Pages that send six requests at once",
        take: "any store, in merge mode (the default)".to_owned(),
        because: format!(
            "Six requests of 30 ms take {} to {} ({} is the slowest) and each keeps what it changed; one \
             after the other, as under a lock, they take {} or more.",
            time(least * 1e3),
            time(most * 1e3),
            slowest.title(),
            time(locked * 1e3)
        ),
    })
}

fn counters(results: &Results) -> Option<Need> {
    let hot = |outcome: &Outcome, mode: Mode| {
        let bursts = outcome.bursts(Shape::Hot).find(|bursts| bursts.mode == mode)?;
        let millis = bursts.of(|burst| burst.millis);
        (millis > 0.0).then(|| bursts.of(|burst| burst.made as f64) / millis * 1e3)
    };
    let mut all = ranked(results, Kind::is_shared, |outcome| hot(outcome, Mode::Update));
    all.reverse();
    let (best, outcome, update) = *all.first()?;
    let exclusive = hot(outcome, Mode::Exclusive)?;
    Some(Need {
        need: "Counters and carts that many requests change at once",
        take: format!("{}, by update", best.title()),
        because: format!(
            "{} updates a second of one session, none lost; under a lock {}. In merge mode different \
             entries are all kept, but of a count that all add to only what the last one saw.",
            compact(update),
            compact(exclusive)
        ),
    })
}

fn php(results: &Results) -> Option<Need> {
    let beside = |kind| {
        let peer = results.on(kind).into_iter().find(|outcome| outcome.facts.name == "PHP")?;
        let ratio = results.ours(kind)?.speed(Deed::Locked, MANY)?;
        let ratio = ratio.ratio(peer.speed(Deed::Locked, MANY)?)?;
        Some(format!("{} of PHP's own on {}", times(ratio.median), kind.title()))
    };
    let all: Vec<String> = results.kinds().filter_map(beside).collect();
    (!all.is_empty()).then(|| Need {
        need: "Rust beside PHP",
        take: "what PHP uses already".to_owned(),
        because: format!("A locked cycle of ours is {}.", list(&all)),
    })
}

/// Where updates are lost, sessions come back, and users are logged out: a sentence for each library.
pub(super) fn faults(results: &Results) -> Vec<String> {
    let peers = results.outcomes.iter().filter(|outcome| outcome.facts.side != Side::Bare);
    peers.filter_map(fault).collect()
}

fn fault(outcome: &Outcome) -> Option<String> {
    let mut faults = Vec::new();
    // Merge mode promises entries, not a count.
    for bursts in outcome.bursts(Shape::Hot) {
        let (made, count, entries) = bursts.kept();
        let kept =
            if bursts.mode == Mode::Merge { made } else { usize::try_from(count).unwrap_or(made) };
        let kept = kept.min(entries);
        if bursts.mode != Mode::ReadOnly && kept < made {
            faults.push(format!("keeps {kept} of {made} updates made at once"));
        }
    }
    if let Some(found) = outcome.log_out.as_ref().filter(|found| found.alive > 0) {
        faults.push(format!(
            "{} of {} sessions are alive after their log-out",
            found.alive, found.trials
        ));
    }
    if let Some(speed) = mixed(outcome).filter(|speed| speed.missed() > 0) {
        faults
            .push(format!("{} requests found no session after a change of its id", speed.missed()));
    }
    (!faults.is_empty()).then(|| format!("{}: {}.", outcome.facts.full_name(), list(&faults)))
}

/// Where we are behind the best peer, or not within a tenth of the bare client: a sentence for each place.
pub(super) fn behind(results: &Results) -> Vec<String> {
    let sentence = |kind: Kind| {
        let all: Vec<String> =
            Deed::ALL.iter().flat_map(|deed| lags(results, kind, *deed)).collect();
        (!all.is_empty()).then(|| format!("{}: {}.", kind.title(), all.join("; ")))
    };
    results.kinds().filter_map(sentence).collect()
}

fn lags(results: &Results, kind: Kind, deed: Deed) -> Vec<String> {
    let (what, mut lags) = (deed.title().to_lowercase(), Vec::new());
    if let Some((peer, ratio)) = results.of_best_peer(kind, deed, MANY)
        && ratio.most < 1.0
    {
        lags.push(format!("{what} {} of {}", percent(ratio.median), peer.facts.name));
    }
    if let Some(ratio) = results.of_bare(kind, deed, MANY)
        && ratio.most < 0.9
    {
        lags.push(format!("{what} {} of the bare client", percent(ratio.median)));
    }
    lags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::{
        Burst, Bursts, LogOut,
        tests::{results, speed},
    };

    #[test]
    fn the_fastest_is_named_with_its_figures() {
        let mut results = results();
        results.outcomes[3].speeds.push(speed(Deed::Mixed, &[1000.0, 2000.0, 3000.0]));
        let need = needs(&results).remove(0);
        assert_eq!(need.take, "Redis");
        assert!(need.because.starts_with("2000 requests a second"), "{}", need.because);
    }

    #[test]
    fn what_a_library_loses_is_told() {
        let mut results = results();
        let burst = Burst { made: 50, count: 1, entries: 2, ..Burst::default() };
        let (mode, first_error) = (Mode::Plain, None);
        let bursts = Bursts { shape: Shape::Hot, mode, rounds: vec![burst], first_error };
        results.outcomes[1].bursts.push(bursts);
        let found = LogOut { trials: 5, alive: 3, ..LogOut::default() };
        results.outcomes[1].log_out = Some(found);
        assert_eq!(
            faults(&results),
            [
                "slow on Redis: keeps 1 of 50 updates made at once and 3 of 5 sessions are alive after their log-out."
            ]
        );
    }

    #[test]
    fn in_merge_mode_entries_count_and_not_the_count() {
        let mut results = results();
        let burst = Burst { made: 50, count: 9, entries: 50, ..Burst::default() };
        let (mode, first_error) = (Mode::Merge, None);
        let bursts = Bursts { shape: Shape::Hot, mode, rounds: vec![burst], first_error };
        results.outcomes[3].bursts.push(bursts);
        assert_eq!(faults(&results), [""; 0]);
        results.outcomes[3].bursts[0].rounds[0].entries = 49;
        assert_eq!(faults(&results).len(), 1);
    }

    #[test]
    fn where_all_rounds_are_behind_is_told() {
        let mut results = results();
        assert_eq!(behind(&results), [""; 0]);
        results.outcomes[3].speeds = vec![speed(Deed::Read, &[5.0, 10.0, 50.0])];
        let behind = behind(&results);
        assert_eq!(
            behind,
            ["Redis: read one entry 50 % of fast; read one entry 50 % of the bare client."]
        );
    }
}
