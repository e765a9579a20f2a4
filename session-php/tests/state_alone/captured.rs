//! What PHP 8.2 and 8.4 sent for a page, captured once, and the ids that they made of random bytes.

use std::{collections::BTreeMap, fs, path::Path};

use async_trait::async_trait;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde_json::{Value as Json, json};
use session_core::{Error, ErrorKind, FrozenClock, Operation, Timestamp};
use session_php::{
    PhpVersion, Settings,
    state::{
        HandlerName, PhpId, PhpSession, Random, Request, SaveHandler, Slots, StartOptions,
        create_id,
    },
};

fn testdata(file: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(file);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[derive(Debug)]
struct Given(Vec<u8>);

impl Random for Given {
    fn fill(&mut self, bytes: &mut [u8]) -> session_core::Result<()> {
        bytes.copy_from_slice(&self.0[..bytes.len()]);
        Ok(())
    }
}

#[test]
fn ids_are_made_of_random_bytes_as_php_makes_them() {
    let ids = testdata("ids.json");
    let vectors = ids["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 14);
    for vector in vectors {
        let number = |field: &str| vector[field].as_u64().unwrap();
        let random = HEXLOWER.decode(vector["random"].as_str().unwrap().as_bytes()).unwrap();
        let (length, bits) = (number("length"), u8::try_from(number("bits")).unwrap());
        let id = create_id(&mut Given(random), usize::try_from(length).unwrap(), bits).unwrap();
        assert_eq!(id.expose(), vector["id"].as_str().unwrap().as_bytes(), "{vector}");
    }
}

/// `files`, in memory.
#[derive(Debug, Default)]
struct Files {
    stored: BTreeMap<Vec<u8>, Bytes>,
}

#[async_trait]
impl SaveHandler for Files {
    fn name(&self) -> HandlerName {
        HandlerName::Module("files")
    }

    fn slots(&self) -> Slots {
        let mut slots = Slots::ALL;
        slots.create_sid = false;
        slots
    }

    async fn open(&mut self, _save_path: &str, _name: &str) -> session_core::Result<()> {
        Ok(())
    }

    async fn close(&mut self) -> session_core::Result<()> {
        Ok(())
    }

    async fn read(&mut self, id: &PhpId) -> session_core::Result<Bytes> {
        let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b',' | b'-');
        if !id.expose().iter().all(legal) {
            return Err(Error::new(ErrorKind::InvalidId, "files", Operation::Load));
        }
        Ok(self.stored.entry(id.expose().to_vec()).or_default().clone())
    }

    async fn write(&mut self, id: &PhpId, data: &Bytes, _: i64) -> session_core::Result<()> {
        self.stored.insert(id.expose().to_vec(), data.clone());
        Ok(())
    }

    async fn destroy(&mut self, id: &PhpId) -> session_core::Result<()> {
        self.stored.remove(id.expose());
        Ok(())
    }

    async fn gc(&mut self, _lifetime: i64) -> session_core::Result<Option<u64>> {
        Ok(Some(0))
    }

    async fn create_sid(&mut self) -> session_core::Result<PhpId> {
        unreachable!("there is no such slot")
    }

    async fn validate_sid(&mut self, id: &PhpId) -> session_core::Result<bool> {
        Ok(self.stored.contains_key(id.expose()))
    }

    async fn update_timestamp(&mut self, _: &PhpId, _: &Bytes, _: i64) -> session_core::Result<()> {
        Ok(())
    }
}

/// When the page of the captures was modified.
const MODIFIED: u64 = 1_700_000_000_000;

#[tokio::test]
async fn pages_of_php_8_2_get_the_captured_headers() {
    replay("http-php82.json", PhpVersion::V8_2).await;
}

#[tokio::test]
async fn pages_of_php_8_4_get_the_captured_headers() {
    replay("http-php84.json", PhpVersion::V8_4).await;
}

async fn replay(file: &str, version: PhpVersion) {
    let captured = testdata(file);
    let vectors = captured["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 39);
    for vector in vectors {
        page(vector, version).await;
    }
}

async fn page(vector: &Json, version: PhpVersion) {
    let text = |field: &str| vector[field].as_str().unwrap_or_default().to_owned();
    let name = text("name");
    let mut session = session(vector, version);
    let mut results = Vec::new();
    for step in text("steps").split(',') {
        // It went through a query and through `rawurldecode`.
        let (step, argument) = step.split_once(':').unwrap_or((step, ""));
        let argument = argument.replace("%252C", ",").replace("%2520", " ");
        let result = match step {
            "start" => session.start().await.is_ok(),
            "ro" => session.start_with(&StartOptions::read_and_close()).await.is_ok(),
            "regen" if argument == "1" => session.regenerate_id_and_delete().await.is_ok(),
            "regen" => session.regenerate_id().await.is_ok(),
            "destroy" => session.destroy().await.is_ok(),
            "close" => session.write_close().await.is_ok(),
            "id" => {
                session.set_id(&argument).unwrap();
                results.push(json!(["id", argument]));
                continue;
            }
            "set" => {
                session.data_mut().unwrap().insert("k", &argument).unwrap();
                continue;
            }
            "other" => continue,
            step => unreachable!("{step}"),
        };
        results.push(json!([step, result]));
    }
    assert_eq!(json!(results), vector["results"], "{name}");
    let said = session.take_diagnostics().pop().map(|last| last.to_string());
    assert_eq!(
        said.unwrap_or_default().replace("(path: )", "(path: SAVE)"),
        text("said"),
        "{name}"
    );
    let ours = session.id().map_or(String::new(), |id| String::from_utf8_lossy(id.expose()).into());
    // Ids that are made anew are no others than these.
    let same = |text: &str, id: &str| match id.len() {
        26 | 32 if id != "0123456789abcdef0123456789abcdef" => text.replace(id, "NEW"),
        _ => text.to_owned(),
    };
    assert_eq!(same(&ours, &ours), same(&text("id"), &text("id")), "{name}");
    let sid = String::from_utf8_lossy(session.sid().unwrap_or_default()).into_owned();
    assert_eq!(same(&sid, &ours), same(&text("sid"), &text("id")), "{name}");
    let headers: Vec<String> = session
        .headers()
        .map(|(header, value)| undated(&same(&format!("{header}: {value}"), &ours)))
        .collect();
    let theirs: Vec<String> = vector["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| undated(&same(line.as_str().unwrap(), &text("id"))))
        .filter(|line| line != "Set-Cookie: other=1")
        .collect();
    assert_eq!(headers, theirs, "{name}");
}

fn session(vector: &Json, version: PhpVersion) -> PhpSession<Files> {
    let mut settings = Settings::new(version);
    if version == PhpVersion::V8_2 {
        // What the files php.ini-* set until 8.3.
        (settings.sid_length, settings.sid_bits_per_character) = (26, 5);
    }
    settings.gc_probability = 0;
    for (name, value) in vector["ini"].as_object().unwrap() {
        // A lifetime below zero is refused.
        let set =
            settings.set(session_php::settings::Stage::Startup, name, value.as_str().unwrap());
        assert_eq!(set.is_err(), value == "-5", "{name} {value}");
    }
    let cookies = vector["cookie"].as_str().unwrap_or_default();
    let mut request = Request::with_cookies(cookies);
    request.query = vector["query"].as_str().unwrap().into();
    request.last_modified = Some(Timestamp::from_millis(MODIFIED));
    let mut files = Files::default();
    // Earlier pages of the capture had left this one.
    files.stored.insert(b"0123456789abcdef0123456789abcdef".to_vec(), Bytes::new());
    let clock = FrozenClock::new(Timestamp::from_millis(1_763_700_000_000));
    PhpSession::new(files, settings, request).with_clock(clock)
}

/// Without the time at which the page was asked for; `difference` has the times.
fn undated(header: &str) -> String {
    match header.find(" 2026 ").or_else(|| header.find(" 2025 ")) {
        Some(year) => format!("{}{}", &header[..year - 11], &header[year + 18..]),
        None => header.to_owned(),
    }
}
