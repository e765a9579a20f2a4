//! Plots as SVG, as wide as a phone: labels stand above what they name. Colours are the page's.

use super::escape;
use crate::compare::candidate::Side;

const WIDTH: f64 = 360.0;
const LEFT: f64 = 4.0;
const RIGHT: f64 = 356.0;
/// Of a row with its label.
const ROW: f64 = 34.0;
const TOP: f64 = 6.0;
const AXIS: f64 = 22.0;

pub(super) fn class(side: Side) -> &'static str {
    match side {
        Side::Ours => "ours",
        Side::Peer => "peer",
        Side::Bare => "bare",
    }
}

/// One bar.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) class: &'static str,
    pub(super) value: f64,
    /// Where the whisker begins and ends.
    pub(super) least: f64,
    pub(super) most: f64,
    /// What stands at the right end of the label's line.
    pub(super) text: String,
    /// Whether the text tells of something bad.
    pub(super) bad: bool,
}

/// Bars from nothing to the largest; `marks` are lines across all.
pub(super) fn bars(name: &str, bars: &[Bar], marks: &[(f64, &str)]) -> String {
    let most = bars.iter().map(|bar| bar.most.max(bar.value));
    let most = most.chain(marks.iter().map(|(at, _)| *at)).fold(0.0, f64::max).max(1e-9);
    let x = |value: f64| LEFT + (RIGHT - LEFT) * (value / most);
    let axis = if marks.is_empty() { 0.0 } else { AXIS };
    let bottom = TOP + ROW * bars.len() as f64;
    let mut svg = begin(name, bottom + axis);
    for (at, text) in marks {
        svg += &line("mark", x(*at), 0.0, x(*at), bottom);
        svg += &text_at("axis", x(*at), bottom + 14.0, anchor(x(*at)), text);
    }
    for (index, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * index as f64;
        svg += &labels(y, &bar.label, &bar.text, bar.bad);
        let (width, top) = ((x(bar.value) - LEFT).max(1.5), y + 16.0);
        svg += &format!(
            "<rect class=\"{}\" x=\"{LEFT}\" y=\"{top}\" width=\"{width:.1}\" height=\"10\" rx=\"2\"/>",
            bar.class
        );
        if bar.most > bar.least {
            svg += &line("whisker", x(bar.least), top + 5.0, x(bar.most), top + 5.0);
        }
    }
    svg + "</svg>"
}

/// A figure with its range, or several figures of one range.
pub(super) struct Mark {
    pub(super) class: &'static str,
    pub(super) least: f64,
    pub(super) most: f64,
    pub(super) dots: Vec<f64>,
}

pub(super) struct Row {
    pub(super) label: String,
    pub(super) text: String,
    pub(super) bad: bool,
    pub(super) marks: Vec<Mark>,
}

/// Ranges on a logarithmic axis; `ticks` are its lines.
pub(super) fn ranges(
    name: &str,
    rows: &[Row],
    ticks: &[(f64, String)],
    strong: Option<f64>,
) -> String {
    let ends = ticks.first().zip(ticks.last());
    let Some((least, most)) = ends.map(|(first, last)| (first.0.ln(), last.0.ln())) else {
        return String::new();
    };
    let x = |value: f64| {
        let part = (value.max(1e-9).ln() - least) / (most - least);
        LEFT + 6.0 + (RIGHT - LEFT - 12.0) * part.clamp(0.0, 1.0)
    };
    let heights: Vec<f64> = rows.iter().map(|row| 22.0 + 11.0 * row.marks.len() as f64).collect();
    let bottom = TOP + heights.iter().sum::<f64>();
    let mut svg = begin(name, bottom + AXIS);
    for (at, text) in ticks {
        let class = if strong == Some(*at) { "mark" } else { "grid" };
        svg += &line(class, x(*at), 0.0, x(*at), bottom);
        svg += &text_at("axis", x(*at), bottom + 14.0, anchor(x(*at)), text);
    }
    let mut y = TOP;
    for (row, height) in rows.iter().zip(heights) {
        svg += &labels(y, &row.label, &row.text, row.bad);
        for (index, mark) in row.marks.iter().enumerate() {
            let middle = y + 21.0 + 11.0 * index as f64;
            svg += &line(
                &format!("range {}", mark.class),
                x(mark.least),
                middle,
                x(mark.most),
                middle,
            );
            for (order, dot) in mark.dots.iter().enumerate() {
                let radius = if order == 0 { 4.5 } else { 2.5 };
                let class = mark.class;
                svg += &format!(
                    "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{middle:.1}\" r=\"{radius}\"/>",
                    x(*dot)
                );
            }
        }
        y += height;
    }
    svg + "</svg>"
}

/// A line of points, both axes logarithmic.
pub(super) struct Line {
    pub(super) label: String,
    pub(super) class: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

pub(super) fn lines(
    name: &str,
    lines: &[Line],
    across: &[(f64, String)],
    up: &[(f64, String)],
) -> String {
    const BOTTOM: f64 = 190.0;
    const AT_LEFT: f64 = 44.0;
    let place = |ticks: &[(f64, String)], value: f64| {
        let ends = ticks.first().zip(ticks.last());
        let (least, most) = ends.map_or((0.0, 1.0), |(a, b)| (a.0.ln(), b.0.ln()));
        if most > least { ((value.ln() - least) / (most - least)).clamp(0.0, 1.0) } else { 0.5 }
    };
    let x = |value: f64| AT_LEFT + (RIGHT - 10.0 - AT_LEFT) * place(across, value);
    let y = |value: f64| BOTTOM - (BOTTOM - 10.0) * place(up, value);
    let mut svg = begin(name, BOTTOM + AXIS);
    for (at, text) in across {
        svg += &text_at("axis", x(*at), BOTTOM + 14.0, "middle", text);
    }
    for (at, text) in up {
        svg += &line("grid", AT_LEFT, y(*at), RIGHT, y(*at));
        svg += &text_at("axis", AT_LEFT - 6.0, y(*at) + 4.0, "end", text);
    }
    for one in lines {
        let points: Vec<String> = one
            .points
            .iter()
            .map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value)))
            .collect();
        let (class, label) = (one.class, escape(&one.label));
        svg += &format!(
            "<polyline class=\"line {class}\" points=\"{}\"><title>{label}</title></polyline>",
            points.join(" ")
        );
        for (at, value) in &one.points {
            svg += &format!(
                "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>{label}</title></circle>",
                x(*at),
                y(*value)
            );
        }
    }
    svg + "</svg>"
}

fn begin(name: &str, height: f64) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\">",
        escape(name)
    )
}

fn labels(y: f64, label: &str, text: &str, bad: bool) -> String {
    let class = if bad { "figure bad" } else { "figure" };
    text_at("label", LEFT, y + 11.0, "start", label) + &text_at(class, RIGHT, y + 11.0, "end", text)
}

fn line(class: &str, x1: f64, y1: f64, x2: f64, y2: f64) -> String {
    format!("<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>")
}

fn text_at(class: &str, x: f64, y: f64, anchor: &str, text: &str) -> String {
    let text = escape(text);
    format!(
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    )
}

/// So that no text runs out of the plot.
fn anchor(x: f64) -> &'static str {
    match x {
        x if x < 48.0 => "start",
        x if x > WIDTH - 48.0 => "end",
        _ => "middle",
    }
}

/// The powers of ten around some figures, and their names.
pub(super) fn decades(
    figures: impl Iterator<Item = f64>,
    name: fn(f64) -> String,
) -> Vec<(f64, String)> {
    let (mut least, mut most) = (f64::MAX, 0.0_f64);
    for figure in figures.filter(|figure| *figure > 0.0) {
        (least, most) = (least.min(figure), most.max(figure));
    }
    if most <= 0.0 {
        return Vec::new();
    }
    let (from, to) = (least.log10().floor() as i32, most.log10().ceil() as i32);
    (from..=to.max(from + 1)).map(|power| (10_f64.powi(power), name(10_f64.powi(power)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(value: f64) -> Bar {
        let (label, text) = ("a < b".to_owned(), "1".to_owned());
        Bar { label, class: "ours", value, least: value, most: value, text, bad: false }
    }

    #[test]
    fn the_largest_bar_fills_the_width_and_half_of_it_the_half() {
        let svg = bars("speed", &[bar(100.0), bar(50.0)], &[]);
        assert!(svg.contains("width=\"352.0\"") && svg.contains("width=\"176.0\""), "{svg}");
        assert!(svg.contains("a &lt; b"));
    }

    #[test]
    fn decades_enclose_all_figures() {
        let ticks = decades([23.0, 4_500.0].into_iter(), |figure| format!("{figure}"));
        assert_eq!(ticks.iter().map(|tick| tick.0).collect::<Vec<_>>(), [10.0, 100.0, 1e3, 1e4]);
    }
}
