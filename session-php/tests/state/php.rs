//! Scripts in real PHP.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value as Json, json};
use session_php::PhpVersion;
use test_servers::{Result, php::Site};

use crate::draw::{Op, Script};

/// What is seen of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Step {
    pub(crate) calls: Vec<String>,
    pub(crate) says: Vec<String>,
    pub(crate) gives: String,
    pub(crate) state: String,
}

/// What is seen of a script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Played {
    pub(crate) steps: Vec<Step>,
    pub(crate) headers: Vec<String>,
    /// When each operation ran, in seconds.
    pub(crate) times: Vec<u64>,
}

/// A PHP that plays scripts.
#[derive(Debug)]
pub(crate) struct Php {
    site: Site,
    pub(crate) version: PhpVersion,
    pub(crate) script_modified: u64,
}

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/state");
const PAGES: [&str; 3] = ["page.php", "settings.php", "version.php"];
/// Debian compiles other defaults in; and it must not be drawn whether garbage is collected.
const SETTINGS: [&str; 3] = ["session.save_path=", "session.gc_probability=0", "html_errors=0"];
const SEEN: [&str; 5] = ["set-cookie", "expires", "cache-control", "pragma", "last-modified"];

impl Php {
    pub(crate) async fn start() -> Result<Self> {
        let pages = PAGES.map(|page| Path::new(FOLDER).join(page));
        let site = Site::start(&pages.each_ref().map(PathBuf::as_path), &SETTINGS).await?;
        let modified = fs::metadata(site.folder().join("page.php"))?.modified()?;
        let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
        let version = version(&site)?;
        Ok(Self { site, version, script_modified: since.as_secs() })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.site.folder()
    }

    /// Leaves a job for the next page.
    pub(crate) fn give(&self, job: &Json) {
        fs::write(self.folder().join("job.json"), job.to_string()).unwrap();
    }

    pub(crate) fn ask(&self, request: &[u8]) -> String {
        String::from_utf8_lossy(&self.site.exchange(request).unwrap()).into_owned()
    }

    /// Plays a script; again when a second went by during an operation, so that it is known when it ran.
    pub(crate) fn play(&self, script: &Script) -> Played {
        (0..20).find_map(|_| self.play_once(script)).unwrap()
    }

    fn play_once(&self, script: &Script) -> Option<Played> {
        self.give(&job(script));
        let answer = self.ask(&request(script));
        let head = answer.split("\r\n\r\n").next().unwrap();
        let is_seen = |line: &&str| {
            let name = line.split(':').next().unwrap().to_ascii_lowercase();
            SEEN.contains(&name.as_str())
        };
        let headers = head.lines().filter(is_seen).map(str::to_owned).collect();
        let transcript = fs::read_to_string(self.folder().join("transcript")).unwrap();
        read(&transcript, headers).unwrap_or_else(|| unreachable!("{answer}\n{transcript}"))
    }
}

/// Which PHP answers. Newer ones than are known are taken for the newest that was compared.
fn version(site: &Site) -> Result<PhpVersion> {
    let request = b"GET /version.php HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = String::from_utf8_lossy(&site.exchange(request)?).into_owned();
    let version = answer.rsplit("\r\n").next().unwrap_or_default();
    Ok(match version.get(..4) {
        Some("8.2.") => PhpVersion::V8_2,
        Some("8.3.") => PhpVersion::V8_3,
        _ => PhpVersion::V8_4,
    })
}

/// Nothing within when a second went by; nothing at all when it makes no sense.
fn read(transcript: &str, headers: Vec<String>) -> Option<Option<Played>> {
    let mut played = Played { headers, ..Played::default() };
    for line in transcript.lines() {
        let (word, rest) = line.split_once(' ')?;
        if word == "op" {
            played.steps.push(Step::default());
            played.times.push(rest.split(' ').nth(1)?.parse().ok()?);
            continue;
        }
        let step = played.steps.last_mut()?;
        match word {
            "call" => step.calls.push(rest.to_owned()),
            "says" => step.says.push(rest.to_owned()),
            "gives" => step.gives = rest.to_owned(),
            "state" => step.state = rest.to_owned(),
            "time" if rest.parse() == Ok(*played.times.last()?) => {}
            "time" => return Some(None),
            _ => return None,
        }
    }
    Some(Some(played))
}

fn request(script: &Script) -> Vec<u8> {
    let query = script.query.as_deref().unwrap_or_default();
    let method = if script.form.is_some() { "POST" } else { "GET" };
    let mut request = format!("{method} /page.php?{query} HTTP/1.1\r\nHost: localhost\r\n");
    let mut header = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            request += &format!("{name}: {value}\r\n");
        }
    };
    header("Cookie", &script.cookies);
    header("Referer", &script.referer);
    let form = script.form.as_deref().unwrap_or_default();
    if script.form.is_some() {
        header("Content-Type", &Some("application/x-www-form-urlencoded".to_owned()));
        header("Content-Length", &Some(form.len().to_string()));
    }
    format!("{request}Connection: close\r\n\r\n{form}").into_bytes()
}

fn job(script: &Script) -> Json {
    let pairs = |pairs: &[(Vec<u8>, Vec<u8>)]| -> Vec<[String; 2]> {
        pairs.iter().map(|(name, value)| [encoded(name), encoded(value)]).collect()
    };
    json!({
        "handler": script.handler.class(),
        "store": pairs(&script.store),
        "ids": script.ids.iter().map(|id| encoded(id.as_bytes())).collect::<Vec<_>>(),
        "fails": script.fails,
        "ops": script.ops.iter().map(op).collect::<Vec<_>>(),
    })
}

fn op(op: &Op) -> Json {
    let named = |op: &str, name: &str, text: &str| json!({ "op": op, "name": encoded(name.as_bytes()), "text": encoded(text.as_bytes()) });
    let with = |op: &str, text: &str| json!({ "op": op, "text": encoded(text.as_bytes()) });
    match op {
        Op::Start { read_and_close, settings } => {
            let encoded = |text: &String| encoded(text.as_bytes());
            let settings: Vec<_> =
                settings.iter().map(|(name, value)| [encoded(name), encoded(value)]).collect();
            json!({ "op": "start", "read_and_close": read_and_close, "settings": settings })
        }
        Op::WriteClose => json!({ "op": "write_close" }),
        Op::Abort => json!({ "op": "abort" }),
        Op::Reset => json!({ "op": "reset" }),
        Op::Regenerate { delete: false } => json!({ "op": "regenerate" }),
        Op::Regenerate { delete: true } => json!({ "op": "regenerate_delete" }),
        Op::Destroy => json!({ "op": "destroy" }),
        Op::Unset => json!({ "op": "unset" }),
        Op::Gc => json!({ "op": "gc" }),
        Op::Encode => json!({ "op": "encode" }),
        Op::SendHeaders => json!({ "op": "send_headers" }),
        Op::SetId(id) => with("set_id", id),
        Op::CreateId(prefix) => with("create_id", prefix),
        Op::SetName(name) => with("set_name", name),
        Op::Decode(data) => with("decode", data),
        Op::IniSet(name, value) => named("ini_set", name, value),
        Op::Set(name, value) => named("set", name, value),
        Op::Remove(name) => named("remove", name, ""),
    }
}

/// `rawurlencode`
pub(crate) fn encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        match byte {
            b'-' | b'_' | b'.' | b'~' => out.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(*byte)),
            byte => out += &format!("%{byte:02X}"),
        }
        out
    })
}
