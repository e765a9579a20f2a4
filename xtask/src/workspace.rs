//! What `cargo metadata` says of this workspace.

use std::{io, path::PathBuf, process::Command};

use serde_json::Value;

use crate::process;

/// The workspace and its packages.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// One package of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Without `default`, in order.
    pub(crate) features: Vec<String>,
    pub(crate) has_default: bool,
    pub(crate) published: bool,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn read() -> io::Result<Self> {
        let output = Command::new(process::cargo())
            .args(["metadata", "--no-deps", "--format-version", "1", "--quiet"])
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Self::parse(&serde_json::from_slice(&output.stdout)?)
            .ok_or_else(|| io::Error::other("cargo metadata has another form than expected"))
    }

    fn parse(metadata: &Value) -> Option<Self> {
        Some(Self {
            root: metadata.get("workspace_root")?.as_str()?.into(),
            target: metadata.get("target_directory")?.as_str()?.into(),
            packages: metadata
                .get("packages")?
                .as_array()?
                .iter()
                .map(Package::parse)
                .collect::<Option<_>>()?,
        })
    }
}

impl Package {
    fn parse(package: &Value) -> Option<Self> {
        let features = package.get("features")?.as_object()?;
        Some(Self {
            name: package.get("name")?.as_str()?.to_owned(),
            features: features.keys().filter(|name| *name != "default").cloned().collect(),
            has_default: features.contains_key("default"),
            published: package.get("publish")?.is_null(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_of_this_workspace_is_understood() {
        let workspace = Workspace::read().unwrap();
        let find = |name| workspace.packages.iter().find(|package| package.name == name);
        assert!(workspace.root.join("Cargo.lock").is_file());
        assert!(find("session-core").unwrap().published);
        assert!(!find("xtask").unwrap().published);
    }
}
