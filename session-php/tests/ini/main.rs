//! Ini files are read as PHP reads them.

use std::{collections::BTreeMap, path::Path};

use libtest_mimic::Arguments;
use session_php::Ini;
use test_servers::{php, trial};

/// What the environment has, for both.
const HOME: &str = "HOME";

const FILES: &[&str] = &[
    "",
    "; a comment\n\n",
    "a = 1",
    "a=1\r\nb = 2\r\n",
    "session.save_path = /var/lib/php/sessions",
    "session.save_path = \"tcp://host:6379?auth=se;cret&weight=1\"",
    "session.save_path = 'tcp://host:6379?auth=se\\cret&weight=1'",
    "a = on\nb = Yes\nc = TRUE\nd = off\ne = no\nf = false\ng = none\nh = null",
    "a = \"on\"\nb = 'off'",
    "a = online\nb = nothing",
    "a = x ; a comment\nb = \"x\" ; a comment",
    "a = \"x;y\"\nb = 'x;y'",
    "a =\nb = \nc = \"\"\nd = ''",
    "a =   spaced out   \nb=\ttabs\t",
    "a = \"  kept  \"",
    "a = \"with \\\" quote\"\nb = \"back \\\\ slash\"\nc = \"other \\n escape\"",
    "a = 'single \\ slash'\nb = 'with \" quote'",
    "a = \"one\ntwo\"\nb = 1",
    "[PHP]\na = 1\n[Session]\nsession.name = X",
    "  a  =  1  \n  b.c  =  2",
    "a = ${HOME}",
    "a = ${HOME}/sessions\nb = /x${HOME}y",
    "a = \"${HOME}/sessions\"\nb = \"x ${HOME} y\"",
    "a = '${HOME}'",
    "a = ${NO_SUCH_VARIABLE_HERE}\nb = 1",
    "a = \"x\" \"y\"\nb = x \"y\"",
    "a = x\"y\"z",
    "a = 1.5\nb = -3\nc = 0x1F\nd = 10M",
    "a = tcp://127.0.0.1:6379\nb = 1,2,3",
    "a = a=b",
    "a = {b}",
    "a = \"x",
    "a = \"$x\"\nb = \"100%\"",
    "a = ünïcode",
    "a = 1\na = 2",
];

fn main() {
    let missing = php::missing(&["json"]);
    let trials = vec![trial("ini_files_are_read_as_php_reads_them", &["php"], missing, || async {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ini/ini.php");
        let mut worker = php::Worker::start(&script)?;
        let mut differences = Vec::new();
        for file in FILES {
            let answer = worker.ask(&serde_json::to_string(file)?)?;
            let theirs: Option<BTreeMap<String, String>> = serde_json::from_str(&answer)?;
            let variable = |name: &str| std::env::var(name).ok();
            assert!(std::env::var(HOME).is_ok_and(|home| !home.is_empty()), "no {HOME}");
            let ours = Ini::parse(file, variable).ok();
            let pairs = |ini: Ini| -> BTreeMap<String, String> {
                ini.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
            };
            let ours = ours.map(pairs);
            if ours != theirs {
                differences.push(format!("{file}\nours: {ours:?}\nPHP's: {theirs:?}"));
            }
        }
        assert!(differences.is_empty(), "{}", differences.join("\n\n"));
        Ok(())
    })];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
