//! The page, which talks to the shop by script.

/// A file of the page.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PageFile {
    /// Where it is found.
    pub path: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// What is in it.
    pub text: &'static str,
}

/// The `Content-Security-Policy` of the page.
pub const PAGE_POLICY: &str = "default-src 'self'; img-src data:; frame-ancestors 'none'";

/// All files of the page.
pub const PAGE: [PageFile; 3] = [
    PageFile { path: "/", kind: "text/html; charset=utf-8", text: include_str!("page/index.html") },
    PageFile { path: "/style.css", kind: "text/css", text: include_str!("page/style.css") },
    PageFile { path: "/script.js", kind: "text/javascript", text: include_str!("page/script.js") },
];
