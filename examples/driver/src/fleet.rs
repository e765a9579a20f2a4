//! Two instances of an example on one store.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use crate::{Example, Result, program::Program};

/// Two instances on one store.
#[derive(Debug)]
pub(crate) struct Fleet {
    program: PathBuf,
    /// The store, as each of the instances reaches it.
    stores: [String; 2],
    folder: PathBuf,
    /// The instance named `a`.
    pub(crate) a: Instance,
    /// The instance named `b`.
    pub(crate) b: Instance,
}

/// One running instance.
#[derive(Debug)]
pub(crate) struct Instance {
    program: Program,
}

impl Fleet {
    /// Starts both instances. Files and logs go to `target/e2e/EXAMPLE/SCENARIO`, and stay.
    pub(crate) async fn start(example: &Example, scenario: &str) -> Result<Self> {
        let folder = example.folder().join(scenario);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let store = example.store_url(&folder);
        Self::on(example.program(), [store.clone(), store], &folder).await
    }

    /// Starts both instances of a program, each with its own way to the store. Logs go to a folder.
    pub(crate) async fn on(program: &Path, stores: [String; 2], folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let [a, b] = instances(program, &stores, folder).await?;
        Ok(Self { program: program.to_owned(), stores, folder: folder.to_owned(), a, b })
    }

    /// The address for the request of this number: the instances take turns.
    pub(crate) fn balance(&self, number: usize) -> SocketAddr {
        if number.is_multiple_of(2) { self.a.address() } else { self.b.address() }
    }

    /// Kills both instances and starts them again.
    pub(crate) async fn restart(&mut self) -> Result {
        self.a.program.kill().await?;
        self.b.program.kill().await?;
        [self.a, self.b] = instances(&self.program, &self.stores, &self.folder).await?;
        Ok(())
    }

    /// The scenario's own folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

async fn instances(program: &Path, stores: &[String; 2], folder: &Path) -> Result<[Instance; 2]> {
    let [one, two] = stores;
    let a = Instance::start(program, one, folder, "a").await?;
    let b = Instance::start(program, two, folder, "b").await?;
    Ok([a, b])
}

impl Instance {
    async fn start(program: &Path, store: &str, folder: &Path, name: &'static str) -> Result<Self> {
        let mut command = Command::new(program);
        command
            .env("PORT", "0")
            .env("SESSION_STORE", store)
            .env("INSTANCE", name)
            // DynamoDB Local takes any credentials, but needs some.
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local");
        let log = folder.join(format!("{name}.log"));
        let program = Program::start(&mut command, &log, port).await;
        let program =
            program.map_err(|error| format!("instance {name}: {error}; see {}", log.display()))?;
        Ok(Self { program })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.program.address
    }
}

/// Reads `listening on http://127.0.0.1:8080`.
fn port(line: &str) -> Option<u16> {
    let (_, address) = line.split_once("listening on http://")?;
    address.trim_end_matches('/').rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_port_is_read_from_the_line() {
        assert_eq!(super::port("listening on http://127.0.0.1:8080"), Some(8080));
        assert_eq!(super::port("starting"), None);
    }
}
