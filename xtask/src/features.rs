//! Every published crate must compile alone, without its features, and with each of them.

use std::io;

use crate::{
    counts::Outcome,
    process,
    workspace::{Package, Workspace},
};

/// Lints every crate in each of its shapes. The shape with all features is the lint step's.
pub(crate) fn check(workspace: &Workspace) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    for package in workspace.packages.iter().filter(|package| package.published) {
        for shape in shapes(package) {
            let what = format!("clippy --package {} {}", package.name, shape.join(" "));
            println!("cargo {what}");
            let mut command = process::command(process::cargo());
            command.args(["clippy", "--quiet", "--package", &package.name]).args(&shape);
            let checked = process::run(command.args(["--", "-D", "warnings"]))?;
            outcome.add(Outcome::of(checked.success, &what));
        }
    }
    Ok(outcome)
}

/// The flags of each shape: alone as it is by default, bare, and bare with one feature.
fn shapes(package: &Package) -> Vec<Vec<String>> {
    let mut shapes = vec![vec![]];
    if package.has_default {
        shapes.push(vec!["--no-default-features".to_owned()]);
    }
    shapes.extend(package.features.iter().map(|feature| {
        vec!["--no-default-features".to_owned(), "--features".to_owned(), feature.clone()]
    }));
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_checked_alone_bare_and_with_each_feature() {
        let package = Package {
            name: "a".to_owned(),
            features: vec!["x".to_owned(), "y".to_owned()],
            has_default: true,
            published: true,
        };
        let shapes: Vec<String> = shapes(&package).iter().map(|shape| shape.join(" ")).collect();
        let bare = "--no-default-features";
        assert_eq!(
            shapes,
            ["", bare, &format!("{bare} --features x"), &format!("{bare} --features y")]
        );
    }
}
