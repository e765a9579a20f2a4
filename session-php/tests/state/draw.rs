//! Scripts, drawn at random.

use fastrand::Rng;

/// Which of the optional slots the handler has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handler {
    None,
    WithIds,
    WithStamps,
    All,
}

impl Handler {
    /// The class of the page.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::WithIds => "WithIds",
            Self::WithStamps => "WithStamps",
            Self::All => "All",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    Start { read_and_close: bool, settings: Vec<(String, String)> },
    WriteClose,
    Abort,
    Reset,
    Regenerate { delete: bool },
    Destroy,
    Unset,
    Gc,
    Encode,
    SendHeaders,
    SetId(String),
    CreateId(String),
    SetName(String),
    Decode(String),
    IniSet(String, String),
    Set(String, String),
    Remove(String),
}

/// A request, the storage that it meets, and what it does.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) handler: Handler,
    pub(crate) store: Vec<(Vec<u8>, Vec<u8>)>,
    /// What the handler makes when it is asked for ids.
    pub(crate) ids: Vec<String>,
    /// Calls that fail: `slot:n` for the nth of a slot.
    pub(crate) fails: Vec<String>,
    pub(crate) cookies: Option<String>,
    pub(crate) query: Option<String>,
    pub(crate) form: Option<String>,
    pub(crate) referer: Option<String>,
    pub(crate) ops: Vec<Op>,
}

/// Ids that come from outside, or are set.
pub(crate) const KNOWN_IDS: [&str; 12] = [
    "known000000000000000000000001",
    "known000000000000000000000002",
    "unknown0000000000000000000001",
    "a,b-c",
    "a.b_c",
    "with blank",
    "quote'",
    "less<",
    "",
    "ü",
    "0",
    "back\\slash",
];

const NAMES: [&str; 9] = ["PHPSESSID", "sid", "My-Sess_1", "a.b", "x y", "12", "", "1e3", "N=1"];

/// What is stored, for each serialiser: `php`, `php_binary`, `php_serialize`.
const STORED: [&[&str]; 3] = [
    &[
        "",
        "a|i:1;",
        "a|i:1;b|s:3:\"two\";",
        "n|N;l|a:2:{i:0;i:1;i:1;d:0.5;}",
        "a|i:1;b|XX",
        "a|i:1;x",
        "\n",
    ],
    &["", "\u{1}ai:1;", "\u{1}ai:1;\u{2}bbs:3:\"two\";", "\u{1}ai:1;\u{1}b", "\u{5}ai:1;"],
    &[
        "",
        "a:0:{}",
        "a:1:{s:1:\"a\";i:1;}",
        "a:2:{s:1:\"a\";i:1;s:1:\"b\";a:1:{i:0;b:1;}}",
        "i:5;",
        "s:2:\"no\";",
        "a:1:{s:1:\"a\";i:1;",
    ],
];

/// The same with references and objects; `session_decode` onto these is left out, because we assign where it replaces.
const SHARED: [&[&str]; 3] = [
    &[
        "a|i:1;b|R:1;",
        "a|O:8:\"stdClass\":1:{s:1:\"v\";i:1;}b|r:1;",
        "user|a:1:{i:0;i:5;}a|R:2;b|i:2;",
    ],
    &["\u{1}ai:1;\u{1}bR:1;", "\u{1}aO:8:\"stdClass\":0:{}\u{1}br:1;"],
    &["a:2:{s:1:\"a\";i:1;s:1:\"b\";R:2;}", "a:2:{s:1:\"a\";O:8:\"stdClass\":0:{}s:1:\"b\";r:2;}"],
];

const VALUES: [&str; 8] = [
    "N;",
    "b:1;",
    "i:7;",
    "i:-3;",
    "d:1.5;",
    "s:3:\"new\";",
    "a:0:{}",
    "a:2:{i:0;i:1;s:1:\"k\";s:2:\"vv\";}",
];

/// Settings that change what happens, and values for them.
const SETTINGS: [(&str, &[&str]); 24] = [
    ("use_strict_mode", &["1", "0", "on", "Off", "yes", "true", "2", "no", ""]),
    ("lazy_write", &["1", "0", "off"]),
    ("use_cookies", &["1", "0"]),
    ("use_only_cookies", &["1", "0"]),
    ("gc_probability", &["0", "1", "100", "-1", "5x"]),
    ("gc_divisor", &["1", "1", "100", "1K"]),
    (
        "gc_maxlifetime",
        &["1440", "60", "1K", "-5", "2 M", "abc", "0x10", "99999999999999999999", "7kk"],
    ),
    ("serialize_handler", &["php", "php_binary", "php_serialize", "PHP_Serialize", "nope"]),
    ("sid_length", &["22", "26", "32", "40", "256", "21", "257", "32x", "", " 30"]),
    ("sid_bits_per_character", &["4", "5", "6", "7", "3", "5 "]),
    ("name", &NAMES),
    ("save_path", &["", "SP", "/tmp/x", "2;0600;/y"]),
    ("cookie_lifetime", &["0", "1", "3600", "1H", "-5", "86400000", "9223372036854775807", "1K"]),
    ("cookie_path", &["/", "", "/app", "/a;b", "x\ny"]),
    ("cookie_domain", &["", "example.com", ".example.com"]),
    ("cookie_secure", &["0", "1"]),
    ("cookie_httponly", &["0", "1"]),
    ("cookie_samesite", &["", "Lax", "Strict", "None", "Foo"]),
    ("cache_limiter", &["nocache", "private", "private_no_expire", "public", "", "none", "PUBLIC"]),
    ("cache_expire", &["180", "5", "0", "-1", "1K", "x"]),
    ("referer_check", &["", "example.com"]),
    ("nope", &["1"]),
    ("auto_start", &["1"]),
    ("upload_progress.enabled", &["0"]),
];

pub(crate) fn script(rng: &mut Rng) -> Script {
    let serializer = if rng.bool() { 0 } else { rng.usize(1..3) };
    let mut store = Vec::new();
    let shares = rng.u8(0..8) == 0;
    let texts = if shares { &SHARED } else { &STORED };
    for id in ["known000000000000000000000001", "known000000000000000000000002", "a,b-c", "0"] {
        if rng.u8(0..4) > 0 {
            let from = if rng.u8(0..12) == 0 { rng.usize(0..3) } else { serializer };
            store.push((id.into(), pick(rng, texts[from]).into()));
        }
    }
    let mut ids: Vec<String> = (0..8).map(|n| format!("newid{n}")).collect();
    if rng.u8(0..4) == 0 {
        ids.insert(0, "b~ +%;é".to_owned());
    }
    if rng.u8(0..4) == 0 {
        // Some of them, or all, are taken.
        let taken =
            ["a,b-c", "known000000000000000000000002", "0", "known000000000000000000000001"];
        ids = taken.map(str::to_owned).to_vec();
        ids.insert(rng.usize(0..=ids.len()), "free".to_owned());
    }
    let mut ops = settings(rng, serializer);
    for _ in 0..rng.usize(1..9) {
        ops.push(operation(rng, serializer));
    }
    ops.retain(|op| !(shares && matches!(op, Op::Decode(_))));
    let fails = match rng.u8(0..3) {
        0 => (0..rng.usize(1..3)).map(|_| failure(rng)).collect(),
        _ => Vec::new(),
    };
    Script {
        handler: *rng
            .choice(&[
                Handler::All,
                Handler::All,
                Handler::None,
                Handler::WithIds,
                Handler::WithStamps,
            ])
            .unwrap(),
        store,
        ids,
        fails,
        cookies: (rng.u8(0..4) > 0).then(|| cookies(rng)),
        query: (rng.u8(0..4) == 0).then(|| pairs(rng, "&")),
        form: (rng.u8(0..6) == 0).then(|| pairs(rng, "&")),
        referer: (rng.u8(0..4) == 0)
            .then(|| pick(rng, &["http://example.com/x", "http://other.org/"]).to_owned()),
        ops,
    }
}

fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    rng.choice(from).unwrap()
}

fn setting(rng: &mut Rng) -> (String, String) {
    let (name, values) = *rng.choice(&SETTINGS).unwrap();
    (name.to_owned(), pick(rng, values).to_owned())
}

/// What a script begins with.
fn settings(rng: &mut Rng, serializer: usize) -> Vec<Op> {
    let mut ops = Vec::new();
    let mut set =
        |name: &str, value: &str| ops.push(Op::IniSet(format!("session.{name}"), value.to_owned()));
    if serializer > 0 || rng.u8(0..8) == 0 {
        set("serialize_handler", ["php", "php_binary", "php_serialize"][serializer]);
    }
    // Otherwise it would be drawn whether garbage is collected.
    set("gc_probability", if rng.u8(0..4) == 0 { "100" } else { "0" });
    if rng.u8(0..3) == 0 {
        set("use_only_cookies", "0");
    }
    if rng.u8(0..3) == 0 {
        set("use_strict_mode", "1");
    }
    for _ in 0..rng.usize(0..4) {
        let (name, value) = setting(rng);
        if !name.starts_with("gc_prob") && !name.starts_with("gc_div") {
            ops.push(Op::IniSet(format!("session.{name}"), value));
        }
    }
    ops
}

fn operation(rng: &mut Rng, serializer: usize) -> Op {
    match rng.u8(0..100) {
        0..30 => Op::Start {
            read_and_close: rng.u8(0..6) == 0,
            settings: match rng.u8(0..6) {
                0 => vec![setting(rng)].into_iter().filter(|it| !it.0.starts_with("gc_")).collect(),
                _ => Vec::new(),
            },
        },
        30..40 => Op::WriteClose,
        40..43 => Op::Abort,
        43..47 => Op::Reset,
        47..54 => Op::Regenerate { delete: rng.bool() },
        54..58 => Op::Destroy,
        58..60 => Op::Unset,
        60..62 => Op::Gc,
        62..64 => Op::Encode,
        64..66 => Op::SendHeaders,
        66..71 => Op::SetId(pick(rng, &KNOWN_IDS).to_owned()),
        71..75 => Op::CreateId(pick(rng, &["", "pre-", "a,b", "no_", "ü"]).to_owned()),
        75..77 => Op::SetName(pick(rng, &NAMES).to_owned()),
        77..79 => Op::Decode(pick(rng, STORED[serializer]).to_owned()),
        79..83 => {
            let (name, value) = setting(rng);
            let drawn = ["gc_probability", "gc_divisor"].contains(&name.as_str());
            let name = if drawn { "lazy_write".to_owned() } else { name };
            Op::IniSet(format!("session.{name}"), value)
        }
        83..95 => {
            Op::Set(pick(rng, &["a", "b", "user", "x y"]).to_owned(), pick(rng, &VALUES).to_owned())
        }
        _ => Op::Remove(pick(rng, &["a", "b", "user"]).to_owned()),
    }
}

fn failure(rng: &mut Rng) -> String {
    let slots =
        ["open", "read", "write", "destroy", "gc", "validate_sid", "update_timestamp", "close"];
    format!("{}:{}", pick(rng, &slots), rng.usize(1..4))
}

/// An id as it stands in a cookie.
fn raw_id(rng: &mut Rng) -> &'static str {
    pick(
        rng,
        &[
            "known000000000000000000000001",
            "known000000000000000000000001",
            "known000000000000000000000002",
            "unknown0000000000000000000001",
            "a%2Cb-c",
            "a%2cb-c",
            "a.b_c",
            "with%20blank",
            "with+blank",
            "quote'",
            "%3Cless",
            "",
            "%C3%BC",
            "%zz",
            "0",
        ],
    )
}

fn pair(rng: &mut Rng) -> String {
    let names = [
        "PHPSESSID",
        "PHPSESSID",
        "PHPSESSID",
        "sid",
        "My-Sess_1",
        "a.b",
        "a_b",
        "x_y",
        "PHPSESSID[]",
        "PHPSESSID[k]",
        "other",
        "PHPSESSID[",
    ];
    format!("{}={}", pick(rng, &names), raw_id(rng))
}

fn pairs(rng: &mut Rng, separator: &str) -> String {
    (0..rng.usize(1..4)).map(|_| pair(rng)).collect::<Vec<_>>().join(separator)
}

fn cookies(rng: &mut Rng) -> String {
    let separator = pick(rng, &["; ", ";", ";  "]).to_owned();
    pairs(rng, &separator)
}
