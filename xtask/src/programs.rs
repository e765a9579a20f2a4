//! Test programs, several at a time: most of them wait for servers, leases and clocks.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
    time::Instant,
};

use serde_json::Value;

use crate::{
    process::{self, Finished},
    workspace::Workspace,
};

/// One test program, or the examples in the documentation.
#[derive(Debug)]
pub(crate) struct Program {
    title: String,
    command: Command,
}

/// Has cargo build all test programs; none where one of them could not be built.
pub(crate) fn build(workspace: &Workspace, flags: &[&str]) -> io::Result<Option<Vec<Program>>> {
    let mut command = process::command(process::cargo());
    command.arg("test").args(flags).args([
        "--no-run",
        "--message-format",
        "json-render-diagnostics",
    ]);
    let built = process::read(&mut command)?;
    let programs = built.output.lines().filter_map(|line| Program::of(line, &workspace.root));
    Ok(built.success.then(|| programs.collect()))
}

/// The examples in the documentation, which cargo builds as it runs them.
pub(crate) fn documentation(flags: &[&str]) -> Program {
    let mut command = process::command(process::cargo());
    command.arg("test").args(flags).arg("--doc");
    Program { title: "examples in the documentation".to_owned(), command }
}

/// Runs them all and returns what each printed, which is shown whole as it ends.
pub(crate) fn run(programs: Vec<Program>, with: &[(&str, String)]) -> Vec<Finished> {
    let at_once = thread::available_parallelism().map_or(2, usize::from) + 1;
    let all = programs.len();
    let line = Mutex::new(VecDeque::from(programs));
    let finished = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(program) = next(&line) {
                    let done = program.run(with);
                    let Ok(mut finished) = finished.lock() else { return };
                    finished.push(done.finished);
                    println!(
                        "{}\n=== {} of {all}: {} took {:.1} s",
                        finished.last().map_or("", |last| last.output.trim_end()),
                        finished.len(),
                        done.title,
                        done.seconds
                    );
                }
            });
        }
    });
    finished.into_inner().unwrap_or_default()
}

/// What came of one program.
struct Done {
    title: String,
    finished: Finished,
    seconds: f64,
}

fn next(line: &Mutex<VecDeque<Program>>) -> Option<Program> {
    line.lock().ok()?.pop_front()
}

impl Program {
    /// Reads one of cargo's messages. Programs that are only built have no test profile.
    fn of(message: &str, root: &Path) -> Option<Self> {
        let message: Value = serde_json::from_str(message).ok()?;
        let is_test = message.get("profile")?.get("test")?.as_bool()?;
        let executable = message.get("executable")?.as_str().filter(|_| is_test)?;
        let package = PathBuf::from(message.get("manifest_path")?.as_str()?);
        let source = Path::new(message.get("target")?.get("src_path")?.as_str()?);
        let mut command = process::command(executable);
        // As cargo does for a program that it runs.
        let folder = package.parent()?;
        command.current_dir(folder).env("CARGO_MANIFEST_DIR", folder);
        let source = source.strip_prefix(root).unwrap_or(source);
        Some(Self { title: source.display().to_string(), command })
    }

    /// A program that fails says so in its output, or is told to have died.
    fn run(mut self, with: &[(&str, String)]) -> Done {
        self.command.envs(with.iter().map(|(name, value)| (name, value)));
        let began = Instant::now();
        let finished = process::collect(&mut self.command).unwrap_or_else(|error| Finished {
            success: false,
            output: format!("{} could not be run: {error}", self.title),
        });
        Done { title: self.title, finished, seconds: began.elapsed().as_secs_f64() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(test: bool) -> String {
        let target = json!({"src_path": "/w/a/tests/b.rs"});
        json!({"reason": "compiler-artifact", "manifest_path": "/w/a/Cargo.toml", "target": target,
            "profile": {"test": test}, "executable": "/w/target/debug/deps/b-1"})
        .to_string()
    }

    #[test]
    fn test_programs_run_in_the_folder_of_their_package() {
        let program = Program::of(&message(true), Path::new("/w")).unwrap();
        assert_eq!(program.title, "a/tests/b.rs");
        assert_eq!(program.command.get_current_dir(), Some(Path::new("/w/a")));
    }

    #[test]
    fn what_is_only_built_is_not_run() {
        assert!(Program::of(&message(false), Path::new("/w")).is_none());
        assert!(
            Program::of(r#"{"reason": "build-finished", "success": true}"#, Path::new("/w"))
                .is_none()
        );
        assert!(Program::of("   Compiling a", Path::new("/w")).is_none());
    }

    #[test]
    fn every_program_runs_and_its_output_is_kept() {
        let program = |text: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("echo {text} $WITH; test {text} != bad")]);
            Program { title: text.to_owned(), command }
        };
        let programs = ["one", "bad", "two", "three", "four"].map(program).into();
        let finished = run(programs, &[("WITH", "given".to_owned())]);
        assert_eq!(finished.iter().filter(|one| !one.success).count(), 1);
        let output: String = finished.into_iter().map(|one| one.output).collect();
        assert!(
            ["one", "bad", "two", "three", "four"]
                .iter()
                .all(|text| output.contains(&format!("{text} given")))
        );
    }
}
