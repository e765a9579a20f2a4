//! As much of the WebDriver protocol as the page needs.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use data_encoding::BASE64;
use http_body_util::Full;
use hyper::{
    Method, Request,
    header::{CONTENT_TYPE, HOST},
};
use serde_json::{Value, json};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use crate::{
    Result,
    client::exchange,
    ensure,
    program::{PATIENCE, Program, find},
};

/// The key under which the protocol returns an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

const BROWSERS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// Quiet on the network, and able to run as root and with a small `/dev/shm`. The only page it
/// sees is ours.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--window-size=1100,1000",
];

/// A program that is not installed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Missing {
    /// Its name.
    pub program: &'static str,
}

/// A headless Chromium with one window.
#[derive(Debug)]
pub struct Browser {
    driver: Program,
    session: String,
}

impl Browser {
    /// Where the driver and the browser are.
    pub fn find() -> std::result::Result<(PathBuf, PathBuf), Missing> {
        let driver = find("chromedriver").ok_or(Missing { program: "chromedriver" })?;
        let browser = BROWSERS.iter().find_map(|name| find(name));
        Ok((driver, browser.ok_or(Missing { program: "chromium" })?))
    }

    /// Starts a browser that remembers nothing; its profile and log go to `folder`.
    pub async fn start(folder: &Path) -> Result<Self> {
        let (driver, browser) = Self::find().map_err(|missing| format!("{missing:?}"))?;
        let mut command = Command::new(driver);
        let log = folder.join("chromedriver.log");
        let driver = Program::start(command.arg("--port=0"), &log, port).await?;
        let mut arguments: Vec<String> = FLAGS.iter().map(ToString::to_string).collect();
        arguments.push(format!("--user-data-dir={}", folder.join("profile").display()));
        let options = json!({ "binary": browser, "args": arguments });
        let wanted =
            json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let answer = call(driver.address, Method::POST, "/session", &wanted).await?;
        let session = answer.get("sessionId").and_then(Value::as_str).ok_or("no session")?;
        Ok(Self { session: session.to_owned(), driver })
    }

    /// Opens a page and waits until it is loaded.
    pub async fn open(&self, url: &str) -> Result {
        self.post("/url", &json!({ "url": url })).await.map(drop)
    }

    /// Clicks, as a person would: the element must be there and in sight.
    pub async fn click(&self, css: &str) -> Result {
        let element = self.element(css).await?;
        self.post(&format!("/element/{element}/click"), &json!({})).await.map(drop)
    }

    /// Types into a field that is emptied before.
    pub async fn fill(&self, css: &str, text: &str) -> Result {
        let element = self.element(css).await?;
        self.post(&format!("/element/{element}/clear"), &json!({})).await?;
        self.post(&format!("/element/{element}/value"), &json!({ "text": text })).await.map(drop)
    }

    /// Runs a function body in the page and returns what it returns.
    pub async fn run(&self, script: &str) -> Result<Value> {
        self.post("/execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// All cookies for this page, also those that its scripts cannot see.
    pub async fn cookies(&self) -> Result<Vec<Value>> {
        let cookies = self.get("/cookie").await?;
        Ok(cookies.as_array().cloned().unwrap_or_default())
    }

    /// Waits until an expression holds in the page.
    pub async fn wait_until(&self, expression: &str) -> Result {
        let deadline = Instant::now() + PATIENCE / 2;
        let script = format!("return Boolean({expression})");
        while self.run(&script).await? != Value::Bool(true) {
            if Instant::now() > deadline {
                let page = self.run("return document.body.innerText").await?;
                return Err(format!("waited in vain until {expression}; the page: {page}").into());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Writes what is to be seen into a PNG file.
    pub async fn screenshot(&self, file: &Path) -> Result {
        let image = self.get("/screenshot").await?;
        let image = image.as_str().ok_or("no image")?;
        Ok(fs::write(file, BASE64.decode(image.as_bytes())?)?)
    }

    /// Ends the browser. (Dropping ends only its driver.)
    pub async fn quit(self) -> Result {
        self.call(Method::DELETE, "", &Value::Null).await.map(drop)
    }

    async fn element(&self, css: &str) -> Result<String> {
        let found =
            self.post("/element", &json!({ "using": "css selector", "value": css })).await?;
        let id = found.get(ELEMENT).and_then(Value::as_str);
        Ok(id.ok_or_else(|| format!("no element {css}"))?.to_owned())
    }

    async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, &Value::Null).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::POST, path, body).await
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        call(self.driver.address, method, &format!("/session/{}{path}", self.session), body).await
    }
}

/// Sends one command and returns the value of its answer.
async fn call(to: SocketAddr, method: Method, path: &str, body: &Value) -> Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, to.to_string())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::from(body))?;
    let reply = exchange(to, request).await?;
    let value = reply.json()?.get("value").cloned().unwrap_or_default();
    let message = || format!("{path}: {}", value.get("message").unwrap_or(&value));
    ensure(reply.status.is_success(), message)?;
    Ok(value)
}

/// Reads `ChromeDriver was started successfully on port 9515.`
fn port(line: &str) -> Option<u16> {
    let (_, port) = line.split_once("started successfully on port ")?;
    port.trim_end_matches('.').parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_port_is_read_from_the_line() {
        let line = "ChromeDriver was started successfully on port 9515.";
        assert_eq!(super::port(line), Some(9515));
    }
}
