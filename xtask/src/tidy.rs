//! Rules of this repository that no compiler checks, as tests.
//!
//! Each rule is a function from text to complaints, tested on a text that breaks it, and then
//! applied to the tree.

mod code;
mod decisions;
mod manifests;
mod markdown;
mod results;
mod security;

use std::{fs, path::Path};

use crate::workspace::Workspace;

/// A file of the repository: its path from the root, and its text.
#[derive(Debug)]
struct Source {
    path: String,
    text: String,
}

/// All files of the repository whose name ends in `suffix`.
fn sources(suffix: &str) -> Vec<Source> {
    let workspace = Workspace::read().unwrap();
    let mut found = Vec::new();
    walk(&workspace.root, "", suffix, &mut found);
    assert!(!found.is_empty(), "no file ends in {suffix}: the walk is broken");
    found
}

fn walk(root: &Path, folder: &str, suffix: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && name != "target" {
                walk(root, &path, suffix, found);
            }
        } else if name.ends_with(suffix) {
            found.push(Source { text: fs::read_to_string(entry.path()).unwrap(), path });
        }
    }
}

/// Fails with one line for each complaint.
fn assert_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
