//! The page, as Rust's side shows it.

use axum::{
    Router,
    http::header::{CONTENT_TYPE, HeaderName},
    response::Html,
    routing::get,
};
use example_common::PAGE;

const TEMPLATE: &str = include_str!("page.html");

/// What is known of the visitor.
pub(crate) struct Shown {
    pub(crate) user: Option<String>,
    pub(crate) count: u64,
    pub(crate) by: Option<String>,
    pub(crate) session: Option<String>,
}

pub(crate) fn page(shown: &Shown) -> Html<String> {
    let or = |text: &Option<String>, other: &str| escaped(text.as_deref().unwrap_or(other));
    let status = match &shown.user {
        Some(user) => format!("You are {}", escaped(user)),
        None => "Nobody is logged in".to_owned(),
    };
    let page = TEMPLATE
        .replace("{status}", &status)
        .replace("{count}", &shown.count.to_string())
        .replace("{by}", &or(&shown.by, "nobody"))
        .replace("{session}", &or(&shown.session, "none yet"));
    Html(page)
}

/// The style of the other examples' page.
pub(crate) fn style() -> Router {
    let style = PAGE.into_iter().filter(|file| file.kind == "text/css");
    style.fold(Router::new(), |router, file| {
        let headers: [(HeaderName, &str); 1] = [(CONTENT_TYPE, file.kind)];
        router.route(file.path, get(move || async move { (headers, file.text) }))
    })
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#039;"),
            // No name of a place in the template.
            '{' => escaped.push_str("&#123;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_and_not_obeyed() {
        let user = Some("<b>{count}</b>".to_owned());
        let Html(page) = page(&Shown { user, count: 7, by: None, session: None });
        assert!(page.contains("You are &lt;b&gt;&#123;count}&lt;/b&gt;"), "{page}");
        assert!(!page.contains("{status}") && page.contains(">7<"), "{page}");
    }
}
