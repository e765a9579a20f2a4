//! The program as somebody starts it in a terminal, with a real PHP.

#![expect(clippy::expect_used, reason = "a panic is a report")]

use std::{
    error::Error,
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
};

use example_driver::{
    Result,
    client::{Client, StatusCode},
    transcript,
    webdriver::Browser,
};
use libtest_mimic::{Arguments, Trial};
use test_servers::{
    php,
    redis::{Options, Server},
    trial,
};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

const SIDES: [(&str, &str); 2] = [("php", "PHP"), ("rust", "Rust")];
/// How many count at once on each side.
const AT_ONCE: usize = 8;

fn main() -> ExitCode {
    let browser = || {
        let missing = Browser::find().err()?.program;
        Some(format!("{missing} is not installed; `cargo xtask setup` installs it"))
    };
    let mut trials = vec![
        test("the_transcript_is_true", &["php"], Place::Files.missing(), the_transcript_is_true),
        test(
            "a_person_goes_to_and_fro",
            &["browser", "php"],
            Place::Files.missing().or_else(browser),
            a_person_goes_to_and_fro,
        ),
    ];
    for place in [Place::Files, Place::Redis] {
        let (words, missing) = (place.words(), || place.missing());
        let named = |what: &str| format!("{place:?}::{what}").to_lowercase();
        trials.extend([
            test(&named("both_sides_count_in_one_session"), words, missing(), async move || {
                counts(&Running::start(place).await?).await
            }),
            test(
                &named("a_log_in_on_one_side_is_one_on_the_other"),
                words,
                missing(),
                async move || log_ins(&Running::start(place).await?).await,
            ),
            test(&named("a_log_out_on_one_side_ends_both"), words, missing(), async move || {
                log_outs(&Running::start(place).await?).await
            }),
        ]);
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn test(
    name: &str,
    words: &'static [&'static str],
    missing: Option<String>,
    play: impl AsyncFnOnce() -> Result + Send + 'static,
) -> Trial {
    trial(name, words, missing, move || async {
        play().await.map_err(|error| error as Box<dyn Error>)
    })
}

/// Where PHP's settings say that sessions are.
#[derive(Debug, Clone, Copy)]
enum Place {
    Files,
    Redis,
}

impl Place {
    const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Files => &["php"],
            Self::Redis => &["php", "redis"],
        }
    }

    fn missing(self) -> Option<String> {
        match self {
            Self::Files => php::missing(&["session"]),
            Self::Redis => php::missing(&["redis"]).or_else(|| Server::missing(&Options::redis())),
        }
    }
}

/// The program. Dropping it stops it.
struct Running {
    child: Child,
    address: SocketAddr,
    _redis: Option<Server>,
}

impl Running {
    async fn start(place: Place) -> Result<Self> {
        let redis = match place {
            Place::Files => None,
            Place::Redis => Some(Server::start(&Options::redis()).await?),
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_example-php-and-rust"));
        command
            .env("PORT", "0")
            .env_remove("PHP_SESSION_SAVE_HANDLER")
            .env_remove("PHP_SESSION_SAVE_PATH");
        if let Some(redis) = &redis {
            let path = format!("tcp://127.0.0.1:{}", redis.port());
            command.env("PHP_SESSION_SAVE_HANDLER", "redis").env("PHP_SESSION_SAVE_PATH", path);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line)?;
        let address = line.trim_end().rsplit('/').next().unwrap_or_default().parse()?;
        Ok(Self { child, address, _redis: redis })
    }
}

impl Drop for Running {
    /// Gently, so that nothing is left of its folder.
    fn drop(&mut self) {
        drop(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status());
        drop(self.child.wait());
    }
}

/// What a page shows.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    status: String,
    count: String,
    by: String,
    session: String,
}

async fn shown(program: &Running, client: &Client, side: &str) -> Result<Shown> {
    let page = client.get(program.address, &format!("/{side}/")).await?;
    let page = String::from_utf8(page.body.to_vec())?;
    let text = |id: &str| {
        let after = page.split_once(&format!("id=\"{id}\""))?.1.split_once('>')?.1;
        Some(after.split_once('<')?.0.to_owned())
    };
    let shown = || {
        let (status, count) = (text("status")?, text("count")?);
        Some(Shown { status, count, by: text("by")?, session: text("session")? })
    };
    Ok(shown().ok_or_else(|| format!("not the page: {page}"))?)
}

/// What both sides show, which must be the same.
async fn on_both(program: &Running, client: &Client) -> Result<Shown> {
    let php = shown(program, client, "php").await?;
    assert_eq!(php, shown(program, client, "rust").await?, "PHP's page and Rust's");
    Ok(php)
}

async fn post(program: &Running, client: &mut Client, path: &str, form: &str) -> Result {
    let reply = client.post_and_keep(program.address, path, form).await?;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{path}: {:?}", reply.body);
    // So PHP writes a cookie that is removed.
    client.cookie.take_if(|cookie| cookie.ends_with("=deleted"));
    Ok(())
}

async fn counts(program: &Running) -> Result {
    let mut client = Client::new();
    assert_eq!(on_both(program, &client).await?.session, "none yet");
    for (number, (side, name)) in [SIDES, SIDES].concat().into_iter().enumerate() {
        post(program, &mut client, &format!("/{side}/count"), "").await?;
        let shown = on_both(program, &client).await?;
        assert_eq!((shown.count, shown.by.as_str()), ((number + 1).to_string(), name));
    }
    let clicks = SIDES.into_iter().cycle().take(2 * AT_ONCE).map(|(side, _)| {
        let (client, address) = (client.clone(), program.address);
        tokio::spawn(async move { client.post(address, &format!("/{side}/count"), "").await })
    });
    for click in clicks.collect::<Vec<_>>() {
        assert_eq!(click.await??.status, StatusCode::SEE_OTHER);
    }
    assert_eq!(on_both(program, &client).await?.count, (4 + 2 * AT_ONCE).to_string());
    Ok(())
}

async fn log_ins(program: &Running) -> Result {
    for (side, name) in SIDES {
        for begun_by in SIDES.map(|(side, _)| side) {
            let mut client = Client::new();
            post(program, &mut client, &format!("/{begun_by}/count"), "").await?;
            let before = on_both(program, &client).await?;
            let planted = client.clone();
            post(program, &mut client, &format!("/{side}/login"), "user=Ada+%3CLovelace%3E")
                .await?;
            let after = on_both(program, &client).await?;
            assert_eq!(after.status, "You are Ada &lt;Lovelace&gt;");
            assert_eq!((after.count.as_str(), after.by.as_str()), ("1", name));
            assert_ne!((&planted.cookie, &before.session), (&client.cookie, &after.session));
            let nobody = on_both(program, &planted).await?;
            assert_eq!(
                (nobody.status.as_str(), nobody.session.as_str()),
                ("Nobody is logged in", "none yet")
            );
        }
    }
    Ok(())
}

async fn log_outs(program: &Running) -> Result {
    for (side, _) in SIDES {
        for begun_by in SIDES.map(|(side, _)| side) {
            let mut client = Client::new();
            post(program, &mut client, &format!("/{begun_by}/login"), "user=ada").await?;
            assert_eq!(on_both(program, &client).await?.status, "You are ada");
            let thief = client.clone();
            post(program, &mut client, &format!("/{side}/logout"), "").await?;
            assert_eq!(client.cookie, None, "{side} left the cookie");
            for client in [client, thief] {
                let shown = on_both(program, &client).await?;
                assert_eq!(
                    (shown.status.as_str(), shown.count.as_str()),
                    ("Nobody is logged in", "0")
                );
            }
        }
    }
    Ok(())
}

async fn the_transcript_is_true() -> Result {
    let program = Running::start(Place::Files).await?;
    let folder = tempfile::tempdir()?;
    transcript::is_true(Path::new(README), program.address, folder.path()).await
}

/// Takes a picture of each side.
async fn a_person_goes_to_and_fro() -> Result {
    let program = Running::start(Place::Files).await?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("php-and-rust");
    fs::create_dir_all(&folder)?;
    let browser = Browser::start(&folder).await?;
    let played = play(&browser, program.address, &folder).await;
    if played.is_err() {
        browser.screenshot(&folder.join("failed.png")).await?;
    }
    browser.quit().await?;
    played
}

async fn play(browser: &Browser, address: SocketAddr, folder: &Path) -> Result {
    browser.open(&format!("http://{address}/")).await?;
    browser.wait_until(&has("side", "Rust")).await?;
    browser.fill("#user", "Ada").await?;
    browser.click("#login").await?;
    browser.wait_until(&has("status", "You are Ada")).await?;
    browser.click("#count-button").await?;
    browser.wait_until(&has("count", "1")).await?;
    browser.screenshot(&folder.join("rust.png")).await?;

    browser.click("#other").await?;
    browser.wait_until(&format!("{} && {}", has("side", "PHP"), has("by", "Rust"))).await?;
    browser.click("#count-button").await?;
    browser.wait_until(&format!("{} && {}", has("count", "2"), has("by", "PHP"))).await?;
    browser.screenshot(&folder.join("php.png")).await?;
    browser.click("#logout").await?;
    browser.wait_until(&has("status", "Nobody is logged in")).await?;
    browser.click("#other").await?;
    browser.wait_until(&format!("{} && {}", has("side", "Rust"), has("count", "0"))).await
}

/// Whether an element has this text.
fn has(id: &str, text: &str) -> String {
    format!("document.querySelector('#{id}')?.innerText === '{text}'")
}
