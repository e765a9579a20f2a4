//! What a person does with the page of an example, in headless Chromium.

use std::net::SocketAddr;

use serde_json::Value;

use crate::{
    Example, Result, client::Client, ensure, fleet::Fleet, scenario::expect_refused,
    webdriver::Browser,
};

/// Logs in, edits the cart five times at once, goes on at the other instance, counts, logs out;
/// takes a picture of each state.
pub(crate) async fn a_person_uses_the_page(example: Example, fleet: Fleet) -> Result {
    let browser = Browser::start(fleet.folder()).await?;
    let visit = Visit { example: &example, fleet: &fleet, browser: &browser };
    let outcome = visit.all().await;
    if outcome.is_err() {
        visit.picture("failed").await?;
    }
    browser.quit().await?;
    outcome
}

struct Visit<'a> {
    example: &'a Example,
    fleet: &'a Fleet,
    browser: &'a Browser,
}

impl Visit<'_> {
    async fn all(&self) -> Result {
        self.open(self.fleet.a.address(), "a").await?;
        self.picture("1-before").await?;
        self.log_in().await?;
        self.fill_the_cart().await?;
        self.go_on_elsewhere().await?;
        self.log_out().await
    }

    async fn log_in(&self) -> Result {
        self.browser.fill("#user", "ada").await?;
        self.browser.click("#login").await?;
        self.until("#status", "ada").await?;
        let cookies = self.browser.cookies().await?;
        let [cookie] = cookies.as_slice() else {
            return Err(format!("cookies {cookies:?}").into());
        };
        let hidden = cookie.get("httpOnly") == Some(&Value::Bool(true));
        let same_site = cookie.get("sameSite").and_then(Value::as_str);
        ensure(hidden && same_site.is_some_and(|site| site != "None"), || format!("{cookie}"))
    }

    async fn fill_the_cart(&self) -> Result {
        self.browser.click("#cart-add-five").await?;
        self.until_items(5).await?;
        self.picture("2-cart").await
    }

    async fn go_on_elsewhere(&self) -> Result {
        self.open(self.fleet.b.address(), "b").await?;
        self.until("#status", "ada").await?;
        self.until_items(5).await?;
        self.browser.click("#count-button").await?;
        self.until("#count", "1").await?;
        self.picture("3-other-instance").await
    }

    async fn log_out(&self) -> Result {
        let old = self.cookie().await?;
        self.browser.click("#logout").await?;
        self.browser
            .wait_until("!document.querySelector('#status').innerText.includes('ada')")
            .await?;
        self.until_items(0).await?;
        self.picture("4-after").await?;
        ensure(self.browser.cookies().await?.is_empty(), || {
            "the cookie is still there".to_owned()
        })?;
        expect_refused(self.fleet, &Client::presenting(old)).await
    }

    async fn open(&self, address: SocketAddr, name: &str) -> Result {
        self.browser.open(&format!("http://{address}/")).await?;
        self.until("#instance", name).await
    }

    async fn until(&self, css: &str, text: &str) -> Result {
        let shown = format!("document.querySelector('{css}')?.innerText.includes('{text}')");
        self.browser.wait_until(&shown).await
    }

    async fn until_items(&self, number: usize) -> Result {
        let shown = format!("document.querySelectorAll('#cart li').length === {number}");
        self.browser.wait_until(&shown).await
    }

    /// The session cookie as the browser would send it.
    async fn cookie(&self) -> Result<String> {
        let cookies = self.browser.cookies().await?;
        let text = |key| cookies.first()?.get(key)?.as_str();
        match (text("name"), text("value")) {
            (Some(name), Some(value)) => Ok(format!("{name}={value}")),
            _ => Err("no cookie".into()),
        }
    }

    async fn picture(&self, name: &str) -> Result {
        self.browser
            .screenshot(
                &self
                    .example
                    .folder()
                    .with_file_name(format!("{}-{name}.png", self.example.name())),
            )
            .await
    }
}
