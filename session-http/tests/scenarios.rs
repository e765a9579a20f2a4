//! The scenarios that every adapter is driven by, without any framework.

mod direct;

session_http::scenario_tests!(#[tokio::test], direct::Direct);
