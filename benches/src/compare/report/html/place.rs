//! The part of the page that is about one place.

use super::{
    super::figures::{bytes, calls, compact, time},
    card, escape, list,
    plot::{self, Bar, Mark, Row},
};
use crate::compare::{
    kind::Kind,
    results::{Deed, Outcome, Results},
    run::{FEW, MANY},
};

pub(super) fn section(results: &Results, kind: Kind) -> String {
    let all = results.on(kind);
    let title = results.places.iter().find(|place| place.kind == kind);
    let title = title.map_or(kind.title(), |place| place.title.as_str());
    let mut cards: String = Deed::ALL.iter().filter_map(|deed| speed(&all, *deed)).collect();
    cards += &latency(&all, Deed::Read);
    cards += &latency(&all, Deed::Change);
    format!(
        "<h2 id=\"{}\">{}</h2><div class=\"cards\">{cards}</div>{}{}",
        kind.word(),
        escape(title),
        costs(&all, kind),
        errors(&all)
    )
}

/// Requests a second of one deed, with the range of rounds.
fn speed(all: &[&Outcome], deed: Deed) -> Option<String> {
    let bar = |outcome: &&Outcome| {
        let speed = outcome.speed(deed, MANY)?;
        let few = outcome.speed(deed, FEW).map(|few| format!(" ({})", compact(few.median())));
        Some(Bar {
            label: outcome.facts.name.clone(),
            class: plot::class(outcome.facts.side),
            value: speed.median(),
            least: speed.least(),
            most: speed.most(),
            text: format!("{}{}", compact(speed.median()), few.unwrap_or_default()),
            bad: false,
        })
    };
    let bars: Vec<Bar> = all.iter().filter_map(bar).collect();
    if bars.is_empty() {
        return None;
    }
    let few = all.iter().any(|outcome| outcome.speed(deed, FEW).is_some());
    let few = if few { ", in brackets with one" } else { "" };
    let caption = format!("<figcaption>requests a second with {MANY} tasks{few}</figcaption>");
    Some(card(deed.title(), &(plot::bars(deed.title(), &bars, &[]) + &caption)))
}

/// From the median to 99.9 %.
fn latency(all: &[&Outcome], deed: Deed) -> String {
    let with =
        |outcome: &&Outcome| Some((outcome.facts.clone(), outcome.speed(deed, FEW)?.latency));
    let with: Vec<_> = all.iter().filter_map(with).collect();
    let ticks = plot::decades(with.iter().flat_map(|(_, latency)| *latency), time);
    let row = |(facts, [p50, p95, p99, p999]): &(crate::compare::candidate::Facts, [f64; 4])| Row {
        label: facts.name.clone(),
        text: format!("{} … {}", time(*p50), time(*p99)),
        bad: false,
        marks: vec![Mark {
            class: plot::class(facts.side),
            least: *p50,
            most: *p999,
            dots: vec![*p50, *p95, *p99, *p999],
        }],
    };
    let rows: Vec<Row> = with.iter().map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    let title = format!("How long: {}", deed.title().to_lowercase());
    let caption = "<figcaption>with one task; dots at 50, 95, 99 and 99.9 % of requests, the figures are 50 \
                   and 99 %</figcaption>";
    card(&title, &(plot::ranges(&title, &rows, &ticks, None) + caption))
}

fn costs(all: &[&Outcome], kind: Kind) -> String {
    let mut rows = String::new();
    for deed in [Deed::Read, Deed::Change, Deed::Touch, Deed::Locked, Deed::Cycle] {
        let lines: String = all.iter().filter_map(|outcome| cost(outcome, deed, kind)).collect();
        if !lines.is_empty() {
            rows +=
                &format!("<tr class=\"group\"><td colspan=\"9\">{}</td></tr>{lines}", deed.title());
        }
    }
    let stored =
        |outcome: &&Outcome| Some(format!("{} {}", outcome.facts.name, bytes(outcome.stored?)));
    let stored: Vec<String> = all.iter().filter_map(stored).collect();
    let stored = if stored.is_empty() {
        String::new()
    } else {
        format!("<p class=\"soft\">Stored for each session: {}.</p>", escape(&stored.join(", ")))
    };
    if rows.is_empty() {
        return stored;
    }
    let units = if kind == Kind::DynamoDb { "<th>read units</th><th>write units</th>" } else { "" };
    format!(
        "<details><summary>What one request costs</summary><p class=\"soft\">Counted on the wire between client and \
         server, and by the server, with one task; CPU with {MANY} tasks, in the program and in the server.</p>\
         <div class=\"wide\"><table><thead><tr><th></th><th>round<br>trips</th><th>sent</th><th>received</th>{units}\
         <th>CPU,<br>program</th><th>CPU,<br>server</th><th>commands</th></tr></thead><tbody>{rows}</tbody></table>\
         </div>{stored}</details>"
    )
}

fn cost(outcome: &Outcome, deed: Deed, kind: Kind) -> Option<String> {
    let cost = outcome.cost(deed)?;
    let traffic = &cost.traffic;
    let speed = outcome.speed(deed, MANY);
    let cpu = |figure: fn(&crate::compare::results::Sample) -> f64| {
        speed.map_or_else(|| "–".to_owned(), |speed| time(speed.of(figure)))
    };
    let units = if kind == Kind::DynamoDb {
        format!("<td>{:.1}</td><td>{:.1}</td>", traffic.read_units, traffic.write_units)
    } else {
        String::new()
    };
    Some(format!(
        "<tr><th><span class=\"dot {}\"></span>{}</th><td>{:.1}</td><td>{}</td><td>{}</td>{units}<td>{}</td><td>{}</td>\
         <td>{}</td></tr>",
        plot::class(outcome.facts.side),
        escape(&outcome.facts.name),
        traffic.round_trips,
        bytes(traffic.sent),
        bytes(traffic.received),
        cpu(|sample| sample.cpu),
        cpu(|sample| sample.server),
        escape(&calls(&cost.calls)),
    ))
}

/// The first error of each kind of request.
fn errors(all: &[&Outcome]) -> String {
    let mut lines = Vec::new();
    for outcome in all {
        let name = &outcome.facts.name;
        for speed in &outcome.speeds {
            if let Some(error) = &speed.first_error {
                let (deed, count) = (speed.deed.title(), speed.errors());
                lines.push(format!(
                    "{name}, {deed}, {} tasks: {count} errors; the first: {error}",
                    speed.tasks
                ));
            }
            if speed.refused() > 0 {
                let (deed, count) = (speed.deed.title(), speed.refused());
                lines.push(format!(
                    "{name}, {deed}, {} tasks: {count} log-ins were refused, as they presented an id that another \
                     log-in had just replaced (who holds an old id is not told the new one)",
                    speed.tasks
                ));
            }
        }
        for bursts in &outcome.bursts {
            if let Some(error) = &bursts.first_error {
                let (shape, mode, count) =
                    (bursts.shape.title(), bursts.mode.name(), bursts.failed());
                lines.push(format!("{name}, {shape}, {mode}: {count} errors; the first: {error}"));
            }
        }
        if let Some(found) = outcome.log_out.as_ref().filter(|found| found.refused > 0) {
            let (refused, saves) = (found.refused, found.saves);
            let error = found.first_error.as_deref().unwrap_or_default();
            lines.push(format!(
                "{name}, log-outs: {refused} of {saves} saves were refused; the first: {error}"
            ));
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    format!("<details><summary>Errors and refusals</summary>{}</details>", list(&lines))
}
