//! A certificate authority of our own, and a server's certificate from it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, Result, programs};

const NAMES: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1
basicConstraints=CA:FALSE
extendedKeyUsage=serverAuth
";

/// The files of a server with TLS.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Certificates {
    /// What a client must trust.
    pub authority: PathBuf,
    /// The server's certificate, for `localhost` and `127.0.0.1`.
    pub certificate: PathBuf,
    /// The server's private key.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes them with `openssl`, in this folder.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        fs::write(folder.join("names"), NAMES)?;
        openssl(
            folder,
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt",
        )?;
        openssl(
            folder,
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
        )?;
        openssl(
            folder,
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt",
        )?;
        let [authority, certificate, key] =
            ["ca.crt", "server.crt", "server.key"].map(|file| folder.join(file));
        Ok(Self { authority, certificate, key })
    }
}

/// Why there can be no certificates here, if there cannot.
pub(crate) fn missing() -> Option<String> {
    programs::find("openssl").err().map(|error| error.to_string())
}

fn openssl(folder: &Path, arguments: &str) -> Result<()> {
    let mut command = Command::new("openssl");
    let output = command.args(arguments.split(' ')).current_dir(folder).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::new(format!("openssl: {}", String::from_utf8_lossy(&output.stderr))))
}
