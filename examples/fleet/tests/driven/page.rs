//! What a person does with the page of the fleet, in headless Chromium.

use std::{fs, path::Path};

use crate::program::Running;
use example_driver::{Result, webdriver::Browser};

pub(crate) async fn a_person_plays_with_the_fleet() -> Result {
    let fleet = Running::start()?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fleet");
    fs::create_dir_all(&folder)?;
    let browser = Browser::start(&folder).await?;
    let played = play(&browser, &fleet.address, &folder).await;
    if played.is_err() {
        browser.screenshot(&folder.join("failed.png")).await?;
    }
    browser.quit().await?;
    played
}

async fn play(browser: &Browser, address: &str, folder: &Path) -> Result {
    browser.open(&format!("http://{address}/fleet")).await?;
    browser.wait_until(&rows("up", 4)).await?;

    browser.fill("#user", "ada").await?;
    browser.click("#login").await?;
    browser.wait_until("document.querySelector('#known').innerText.includes('ada')").await?;
    browser.fill("#name", "foobar").await?;
    browser.click("#store-name").await?;
    browser.wait_until(&answers(1)).await?;
    browser.click("#ask").await?;
    browser.wait_until(&format!("{} && {}", answers(11), different(4))).await?;

    browser.click("#instances tr:nth-child(2) .kill").await?;
    browser.wait_until(&rows("killed", 1)).await?;
    browser.run("document.querySelector('#answers').replaceChildren()").await?;
    browser.click("#ask").await?;
    browser.wait_until(&format!("{} && {}", answers(10), different(3))).await?;
    browser.screenshot(&folder.join("killed.png")).await?;
    browser.click("#instances tr:nth-child(2) .start").await?;
    browser.wait_until(&rows("up", 4)).await?;

    browser.click("#send").await?;
    browser.wait_until("document.querySelector('#counts dd')?.innerText > 200").await?;
    browser.screenshot(&folder.join("users.png")).await
}

/// So many instances are in this state.
fn rows(state: &str, number: usize) -> String {
    format!("document.querySelectorAll('#instances tr.{state}').length === {number}")
}

/// So many answers are there, and all of them have the name.
fn answers(number: usize) -> String {
    let lines = "[...document.querySelectorAll('#answers li')]";
    format!("{lines}.filter((line) => line.innerText.includes('foobar')).length === {number}")
}

/// The answers are from so many instances, which all name the same session.
fn different(instances: usize) -> String {
    let lines = "[...document.querySelectorAll('#answers li')]";
    format!("new Set({lines}.map((line) => line.innerText)).size === {instances}")
}
