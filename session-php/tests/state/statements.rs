//! What `docs/php/` states, one short script for each statement.
//!
//! `statements.txt` has the scripts, and indented below each operation what PHP does: calls of the handler, messages
//! (`!`), and the result (`=`) unless it is true or null. PHP 8.2 must do just that, and so must we.

use std::{error::Error, fmt::Write as _};

use session_php::PhpVersion;

use crate::{
    draw::{Handler, Op, Script},
    ours,
    php::{Php, Played},
};

const TEXT: &str = include_str!("statements.txt");

/// A statement's name, its lines that are not what PHP does, and whether headers are shown.
struct Statement<'a> {
    name: &'a str,
    setup: Vec<&'a str>,
    ops: Vec<&'a str>,
    headers: bool,
}

const SETUP: [&str; 8] =
    ["handler", "cookies", "query", "form", "referer", "store", "fails", "ids"];

fn statements() -> Vec<Statement<'static>> {
    let mut found: Vec<Statement<'_>> = Vec::new();
    for line in TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with("    ")) {
        if let Some(name) = line.strip_prefix("# ") {
            found.push(Statement { name, setup: Vec::new(), ops: Vec::new(), headers: false });
            continue;
        }
        let last = found.last_mut().unwrap();
        match line.split(' ').next().unwrap() {
            "end" => {}
            "headers" => last.headers = true,
            word if SETUP.contains(&word) => last.setup.push(line),
            _ => last.ops.push(line),
        }
    }
    found
}

fn script(statement: &Statement<'_>) -> Script {
    let mut script = Script {
        handler: Handler::All,
        store: vec![(b"known".into(), b"a|i:1;".into())],
        ids: (0..8).map(|n| format!("newid{n}")).collect(),
        fails: Vec::new(),
        cookies: Some("PHPSESSID=known".to_owned()),
        query: None,
        form: None,
        referer: None,
        ops: statement.ops.iter().map(|line| op(line)).collect(),
    };
    for line in &statement.setup {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let text = || Some(rest.to_owned());
        match word {
            "handler" => {
                let all = [Handler::None, Handler::WithIds, Handler::WithStamps, Handler::All];
                script.handler = all.into_iter().find(|it| it.class() == rest).unwrap();
            }
            "cookies" => script.cookies = text().filter(|text| !text.is_empty()),
            "query" => script.query = text(),
            "form" => script.form = text(),
            "referer" => script.referer = text(),
            "fails" => script.fails.push(rest.to_owned()),
            "ids" => script.ids = rest.split(' ').map(str::to_owned).collect(),
            _ => {
                let (id, data) = rest.split_once(' ').unwrap_or((rest, ""));
                script.store.retain(|(known, _)| known != id.as_bytes());
                if data != "absent" {
                    script.store.push((id.into(), data.into()));
                }
            }
        }
    }
    script
}

fn op(line: &str) -> Op {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
    let text = || rest.to_owned();
    match word {
        "start" => {
            let settings = (!value.is_empty()).then(|| (name.to_owned(), value.to_owned()));
            let read_and_close = rest == "read_and_close";
            Op::Start { read_and_close, settings: settings.into_iter().collect() }
        }
        "write_close" => Op::WriteClose,
        "abort" => Op::Abort,
        "reset" => Op::Reset,
        "regenerate" => Op::Regenerate { delete: rest == "delete" },
        "destroy" => Op::Destroy,
        "unset" => Op::Unset,
        "gc" => Op::Gc,
        "encode" => Op::Encode,
        "send_headers" => Op::SendHeaders,
        "set_id" => Op::SetId(text()),
        "create_id" => Op::CreateId(text()),
        "set_name" => Op::SetName(text()),
        "decode" => Op::Decode(text()),
        "ini_set" => Op::IniSet(format!("session.{name}"), value.to_owned()),
        "set" => Op::Set(name.to_owned(), value.to_owned()),
        "remove" => Op::Remove(text()),
        word => unreachable!("{word}"),
    }
}

/// Bytes that can be printed as they are, and times left out.
fn plain(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte @ 0x20..=0x7e) => out += &format!("{}{}", char::from(byte), &part[2..]),
            _ => out += &format!("%{part}"),
        }
    }
    out
}

fn undated(header: &str) -> String {
    let Some(end) = header.find(" GMT").filter(|_| !header.contains(" 1981 ")) else {
        return header.to_owned();
    };
    format!("{}TIME{}", &header[..end - 25], &header[end + 4..])
}

fn shown(statement: &Statement<'_>, played: &Played) -> String {
    let mut text = format!("# {}\n", statement.name);
    statement.setup.iter().for_each(|line| writeln!(text, "{line}").unwrap());
    for (at, step) in played.steps.iter().enumerate() {
        writeln!(text, "{}", statement.ops.get(at).unwrap_or(&"end")).unwrap();
        step.calls.iter().for_each(|call| writeln!(text, "    {}", plain(call)).unwrap());
        step.says.iter().for_each(|said| writeln!(text, "    ! {}", plain(said)).unwrap());
        if !["true", "null", ""].contains(&step.gives.as_str()) {
            writeln!(text, "    = {}", plain(&step.gives)).unwrap();
        }
    }
    if statement.headers {
        writeln!(text, "headers").unwrap();
        played.headers.iter().for_each(|it| writeln!(text, "    {}", undated(it)).unwrap());
    }
    text
}

pub(crate) async fn php_does_what_the_documents_state() -> Result<usize, Box<dyn Error>> {
    let php = Php::start().await?;
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for statement in statements() {
        let script = script(&statement);
        let played = php.play(&script);
        theirs.push(shown(&statement, &played));
        ours.push(shown(&statement, &ours::play(&script, &played, &php).await));
    }
    // Messages of newer versions differ, and what they deprecate is said.
    let stated: Vec<&str> = match php.version < PhpVersion::V8_4 {
        true => TEXT.trim_end().split("\n\n").collect(),
        false => theirs.iter().map(|text| text.trim_end()).collect(),
    };
    for (texts, side) in [(&theirs, "PHP"), (&ours, "ours")] {
        let differs = |(stated, text): &(&&str, &String)| **stated != text.trim_end();
        if let Some((stated, is)) = stated.iter().zip(texts).find(differs) {
            return Err(format!("stated:\n{stated}\n{side}:\n{is}").into());
        }
    }
    Ok(theirs.len())
}
