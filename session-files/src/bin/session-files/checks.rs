//! The checks of what the store relies on, made without the store.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    path::Path,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
};

use crate::{
    meeting::{Meeting, Result},
    report::Report,
};

/// Names that are looked for before they are there.
const NAMES: usize = 20;

/// Whoever holds the lock makes a directory and removes it again. A server makes a directory once,
/// whatever it does with locks; so who finds it made is not alone.
pub(crate) fn locks(meeting: &Meeting, time: Duration, report: &mut Report) -> Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let lock = options.open(meeting.path("lock"))?;
    let (inside, counter) = (meeting.path("inside"), meeting.path("counter"));
    if meeting.leads {
        fs::write(&counter, "0")?;
    }
    meeting.meet("locks")?;
    let (started, mut holds, mut overlaps) = (Instant::now(), 0_u64, 0_u64);
    while started.elapsed() < time {
        if !change(&lock, libc::F_WRLCK)? {
            continue;
        }
        holds += 1;
        // Whoever is not alone may find anything gone or replaced.
        let alone = make(meeting, &inside)?;
        let counted = count(&counter).is_ok();
        let left = !alone || fs::remove_dir(&inside).is_ok();
        overlaps += u64::from(!(alone && counted && left));
        change(&lock, libc::F_UNLCK)?;
    }
    let all = meeting.exchange("locked", &format!("{holds} {overlaps}"))?;
    let sum = |part: usize| {
        let numbers = all.iter().filter_map(|text| text.split(' ').nth(part)?.parse::<u64>().ok());
        numbers.sum::<u64>()
    };
    let (holds, overlaps) = (sum(0), sum(1));
    meeting.ask()?;
    let counted = fs::read_to_string(&counter).unwrap_or_default();
    let detail = format!("{holds} holds, {overlaps} overlaps; counted to {counted}");
    report.check("locks exclude", overlaps == 0 && counted == holds.to_string(), detail);
    Ok(())
}

/// Whether nobody else had made it.
fn make(meeting: &Meeting, inside: &Path) -> io::Result<bool> {
    let made = DirBuilder::new().create(inside);
    if made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
        // Unless this machine only remembers one of before.
        meeting.ask()?;
        return Ok(DirBuilder::new().create(inside).is_ok());
    }
    made.map(|()| true)
}

/// Without the lock's protection this loses what another one counts.
fn count(counter: &Path) -> io::Result<()> {
    let number = fs::read_to_string(counter)?.parse().unwrap_or(0_u64);
    fs::write(counter, (number + 1).to_string())
}

fn change(file: &File, kind: libc::c_int) -> io::Result<bool> {
    let byte = libc::flock {
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: 7,
        l_len: 1,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&byte)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// One machine replaces a file, the others read it.
pub(crate) fn renames(meeting: &Meeting, time: Duration, report: &mut Report) -> Result<()> {
    let place = meeting.path("replaced");
    if meeting.leads {
        replace(meeting, &place, 0)?;
    }
    meeting.meet("renames")?;
    let (started, mut rounds, mut last) = (Instant::now(), 0_u64, 0_u64);
    let (mut absent, mut torn, mut back) = (0_u64, 0_u64, 0_u64);
    while started.elapsed() < time {
        rounds += 1;
        if meeting.leads {
            replace(meeting, &place, rounds)?;
            continue;
        }
        meeting.ask()?;
        match fs::read_to_string(&place) {
            Ok(text) => match number(&text) {
                Some(number) => {
                    back += u64::from(number < last);
                    last = number;
                }
                None => torn += 1,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => absent += 1,
            // Replaced while it was being opened or read: the store looks again.
            Err(_) => {}
        }
    }
    let all = meeting.exchange("renamed", &format!("{rounds} {absent} {torn} {back}"))?;
    let numbers = |part: usize| {
        let numbers =
            all.iter().filter_map(move |text| text.split(' ').nth(part)?.parse::<u64>().ok());
        numbers.sum::<u64>()
    };
    let (absent, torn, back) = (numbers(1), numbers(2), numbers(3));
    let detail = format!(
        "{} replacements and reads: {absent} found nothing, {torn} a part, {back} an older one",
        numbers(0)
    );
    report.check("a file is replaced in one step", absent + torn + back == 0, detail);
    Ok(())
}

fn replace(meeting: &Meeting, place: &Path, number: u64) -> io::Result<()> {
    let new = meeting.path("replaced.new");
    fs::write(&new, format!("{number} {} {number}", "x".repeat(10_000)))?;
    fs::rename(new, place)
}

/// The number at both ends of a whole file.
fn number(text: &str) -> Option<u64> {
    let (first, rest) = text.split_once(' ')?;
    let (_, last) = rest.rsplit_once(' ')?;
    (first == last).then(|| first.parse().ok())?
}

/// Names that one machine has looked for before another one made them.
pub(crate) fn news(meeting: &Meeting, report: &mut Report) -> Result<()> {
    let names: Vec<_> = (0..NAMES).map(|n| meeting.path(&format!("name{n}"))).collect();
    if names.iter().any(|name| name.exists()) {
        return Err("an old .verify is in the way".into());
    }
    meeting.meet("looked")?;
    if meeting.leads {
        for name in &names {
            fs::write(name, "new")?;
        }
    }
    meeting.meet("made")?;
    meeting.ask()?;
    let missing = names.iter().filter(|name| !name.exists()).count();
    let all = meeting.exchange("found", &missing.to_string())?;
    let missing: usize = all.iter().filter_map(|text| text.parse::<usize>().ok()).sum();
    let detail = format!("{missing} of {} not seen after asking", NAMES * meeting.machines);
    report.check("a new name is seen where it was looked for too early", missing == 0, detail);
    Ok(())
}
