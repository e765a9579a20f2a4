//! The kernel, and what it is told to do.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use nix::sys::statvfs::statvfs;
use tempfile::TempDir;

use crate::{Error, Result, directory, process::Process, programs, until};

/// From nothing to two mounts takes 5 to 9 s.
const BOOT: Duration = Duration::from_secs(120);
/// What is run says nothing for no longer than this, which is more than a case of the suite may take:
/// how long all of it takes is a matter of what else the machine does.
const LIMIT: Duration = Duration::from_secs(400);

/// What has to be installed: the kernel, and what is run in it.
const PROGRAMS: &[&str] = &[
    "linux.uml",
    "modprobe",
    "rpc.nfsd",
    "mount.nfs",
    "rpcbind",
    "ip",
    "tc",
    "nsenter",
    "mkfs.ext4",
];
const MODULES: &str = "/usr/lib/uml/modules";
const MEMORY_MIB: u64 = 512;
const DISK: u64 = 256 << 20;
const SMALL_DISK: u64 = 16 << 20;
/// A file system that can bound what a user's files take.
const WITH_QUOTA: &[&str] = &["-O", "quota", "-E", "quotatype=usrquota"];

/// Why tests that need the kernel are ignored.
#[must_use]
pub fn missing() -> Option<String> {
    let modules = || {
        let there = Path::new(MODULES).is_dir();
        if there { Ok(()) } else { Err(programs::missing("user-mode-linux")) }
    };
    let found = PROGRAMS.iter().try_for_each(|program| programs::find(program).map(drop));
    found.and_then(|()| modules()).err().map(|error| error.to_string())
}

/// A running kernel with a file server and two clients. Dropping it kills it.
#[derive(Debug)]
pub struct Guest {
    process: Process,
    directory: TempDir,
    commands: AtomicU64,
}

impl Guest {
    /// Starts it, and waits until both clients have mounted the server's folder.
    ///
    /// # Errors
    /// When a program is missing, or the kernel does not come up.
    pub async fn boot() -> Result<Self> {
        let directory = directory::fresh()?;
        let home = directory.path();
        for folder in ["in", "out"] {
            fs::create_dir(home.join(folder))?;
        }
        let init = home.join("init");
        fs::write(&init, include_str!("guest.sh"))?;
        fs::set_permissions(&init, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let (disk, small) =
            (disk(home, "disk", DISK, &[])?, disk(home, "small", SMALL_DISK, WITH_QUOTA)?);
        let arguments = [
            format!("mem={MEMORY_MIB}M"),
            "rootfstype=hostfs".into(),
            "rootflags=/".into(),
            "rw".into(),
            format!("ubd0={}", disk.display()),
            format!("ubd1={}", small.display()),
            format!("init={}", init.display()),
            format!("nfsguest={}", home.display()),
            "con=null".into(),
            "con0=null,fd:1".into(),
            "con1=null".into(),
            "quiet".into(),
        ];
        let environment = [("TMPDIR".to_owned(), memory(home))];
        let kernel = programs::find("linux.uml")?;
        let process = Process::spawn_in(&environment, &kernel, &arguments, &directory)?;
        let guest = Self { process, directory, commands: AtomicU64::default() };
        guest.is_ready().await?;
        Ok(guest)
    }

    async fn is_ready(&self) -> Result<()> {
        let look = || async {
            match self.process.has_ended() {
                true => Ok(Some(false)),
                false => Ok(self.home().join("ready").exists().then_some(true)),
            }
        };
        match until("two mounts", BOOT, look).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::of_start("the kernel has ended", &self.log())),
            Err(error) => Err(Error::of_start(&error.to_string(), &self.log())),
        }
    }

    fn home(&self) -> &Path {
        self.directory.path()
    }

    /// What the kernel and its first program have said.
    #[must_use]
    pub fn log(&self) -> String {
        let console = fs::read_to_string(self.home().join("console")).unwrap_or_default();
        self.process.log() + &console
    }

    /// Runs lines of Bash in it, as its superuser, and waits for their end.
    ///
    /// # Errors
    /// When they fail, with what they said, or are silent for longer than a test may be.
    pub async fn run(&self, script: &str) -> Result<Done> {
        let done = self.start(script)?.wait().await?;
        if done.status == 0 { Ok(done) } else { Err(Error::new(done.told())) }
    }

    /// Begins to run lines of Bash in it, as its superuser.
    ///
    /// # Errors
    /// When they cannot be written down.
    pub fn start(&self, script: &str) -> Result<Running> {
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        let (new, place) = (self.home().join("new"), self.home().join(format!("in/{number}")));
        fs::write(&new, script)?;
        fs::rename(new, place)?;
        let out = self.home().join("out");
        Ok(Running {
            log: out.join(format!("{number}.log")),
            status: out.join(format!("{number}.status")),
        })
    }
}

/// Something that runs in the guest.
#[derive(Debug)]
pub struct Running {
    log: PathBuf,
    status: PathBuf,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Done {
    /// Zero for success.
    pub status: i32,
    /// What it printed.
    pub output: String,
}

impl Done {
    fn told(&self) -> String {
        format!("it ended with {}:\n{}", self.status, self.output)
    }
}

impl Running {
    /// What it has printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        self.output_from(0)
    }

    /// What it has printed behind the first so many bytes.
    #[must_use]
    pub fn output_from(&self, start: u64) -> String {
        let mut bytes = Vec::new();
        let read = |bytes: &mut Vec<u8>| {
            let mut log = File::open(&self.log)?;
            log.seek(SeekFrom::Start(start))?;
            log.read_to_end(bytes)
        };
        // Without a file it has not begun.
        read(&mut bytes).ok();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether it has ended, and how.
    #[must_use]
    pub fn status(&self) -> Option<i32> {
        fs::read_to_string(&self.status).ok()?.trim().parse().ok()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it is silent for longer than a test may be.
    pub async fn wait(&self) -> Result<Done> {
        let status = self.watch("end", || self.status()).await?;
        Ok(Done { status, output: self.output() })
    }

    /// Waits until it has printed something.
    ///
    /// # Errors
    /// When it is silent for longer than a test may be, or ends before.
    pub async fn says(&self, text: &str) -> Result<()> {
        let said = || self.output().contains(text);
        self.watch(text, || (said() || self.status().is_some()).then_some(())).await?;
        if said() {
            return Ok(());
        }
        Err(Error::of_start(&format!("it ended and never said {text:?}"), &self.output()))
    }

    /// Looks until there is something to see, for as long as it goes on printing.
    async fn watch<T: Send>(
        &self,
        what: &str,
        look: impl Fn() -> Option<T> + Send + Sync,
    ) -> Result<T> {
        loop {
            let before = self.output().len();
            let seen = until(what, LIMIT, || async { Ok(look()) }).await;
            let output = self.output();
            match seen {
                Ok(seen) => return Ok(seen),
                Err(_) if output.len() > before => {}
                Err(error) => return Err(Error::of_start(&error.to_string(), &output)),
            }
        }
    }
}

/// An empty file system for the server, which takes no room before it is used.
fn disk(home: &Path, name: &str, size: u64, options: &[&str]) -> Result<PathBuf> {
    let path = home.join(name);
    File::create(&path)?.set_len(size)?;
    let mut make = Command::new(programs::find("mkfs.ext4")?);
    let made = make.args(["-q", "-F"]).args(options).arg(&path).output()?;
    match made.status.success() {
        true => Ok(path),
        false => Err(Error::of_start("no file system", &String::from_utf8_lossy(&made.stderr))),
    }
}

/// Where the guest's memory is kept: in a file, best in memory.
fn memory(home: &Path) -> String {
    let shared = "/dev/shm";
    let enough = statvfs(shared)
        .is_ok_and(|it| it.blocks_available() * it.fragment_size() > (MEMORY_MIB + 64) << 20);
    if enough { shared.to_owned() } else { home.to_string_lossy().into_owned() }
}
