//! The page, which talks to the shop by script.

use axum::{
    Router,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};

pub(crate) fn router() -> Router {
    Router::new()
        .route("/", get(|| file("text/html; charset=utf-8", include_str!("page/index.html"))))
        .route("/style.css", get(|| file("text/css", include_str!("page/style.css"))))
        .route("/script.js", get(|| file("text/javascript", include_str!("page/script.js"))))
}

async fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, "default-src 'self'; img-src data:; frame-ancestors 'none'"),
    ];
    (headers, text)
}
