//! The parts of the page that are about all places.

use super::{
    super::{
        change::{Change, Changes},
        figures::{bytes, compact, percent, time, times},
        kept::{self, Cell},
        verdict,
    },
    card, escape, list,
    plot::{self, Bar, Line, Mark, Row},
};
use crate::compare::{
    candidate::Side,
    kind::Kind,
    results::{Deed, Outcome, Point, Ratio, Results, Shape},
    run::MANY,
};

/// Which store for which need.
pub(super) fn verdict(results: &Results) -> String {
    let needs: String = verdict::needs(results)
        .iter()
        .map(|need| {
            let (what, take, why) = (need.need, escape(&need.take), escape(&need.because));
            format!("<div class=\"card need\">{what}<strong>{take}</strong><p class=\"soft\">{why}</p></div>")
        })
        .collect();
    let faults = list(&verdict::faults(results));
    let behind = list(&verdict::behind(results));
    let mut text = format!(
        "<h2 id=\"needs\">Which store for which need</h2><p class=\"soft\">Computed from the figures below.</p>\
         <div class=\"cards\">{needs}</div>"
    );
    if !faults.is_empty() {
        text += &format!(
            "<details><summary>What loses updates, sessions or log-outs</summary>{faults}</details>"
        );
    }
    if !behind.is_empty() {
        text += &format!(
            "<details><summary>Where ours is behind the best peer, or below 90 % of the bare client, in every \
             round</summary>{behind}</details>"
        );
    }
    text
}

/// Ratios to the bare client and to the best peer.
pub(super) fn headline(results: &Results) -> String {
    let ticks: Vec<(f64, String)> = [0.25, 0.5, 1.0, 2.0, 4.0].map(|at| (at, times(at))).to_vec();
    let cards: String = results
        .kinds()
        .filter_map(|kind| {
            let rows: Vec<Row> =
                Deed::ALL.iter().filter_map(|deed| ratio_row(results, kind, *deed)).collect();
            let plot = plot::ranges(kind.title(), &rows, &ticks, Some(1.0));
            (!rows.is_empty()).then(|| card(kind.title(), &plot))
        })
        .collect();
    format!(
        "<h2 id=\"ratios\">Our handle beside the limit and the best peer</h2>\
         <p>Requests a second of ours, with {MANY} tasks, as a multiple of \
         <span class=\"dot bare\"></span>the bare client's and of <span class=\"dot peer\"></span>the fastest \
         other library's on the same server. Right of 1 × ours is ahead. The dot is the median of rounds, the \
         line reaches from the lowest round to the highest. A locked cycle is compared with an unlocked read \
         and write of the bare client.</p><div class=\"cards\">{cards}</div>"
    )
}

fn ratio_row(results: &Results, kind: Kind, deed: Deed) -> Option<Row> {
    let bare = results.of_bare(kind, deed, MANY);
    let peer = results.of_best_peer(kind, deed, MANY);
    let mark = |class, ratio: Ratio| {
        let Ratio { median, least, most } = ratio;
        Mark { class, least, most, dots: vec![median] }
    };
    let marks: Vec<Mark> = [
        bare.map(|ratio| mark("bare", ratio)),
        peer.as_ref().map(|(_, ratio)| mark("peer", *ratio)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let words = [
        bare.map(|ratio| format!("{} bare", times(ratio.median))),
        peer.map(|(peer, ratio)| format!("{} {}", times(ratio.median), short(&peer.facts.name))),
    ];
    let text = words.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let label = deed.short().to_owned();
    (!marks.is_empty()).then_some(Row { label, text, bad: false, marks })
}

/// So that it fits beside a label.
fn short(name: &str) -> &str {
    name.strip_prefix("tower-sessions ").unwrap_or(name)
}

fn cell(cell: &Cell) -> String {
    let class = match cell.good {
        Some(true) => " class=\"good\"",
        Some(false) => " class=\"bad\"",
        None => "",
    };
    format!("<td{class}>{}</td>", escape(&cell.text))
}

/// What is kept, beside speed.
pub(super) fn correctness(results: &Results) -> String {
    let (tasks, each) = Shape::Hot.requests();
    let mut rows = String::new();
    for kind in results.kinds() {
        rows += &format!("<tr class=\"group\"><td colspan=\"8\">{}</td></tr>", kind.title());
        for outcome in results.on(kind) {
            if outcome.facts.side != Side::Bare {
                rows += &kept_row(outcome);
            }
        }
    }
    format!(
        "<h2 id=\"kept\">What is kept, beside speed</h2>\
         <p>In each round {tasks} tasks make {each} updates each of one session, as fast as they can: every one \
         adds 1 to a count and sets an entry of its own. Ours does it by <code>update</code>. Then users log out \
         while four saves of their session are under way. Mixed traffic is 90 % reads, 9 % changes and 1 % \
         log-ins that change the session's id, on sessions of which few are asked for often.</p>\
         <div class=\"wide\"><table><thead><tr><th></th><th>counts<br>kept</th><th>alive after<br>log-out</th><th>entries<br>kept</th>\
         <th>mixed traffic,<br>requests/s</th><th>99 %<br>within</th>\
         <th>logged out by a<br>change of id</th><th>errors</th></tr></thead><tbody>{rows}</tbody></table></div>\
         <p class=\"soft\">Errors are those of all timed requests and of the updates; refused saves after a \
         log-out are right and do not count, nor do refused log-ins under an id that another log-in has just replaced. What they say stands under each server.</p>"
    )
}

fn kept_row(outcome: &Outcome) -> String {
    let mixed = outcome.speed(Deed::Mixed, MANY);
    let hot = kept::counting(outcome, Shape::Hot);
    let figure = |text: Option<String>| Cell { text: text.unwrap_or("–".to_owned()), good: None };
    let missed = mixed.map(|speed| speed.missed());
    let errors = outcome.speeds.iter().map(|speed| speed.errors()).sum::<u64>()
        + outcome.bursts(Shape::Hot).map(|bursts| bursts.failed() as u64).sum::<u64>();
    let bad_if_any =
        |count: u64| Cell { text: count.to_string(), good: (count > 0).then_some(false) };
    let cells = [
        hot.map_or_else(Cell::none, kept::counts),
        kept::alive(outcome),
        hot.map_or_else(Cell::none, kept::entries),
        figure(mixed.map(|speed| compact(speed.median()))),
        figure(mixed.map(|speed| time(speed.latency[2]))),
        missed.map_or_else(Cell::none, bad_if_any),
        bad_if_any(errors),
    ];
    let cells: String = cells.iter().map(cell).collect();
    let (class, name) = (plot::class(outcome.facts.side), escape(&outcome.facts.name));
    format!("<tr><th><span class=\"dot {class}\"></span>{name}</th>{cells}</tr>")
}

/// Pages whose requests run at once.
pub(super) fn pages(results: &Results) -> String {
    let (requests, work) = (Shape::Page.requests().0, Shape::Page.work().as_millis());
    let cards: String = results
        .kinds()
        .filter_map(|kind| {
            let all = results.on(kind);
            let bars: Vec<Bar> = all.into_iter().flat_map(page_bars).collect();
            let marks = [(work as f64, "30 ms: at once"), (180.0, "180 ms: in turn")];
            (!bars.is_empty()).then(|| card(kind.title(), &plot::bars("page", &bars, &marks)))
        })
        .collect();
    format!(
        "<h2 id=\"pages\">A page of {requests} requests at once</h2>\
         <p>{requests} requests of one session, each with {work} ms of work between reading and saving. The bar \
         is the time until the last one is done; the figure also tells how many of the entries that they set \
         are there afterwards.</p><div class=\"cards\">{cards}</div>"
    )
}

fn page_bars(outcome: &Outcome) -> Vec<Bar> {
    let bar = |bursts: &crate::compare::results::Bursts| {
        let millis = bursts.of(|burst| burst.millis);
        let entries = kept::entries(bursts);
        let all = || bursts.rounds.iter().map(|burst| burst.millis);
        let kept =
            if entries.good.is_some() { format!(", {} kept", entries.text) } else { String::new() };
        Bar {
            label: format!("{}, {}", short(&outcome.facts.name), bursts.mode.name()),
            class: plot::class(outcome.facts.side),
            value: millis,
            least: all().fold(f64::MAX, f64::min),
            most: all().fold(0.0, f64::max),
            text: format!("{}{kept}", time(millis * 1e3)),
            bad: entries.good == Some(false),
        }
    };
    outcome.bursts(Shape::Page).map(bar).collect()
}

pub(super) fn changes(date: &str, changes: &Changes) -> String {
    let row = |change: &Change| {
        let class = if change.better { "good" } else { "bad" };
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"{class}\">{} {}</td></tr>",
            escape(&change.what),
            escape(&change.before),
            escape(&change.now),
            change.factor.map(times).unwrap_or_default(),
            if change.better { "better" } else { "worse" }
        )
    };
    let rows: String = changes.clear.iter().map(row).collect();
    let warning = changes
        .warning
        .as_ref()
        .map(|warning| format!("<p>Not like for like: {}.</p>", escape(warning)));
    let table = if rows.is_empty() {
        "<p>Nothing changed beyond the noise.</p>".to_owned()
    } else {
        format!(
            "<div class=\"wide\"><table class=\"words\"><thead><tr><th></th><th>before</th><th>now</th><th></th>\
             </tr></thead><tbody>{rows}</tbody></table></div>"
        )
    };
    format!(
        "<h2>Changes since {}</h2>{}{table}<p class=\"soft\">{} figures changed within the noise: their rounds \
         overlap with those of before. {} are only in one of both runs.</p>",
        escape(date),
        warning.unwrap_or_default(),
        changes.within_noise,
        changes.unmatched
    )
}

/// What was measured when it was asked for.
pub(super) fn further(results: &Results) -> String {
    sweeps(results)
        + &curves(
            results,
            "growth",
            "As sessions become more",
            |outcome| &outcome.growth,
            |at| compact(at),
        )
        + &curves(
            results,
            "sizes",
            "As sessions become larger",
            |outcome| &outcome.sizes,
            super::super::figures::bytes,
        )
}

fn sweeps(results: &Results) -> String {
    let row = |outcome: &Outcome| {
        let sweep = outcome.sweep.as_ref()?;
        let rate = sweep.deleted as f64 / sweep.seconds;
        Some(format!(
            "<tr><th>{}</th><td>{} of {}</td><td>{:.1} s</td><td>{}</td><td>{} / {}</td><td>{} / {}</td></tr>",
            outcome.facts.kind.title(),
            sweep.deleted,
            sweep.expired,
            sweep.seconds,
            compact(rate),
            compact(sweep.before.per_second),
            compact(sweep.beside.per_second),
            time(sweep.before.latency[2]),
            time(sweep.beside.latency[2]),
        ))
    };
    let rows: String = results.outcomes.iter().filter_map(row).collect();
    if rows.is_empty() {
        return rows;
    }
    format!(
        "<h2 id=\"sweep\">Sweeping expired sessions beside traffic</h2><p>Of 100,000 sessions the half has \
         expired; eight tasks change other sessions meanwhile.</p><div class=\"wide\"><table><thead><tr><th></th>\
         <th>removed</th><th>in</th><th>a second</th><th>changes/s without / beside</th>\
         <th>99 % within, without / beside</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

fn curves(
    results: &Results,
    id: &str,
    title: &str,
    points: fn(&Outcome) -> &Vec<Point>,
    name: fn(f64) -> String,
) -> String {
    let mut cards = String::new();
    for kind in results.kinds() {
        let all: Vec<_> =
            results.on(kind).into_iter().filter(|outcome| !points(outcome).is_empty()).collect();
        if all.is_empty() {
            continue;
        }
        let line = |outcome: &&Outcome| Line {
            label: outcome.facts.name.clone(),
            class: plot::class(outcome.facts.side),
            points: points(outcome).iter().map(|it| (it.at as f64, it.change.per_second)).collect(),
        };
        let lines: Vec<Line> = all.iter().map(line).collect();
        let mut at: Vec<f64> =
            lines.iter().flat_map(|line| line.points.iter().map(|it| it.0)).collect();
        at.sort_by(f64::total_cmp);
        at.dedup();
        let across: Vec<_> = at.into_iter().map(|at| (at, name(at))).collect();
        let speeds = lines.iter().flat_map(|line| line.points.iter().map(|it| it.1));
        let up = plot::decades(speeds, compact);
        cards += &card(kind.title(), &plot::lines(title, &lines, &across, &up));
    }
    if cards.is_empty() {
        return cards;
    }
    format!(
        "<h2 id=\"{id}\">{title}</h2><p>Requests a second that read and save one entry, with eight tasks.</p>\
         <div class=\"cards\">{cards}</div>"
    )
}

/// So that it can be run again.
pub(super) fn what_was_run(results: &Results) -> String {
    let (settings, machine) = (&results.settings, &results.machine);
    let place = |place: &crate::compare::results::PlaceFacts| {
        let memory = place.memory.map(|bytes| super::super::figures::bytes(bytes as f64));
        format!(
            "<tr><th>{}</th><td>{}</td></tr>",
            escape(&place.title),
            memory.unwrap_or("in the program".to_owned())
        )
    };
    let places: String = results.places.iter().map(place).collect();
    let candidate = |outcome: &Outcome| {
        let facts = &outcome.facts;
        format!(
            "<tr><td><span class=\"dot {}\"></span>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            plot::class(facts.side),
            escape(&facts.full_name()),
            escape(&facts.version),
            outcome.memory.map_or_else(|| "–".to_owned(), |grown| bytes(grown as f64)),
            escape(&facts.note)
        )
    };
    let candidates: String =
        results.kinds().flat_map(|kind| results.on(kind)).map(candidate).collect();
    let left_out: Vec<String> =
        results.left_out.iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
    let spreads = results.outcomes.iter().flat_map(|outcome| &outcome.speeds);
    let spread =
        crate::measure::median(spreads.map(|speed| speed.spread()).filter(|it| it.is_finite()));
    format!(
        "<h2 id=\"run\">What was run</h2>\
         <p>A closed loop: 1 and 16 tasks on a runtime with two threads, each beginning a request as soon as the \
         last one is answered. In each of {} rounds every candidate is measured once for {} ms after a warm-up, in \
         an order that is drawn anew; so a machine that slows down hits all alike. Figures are medians of rounds, \
         ratios are taken within rounds, percentiles are of all rounds together. The seed was {}. Servers listen \
         on loopback and do not wait for the disk; pools have 16 connections.</p>\
         <p>{}, {} cores, Linux {}; load average {} before and {} after. The spread of a figure over rounds was \
         {} of its median (the median of all figures).</p>\
         <div class=\"wide\"><table><thead><tr><th>place</th><th>memory of its process at the end</th></tr></thead>\
         <tbody>{places}</tbody></table></div>\
         <p>What a program grows by: it opens the candidates of the place, then one makes {} sessions, and has 64 requests of mixed \
         traffic at once. PHP's processes are counted in.</p>\
         <div class=\"wide\"><table class=\"words\"><thead><tr><th>candidate</th><th>version</th><th>a program<br>grows by</th><th>note</th></tr>\
         </thead><tbody>{candidates}</tbody></table></div><h3>Left out</h3>{}",
        settings.rounds,
        settings.slice,
        settings.seed,
        escape(&machine.processor),
        machine.cores,
        escape(&machine.kernel),
        escape(&machine.load_before),
        escape(&machine.load_after),
        percent(if spread.is_finite() { spread } else { 0.0 }),
        settings.sessions,
        list(&left_out)
    )
}
