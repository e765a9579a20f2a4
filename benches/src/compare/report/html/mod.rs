//! The page: one file without anything from elsewhere.

mod parts;
mod place;
mod plot;

use super::change::Changes;
use crate::compare::results::Results;

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(super) fn page(results: &Results, changes: Option<(&str, &Changes)>) -> String {
    let mut body = head(results);
    body += &parts::verdict(results);
    body += HOW_TO_READ;
    if let Some((date, changes)) = changes {
        body += &parts::changes(date, changes);
    }
    body += &parts::correctness(results);
    body += &parts::headline(results);
    body += &parts::pages(results);
    for kind in results.kinds() {
        body += &place::section(results, kind);
    }
    body += &parts::further(results);
    body += &parts::what_was_run(results);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Session stores compared, {}</title><style>{STYLE}</style></head>\
         <body><main>{body}</main></body></html>\n",
        escape(&results.date)
    )
}

fn head(results: &Results) -> String {
    let (settings, machine) = (&results.settings, &results.machine);
    let links: String = results
        .kinds()
        .map(|kind| format!("<a href=\"#{}\">{}</a>", kind.word(), kind.title()))
        .collect();
    let ours = results.kinds().filter(|kind| results.ours(*kind).is_some()).count();
    let all = results.outcomes.len();
    format!(
        "<h1>Session stores compared</h1>\
         <p>The session handle of this project on {ours} stores, beside other libraries and beside the bare \
         client of each server: {all} candidates, which all did the same requests of an application, in turn, \
         on one machine.</p>\
         <p class=\"soft\">{} · {} · {} cores · Linux {} · {} rounds of {} ms · {} sessions of {} bytes · \
         {:.0} s in all</p>\
         <nav><a href=\"#needs\">Verdict</a><a href=\"#kept\">What is kept</a><a href=\"#ratios\">Ratios</a>\
         <a href=\"#pages\">Pages</a>{links}<a href=\"#run\">What was run</a></nav>",
        escape(&results.date),
        escape(&machine.processor),
        machine.cores,
        escape(&machine.kernel),
        settings.rounds,
        settings.slice,
        settings.sessions,
        settings.bytes,
        results.seconds,
    )
}

const HOW_TO_READ: &str = "<details open><summary>How to read this</summary>\
<p>A <em>request</em> is what one request of an application does with its session: it opens the session by the \
id from its cookie, reads or changes an entry, and saves. So one request is one or more round trips to the \
server.</p>\
<div class=\"legend\"><span><span class=\"dot ours\"></span>ours</span><span><span class=\"dot peer\"></span>\
other libraries</span><span><span class=\"dot bare\"></span>the bare client: the server's commands and nothing \
else</span></div>\
<p><strong>Absolute figures are of this machine</strong>, on which servers and clients share the cores. What \
carries over to others are ratios: between candidates that ran in turn, round by round. Where ranges of \
rounds overlap, the difference is noise.</p>\
<p>Speed alone says little: a library that overwrites what others have saved is fast. So each library is also \
asked what is left of updates made at once, and whether a session is alive after its log-out. What was lost is \
<span style=\"color:var(--bad)\">red</span>.</p></details>";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Sentences as a list, or nothing.
fn list(lines: &[String]) -> String {
    let lines: String = lines.iter().map(|line| format!("<li>{}</li>", escape(line))).collect();
    if lines.is_empty() { lines } else { format!("<ul>{lines}</ul>") }
}

/// A card of the grid.
fn card(title: &str, content: &str) -> String {
    format!(
        "<figure class=\"card\" style=\"margin:0\"><h3>{}</h3>{content}</figure>",
        escape(title)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::tests::results;

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let mut results = results();
        results.outcomes[0].facts.name = "a <b>".to_owned();
        let page = page(&results, None);
        assert!(page.contains("a &lt;b&gt;") && !page.contains("a <b>"));
        for elsewhere in ["http://", "https://", "<script", "<link", "<img", "url("] {
            assert!(!page.contains(elsewhere), "{elsewhere}");
        }
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }
}
