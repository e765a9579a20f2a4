//! What needs no server: the memory of this process, and files.

use std::{
    collections::HashMap,
    fs, io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::task::spawn_blocking;

use super::{LIFE, Values};
use crate::measure::Result;

/// A map behind one lock.
#[derive(Default)]
pub(crate) struct Memory(Mutex<HashMap<String, Vec<u8>>>);

impl Memory {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Values for Memory {
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.lock().get(name).cloned())
    }

    async fn add(&self, name: &str, value: &[u8]) -> Result<()> {
        self.set(name, value).await
    }

    async fn set(&self, name: &str, value: &[u8]) -> Result<()> {
        self.lock().insert(name.to_owned(), value.to_vec());
        Ok(())
    }

    async fn extend(&self, _name: &str) -> Result<()> {
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.lock().remove(name);
        Ok(())
    }
}

/// A file for each value in one folder, written aside and renamed.
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn new(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    async fn on<T: Send + 'static>(
        &self,
        name: &str,
        act: impl FnOnce(PathBuf) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = self.0.join(name);
        Ok(spawn_blocking(move || act(path)).await??)
    }
}

impl Values for Files {
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.on(name, |path| match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        })
        .await
    }

    async fn add(&self, name: &str, value: &[u8]) -> Result<()> {
        self.set(name, value).await
    }

    async fn set(&self, name: &str, value: &[u8]) -> Result<()> {
        let value = value.to_vec();
        self.on(name, move |path| {
            let aside = path.with_extension(format!("{:x}", fastrand::u64(..)));
            fs::write(&aside, value)?;
            fs::rename(aside, path)
        })
        .await
    }

    async fn extend(&self, name: &str) -> Result<()> {
        self.on(name, |path| {
            let deadline = SystemTime::now() + Duration::from_secs(LIFE.into());
            fs::File::options().write(true).open(path)?.set_modified(deadline)
        })
        .await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.on(name, fs::remove_file).await
    }
}
