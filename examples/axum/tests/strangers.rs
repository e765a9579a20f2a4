//! Robots probe every site: what they ask for must cost nothing and leave nothing behind.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use session::core::SessionId;

/// A bound against hanging, not an expectation.
const PATIENCE: Duration = Duration::from_secs(30);

struct Program {
    child: Child,
    address: String,
}

impl Program {
    fn start(store: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_example-axum"))
            .env("PORT", "0")
            .env("SESSION_STORE", format!("files://{}", store.display()))
            .env("RUST_LOG", "off")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        Self { child, address }
    }

    /// The whole response to a request.
    fn send(&self, request: &str, cookie: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let cookie =
            if cookie.is_empty() { String::new() } else { format!("cookie: {cookie}\r\n") };
        write!(
            stream,
            "{request} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{cookie}content-type: \
             application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// All files and folders below one, with their size and time.
fn tree(folder: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            found.extend(tree(&path));
        }
        // The store asks the file server for the time now and then, by setting that of one file.
        let is_clock = path.file_name().is_some_and(|name| name == ".clock");
        let time = if is_clock { SystemTime::UNIX_EPOCH } else { meta.modified().unwrap() };
        found.insert(path, (meta.len(), time));
    }
    found
}

#[test]
fn sec_24_unknown_and_hostile_ids_leave_the_directory_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("sessions");
    let program = Program::start(&store);
    let known = program.send("POST /login", "", "user=ada");
    assert!(known.contains("set-cookie: id="), "{known}");
    let before = tree(&store);

    let unknown = SessionId::generate().unwrap().expose().to_owned();
    let long = "A".repeat(4_000);
    let hostile =
        ["", "../../../etc/passwd", "%2e%2e%2f", "{}", "' OR 1=1 --", "x", &unknown, &long];
    for value in hostile {
        for request in ["GET /", "GET /me", "GET /facts", "GET /healthz", "POST /logout"] {
            for cookie in [format!("id={value}"), format!("id={value}; id=y")] {
                let response = program.send(request, &cookie, "");
                assert!(response.starts_with("HTTP/1.1 20"), "{request} {value}: {response}");
                assert!(!response.contains("set-cookie: id=A"), "{request} {value}: {response}");
                assert_eq!(tree(&store), before, "{request} {value}");
            }
        }
    }
    assert!(program.send("GET /me?id=x", "", "").contains("\"user\":null"));
    assert_eq!(tree(&store), before);
}

#[test]
fn a_request_to_stop_ends_the_program_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Program::start(&directory.path().join("sessions"));
    assert!(program.send("GET /healthz", "", "").ends_with("ready"));
    let pid = program.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(program.child.wait().unwrap().success());
}
