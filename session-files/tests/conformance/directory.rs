//! A directory for the suite: the store in it, and everything else that may be done to it.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use session_conformance::{
    Backend, Damage, MovableClock, Namespace, RawAccess, SingleConnectionOpen, Skew, SkewedOpen,
    WriteCounter,
};
use session_core::{
    Capabilities, Error, ErrorKind, Key, OffsetClock, Operation, Result, SessionStore, SystemClock,
};
use session_files::{Commit, Durability, FilesStore, FilesStoreBuilder};

/// A directory with one store for each namespace.
#[derive(Debug)]
pub(crate) struct Directory {
    name: &'static str,
    /// Where the directory is when it is not looked at through the stores.
    path: PathBuf,
    kind: Kind,
    commit: Commit,
    opened: Mutex<HashMap<Namespace, bool>>,
    clocks: Mutex<HashMap<Namespace, Arc<OffsetClock>>>,
    seen: Mutex<HashMap<Namespace, (u64, Fingerprint)>>,
}

/// By which clock the stores go, and where they are.
#[derive(Debug)]
pub(crate) enum Kind {
    /// All in this process, by a clock that the cases move.
    MovableClock,
    /// Every second one in another process, by the file server's clock.
    TwoProcesses(Arc<dyn Elsewhere>),
    /// Every second one in the directory as the second client of the file server has mounted it.
    TwoClients([PathBuf; 2]),
}

/// Opens stores in another process.
#[async_trait]
pub(crate) trait Elsewhere: Debug + Send + Sync {
    async fn open(&self, root: &Path, has: Capabilities) -> Result<Arc<dyn SessionStore>>;
}

/// For one operation beside others that flush, or in a guest that makes ten system calls in the time
/// of one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Name, inode and time of the last change of everything in a store's directory.
type Fingerprint = BTreeMap<PathBuf, (u64, i64, i64)>;

impl Directory {
    pub(crate) fn new(name: &'static str, path: &Path, kind: Kind) -> Self {
        Self {
            name,
            path: path.to_owned(),
            kind,
            commit: Commit::default(),
            opened: Mutex::default(),
            clocks: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// With commits of another kind.
    pub(crate) fn by(mut self, commit: Commit) -> Self {
        self.commit = commit;
        self
    }

    fn root(&self, namespace: &Namespace) -> PathBuf {
        self.path.join(namespace.as_str())
    }

    /// Whether this is the first handle, the third, the fifth.
    fn is_first(&self, namespace: &Namespace) -> bool {
        let mut opened = guard(&self.opened);
        let second = opened.entry(namespace.clone()).or_default();
        *second = !*second;
        *second
    }

    fn builder(&self, namespace: &Namespace) -> FilesStoreBuilder {
        let builder = match &self.kind {
            Kind::MovableClock => {
                FilesStore::builder(self.root(namespace)).clock(self.clock_of(namespace))
            }
            Kind::TwoProcesses(_) => FilesStore::builder(self.root(namespace)),
            Kind::TwoClients([first, second]) => {
                let mount = if self.is_first(namespace) { first } else { second };
                FilesStore::builder(mount.join(namespace.as_str()))
            }
        }
        .timeout(PATIENCE);
        match self.commit {
            // Changes of leases would be flushed too, and other tests keep the disk busy.
            Commit::HardLink => builder.commit(self.commit).durability(Durability::None),
            _ => builder,
        }
    }

    fn clock_of(&self, namespace: &Namespace) -> Arc<OffsetClock> {
        let mut clocks = guard(&self.clocks);
        let new = || Arc::new(OffsetClock::new(SystemClock::default()));
        Arc::clone(clocks.entry(namespace.clone()).or_insert_with(new))
    }

    fn record(&self, namespace: &Namespace, key: &Key) -> PathBuf {
        let hex: String =
            key.digest().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let (directory, _) = hex.split_at(3);
        let record = self.root(namespace).join(directory).join(hex);
        if self.commit == Commit::Lock {
            return record;
        }
        let states = fs::read_dir(&record).into_iter().flatten().flatten().map(|it| it.path());
        states.max().unwrap_or(record)
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn failed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Backend, "fixture", Operation::Open).with_source(error)
}

#[async_trait]
impl Backend for Directory {
    fn name(&self) -> &str {
        self.name
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        let local = self.builder(namespace).open().await?;
        match &self.kind {
            Kind::TwoProcesses(elsewhere) if !self.is_first(namespace) => {
                elsewhere.open(&self.root(namespace), local.capabilities().clone()).await
            }
            _ => Ok(Arc::new(local)),
        }
    }

    async fn cleanup(&self, namespace: &Namespace) -> Result<()> {
        guard(&self.clocks).remove(namespace);
        // What the case let drop may still be under way in the other process.
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(error) = fs::remove_dir_all(self.root(namespace)) {
            if Instant::now() > deadline {
                return Err(failed(error));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn server_version(&self) -> Option<String> {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
        Some(format!("Linux {}", kernel.trim()))
    }

    fn clock(&self) -> Option<&dyn MovableClock> {
        matches!(self.kind, Kind::MovableClock).then_some(self)
    }

    fn write_counter(&self) -> Option<&dyn WriteCounter> {
        Some(self)
    }

    fn raw(&self) -> Option<&dyn RawAccess> {
        Some(self)
    }

    fn skewed(&self) -> Option<&dyn SkewedOpen> {
        (!matches!(self.kind, Kind::MovableClock)).then_some(self)
    }

    fn single_connection(&self) -> Option<&dyn SingleConnectionOpen> {
        Some(self)
    }
}

#[async_trait]
impl MovableClock for Directory {
    async fn advance(&self, namespace: &Namespace, by: Duration) -> Result<()> {
        self.clock_of(namespace).advance(by);
        Ok(())
    }

    async fn step_back(&self, namespace: &Namespace, by: Duration) -> Result<()> {
        self.clock_of(namespace).step_back(by);
        Ok(())
    }
}

/// Counts how often the directory was found changed: enough to see that it was not.
#[async_trait]
impl WriteCounter for Directory {
    async fn writes(&self, namespace: &Namespace) -> Result<u64> {
        let mut now = Fingerprint::new();
        let root = self.root(namespace);
        walk(&root, &mut |path| {
            let stat = fs::symlink_metadata(path)?;
            // Touched to read the time.
            if !path.ends_with(".clock") {
                now.insert(path.to_owned(), (stat.ino(), stat.ctime(), stat.ctime_nsec()));
            }
            Ok(())
        })
        .map_err(failed)?;
        let mut seen = guard(&self.seen);
        let (count, before) = seen.entry(namespace.clone()).or_default();
        *count += u64::from(*before != now);
        *before = now;
        Ok(*count)
    }
}

#[async_trait]
impl RawAccess for Directory {
    async fn damage(&self, namespace: &Namespace, key: &Key, damage: Damage) -> Result<()> {
        let path = self.record(namespace, key);
        harm(&path, damage).map_err(failed)
    }

    async fn dump(&self, namespace: &Namespace) -> Result<Vec<Vec<u8>>> {
        let mut items = Vec::new();
        let root = self.root(namespace);
        walk(&root, &mut |path| {
            let name = path.strip_prefix(&root).unwrap_or(path);
            // Directories and lock files stay; there is a fixed number of them.
            if path.is_file() && !name.starts_with(".locks") {
                items.push([name.as_os_str().as_encoded_bytes(), &fs::read(path)?].concat());
            }
            Ok(())
        })
        .map_err(failed)?;
        Ok(items)
    }
}

fn harm(path: &Path, damage: Damage) -> std::io::Result<()> {
    let deadline = fs::metadata(path)?.modified()?;
    let mut bytes = fs::read(path)?;
    let middle = bytes.len() / 2;
    match damage {
        Damage::Truncated => bytes.truncate(middle),
        _ => bytes.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 1),
    }
    fs::write(path, bytes)?;
    fs::File::open(path)?.set_modified(deadline)
}

/// Visits everything below `directory`.
fn walk(
    directory: &Path,
    visit: &mut impl FnMut(&Path) -> std::io::Result<()>,
) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        visit(&path)?;
        if path.is_dir() {
            walk(&path, visit)?;
        }
    }
    Ok(())
}

#[async_trait]
impl SkewedOpen for Directory {
    async fn open_skewed(
        &self,
        namespace: &Namespace,
        skew: Skew,
    ) -> Result<Arc<dyn SessionStore>> {
        let clock = OffsetClock::new(SystemClock::default());
        match skew {
            Skew::Ahead(by) => clock.advance(by),
            Skew::Behind(by) => clock.step_back(by),
            _ => return Err(Error::new(ErrorKind::Unsupported, "fixture", Operation::Open)),
        }
        Ok(Arc::new(self.builder(namespace).local_clock(clock).open().await?))
    }
}

#[async_trait]
impl SingleConnectionOpen for Directory {
    async fn open_single(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        Ok(Arc::new(self.builder(namespace).threads(1).open().await?))
    }
}
