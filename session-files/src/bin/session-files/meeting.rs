//! The machines that take part: they find each other in the directory, and wait for each other
//! between the checks.

use std::{
    error,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use session_core::OpToken;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn error::Error + Send + Sync>>;

/// How long the machines wait for each other.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Meeting {
    place: PathBuf,
    own: String,
    /// Whether this machine does what only one is to do.
    pub(crate) leads: bool,
    pub(crate) machines: usize,
}

impl Meeting {
    /// Waits until so many are there.
    pub(crate) fn of(directory: &Path, machines: usize) -> Result<Self> {
        let place = directory.join(".verify");
        fs::create_dir_all(&place)?;
        let token = OpToken::generate()?;
        let own: String = token.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut meeting = Self { place, own, leads: false, machines };
        let all = meeting.wait("here", |names| names.len() >= machines)?;
        if all.len() > machines {
            return Err(format!("{} are here; is an old .verify in the way?", all.len()).into());
        }
        meeting.leads = all.iter().min().is_some_and(|first| first.starts_with(&meeting.own));
        Ok(meeting)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.join(name)
    }

    /// What the machines put into a file each when they come to this point, once all have.
    pub(crate) fn exchange(&self, point: &str, text: &str) -> Result<Vec<String>> {
        let place = self.path(&format!("{}.{point}.new", self.own));
        fs::write(&place, text)?;
        fs::rename(&place, self.path(&format!("{}.{point}", self.own)))?;
        let names = self.wait(point, |names| names.len() >= self.machines)?;
        names.iter().map(|name| Ok(fs::read_to_string(self.path(name))?)).collect()
    }

    /// Waits until all have come to this point.
    pub(crate) fn meet(&self, point: &str) -> Result<()> {
        self.exchange(point, "").map(drop)
    }

    fn wait(&self, point: &str, enough: impl Fn(&[String]) -> bool) -> Result<Vec<String>> {
        let own = self.path(&format!("{}.{point}", self.own));
        if !own.exists() {
            File::create(own)?;
        }
        let ending = format!(".{point}");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let names: Vec<String> = self.names()?.filter(|name| name.ends_with(&ending)).collect();
            if enough(&names) {
                return Ok(names);
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "{} of {} came within {PATIENCE:?}",
                    names.len(),
                    self.machines
                )
                .into());
            }
            pause();
            self.stir()?;
        }
    }

    /// Changes the directory, so that an NFS client lists it anew. Two changes within a tick of the
    /// server's clock are one to a client of NFS 3, which may have seen the first only.
    fn stir(&self) -> io::Result<()> {
        let probe = self.path(&format!("{}.look.new", self.own));
        File::create(&probe)?;
        fs::remove_file(probe)
    }

    /// Opening the directory makes an NFS client ask the server whether it has changed.
    fn names(&self) -> io::Result<impl Iterator<Item = String>> {
        let entries = fs::read_dir(&self.place)?;
        Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()))
    }

    /// Makes the client look for names anew.
    pub(crate) fn ask(&self) -> io::Result<()> {
        File::open(&self.place).map(drop)
    }

    /// Removes everything, when nobody needs it any more. Only who removes waits for the others:
    /// for them the directory may be gone at any moment after they have said that they are done.
    pub(crate) fn end(&self) -> Result<()> {
        const POINT: &str = "end";
        if !self.leads {
            File::create(self.path(&format!("{}.{POINT}", self.own)))?;
            return Ok(());
        }
        self.wait(POINT, |names| names.len() >= self.machines)?;
        // An NFS client may still close a file of the others.
        let deadline = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir_all(&self.place).is_err() && Instant::now() < deadline {
            pause();
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "it waits for other machines, where no runtime is")]
fn pause() {
    thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_needs_the_directory_after_its_end() {
        let directory = tempfile::tempdir().unwrap();
        for round in 0..50 {
            let attend = || {
                let meeting = Meeting::of(directory.path(), 2)?;
                meeting.meet("middle")?;
                meeting.end()
            };
            let ends: [Result<()>; 2] = thread::scope(|scope| {
                [scope.spawn(attend), scope.spawn(attend)].map(|one| one.join().unwrap())
            });
            assert!(ends.iter().all(Result::is_ok), "round {round}: {ends:?}");
            assert!(!directory.path().join(".verify").exists());
        }
    }
}
