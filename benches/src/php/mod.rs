//! Reading and writing sessions of PHP, beside PHP itself.

mod sessions;

use std::{
    fmt::Write as _,
    fs,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use session_php::{SerializeHandler, SessionData, Value};
use test_servers::php::Worker;

use self::sessions::session;
use crate::{
    machine::Machine,
    measure::{Result, median},
    options::Options,
};

const HANDLERS: [SerializeHandler; 2] = [SerializeHandler::Php, SerializeHandler::PhpSerialize];

/// What is measured; the number is its place in a row.
const STEPS: [&str; 7] = [
    "PHP reads",
    "PHP writes",
    "we read into PHP values",
    "we write PHP values",
    "we read into serde values",
    "we open it",
    "we open it, change one variable, write it",
];

pub(crate) fn run(options: &Options) -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/php/worker.php");
    let mut php = Worker::start(&script)?;
    let Machine { processor, cores, load_before, .. } = Machine::look();
    let mut report = format!(
        "# PHP's sessions\n\n{processor}, {cores} cores, load average {load_before}. Medians of {} rounds.\n",
        options.rounds()
    );
    let slice = Duration::from_millis(if options.quick { 30 } else { 100 });
    for handler in HANDLERS {
        for size in [1 << 10, 64 << 10] {
            let data = session(handler, size)?;
            let mut rounds = vec![Vec::new(); STEPS.len()];
            for _ in 0..options.rounds() {
                for (took, all) in
                    round(&mut php, handler, &data, slice)?.into_iter().zip(&mut rounds)
                {
                    all.push(took);
                }
            }
            let medians: Vec<f64> = rounds.into_iter().map(|all| median(all.into_iter())).collect();
            describe(&mut report, handler, data.len(), &medians)?;
        }
    }
    println!("{report}");
    fs::create_dir_all(&options.out)?;
    Ok(fs::write(options.out.join("php.md"), report)?)
}

/// Microseconds for each step, one after the other.
fn round(
    php: &mut Worker,
    handler: SerializeHandler,
    data: &[u8],
    slice: Duration,
) -> Result<Vec<f64>> {
    let session = SessionData::decode(handler, data.to_vec())?;
    let names: Vec<Vec<u8>> = session.names().map(<[u8]>::to_vec).collect();
    let values: Vec<Value> = names
        .iter()
        .filter_map(|name| session.value(name).transpose())
        .collect::<std::result::Result<_, _>>()?;
    let rewritten = session.rewritten(handler)?;
    let bytes = bytes::Bytes::copy_from_slice(data);
    let open = || SessionData::decode(handler, bytes.clone());
    assert_eq!(values.len(), names.len());
    Ok(vec![
        ask(php, handler, "read", data, slice)?,
        ask(php, handler, "write", data, slice)?,
        time(slice, || open()?.rewritten(handler))?,
        time(slice, || rewritten.encode())?,
        time(slice, || {
            let session = open()?;
            names
                .iter()
                .map(|name| session.get::<serde_json::Value>(name))
                .collect::<std::result::Result<Vec<_>, _>>()
        })?,
        time(slice, open)?,
        time(slice, || {
            let mut session = open()?;
            session.insert("last", &1_700_000_001)?;
            session.encode()
        })?,
    ])
}

fn ask(
    php: &mut Worker,
    handler: SerializeHandler,
    step: &str,
    data: &[u8],
    slice: Duration,
) -> Result<f64> {
    let encoded = data_encoding::BASE64.encode(data);
    let mut ask = |calls: u32| -> Result<f64> {
        Ok(php.ask(&format!("{} {step} {calls} {encoded}", handler.name()))?.parse::<f64>()? / 1e3)
    };
    let once = ask(20)?;
    ask(((slice.as_secs_f64() * 1e6 / once) as u32).max(20))
}

/// Microseconds for one call, over as many as there is time for.
fn time<T>(slice: Duration, call: impl Fn() -> session_php::Result<T>) -> Result<f64> {
    let begin = Instant::now();
    let mut calls = 0_u32;
    while begin.elapsed() < slice {
        for _ in 0..10 {
            black_box(call()?);
        }
        calls += 10;
    }
    Ok(begin.elapsed().as_secs_f64() * 1e6 / f64::from(calls))
}

fn describe(
    report: &mut String,
    handler: SerializeHandler,
    length: usize,
    medians: &[f64],
) -> Result<()> {
    writeln!(report, "\n## `{}`, {length} bytes\n\n| | us |\n| --- | --- |", handler.name())?;
    for (step, took) in STEPS.iter().zip(medians) {
        writeln!(report, "| {step} | {took:.2} |")?;
    }
    let [php_reads, php_writes, read, write, _, _, change] = medians else { return Ok(()) };
    let percent = |part: f64, whole: f64| 100.0 * part / whole;
    writeln!(
        report,
        "\nReading takes {:.0} % of PHP's time, writing {:.0} %. A change of one variable takes {:.0} % of a full read and write of \
         ours, {:.0} % of PHP's.",
        percent(*read, *php_reads),
        percent(*write, *php_writes),
        percent(*change, read + write),
        percent(*change, php_reads + php_writes),
    )?;
    Ok(())
}
