//! What was found out, for a person or a program.

use std::{fmt, path::Path};

use serde_json::{Value, json};

const ADVICE: &str = "vers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport";

pub(crate) struct Report {
    directory: String,
    checks: Vec<Check>,
    costs: Vec<Cost>,
}

struct Check {
    name: &'static str,
    passed: bool,
    detail: String,
}

/// What one operation takes.
pub(crate) struct Cost {
    pub(crate) name: &'static str,
    pub(crate) millis: f64,
    pub(crate) calls: Option<f64>,
}

impl Report {
    pub(crate) fn new(directory: &Path) -> Self {
        let directory = directory.display().to_string();
        Self { directory, checks: Vec::new(), costs: Vec::new() }
    }

    pub(crate) fn check(&mut self, name: &'static str, passed: bool, detail: String) {
        self.checks.push(Check { name, passed, detail });
    }

    pub(crate) fn cost(&mut self, cost: Cost) {
        self.costs.push(cost);
    }

    pub(crate) fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }

    pub(crate) fn to_json(&self) -> String {
        let checks: Vec<Value> = self
            .checks
            .iter()
            .map(|it| json!({"name": it.name, "passed": it.passed, "detail": it.detail}))
            .collect();
        let costs: Vec<Value> = self
            .costs
            .iter()
            .map(|it| json!({"operation": it.name, "milliseconds": it.millis, "calls": it.calls}))
            .collect();
        let report = json!({
            "directory": self.directory,
            "passed": self.passed(),
            "checks": checks,
            "costs": costs,
            "nfs_mount_options": ADVICE,
        });
        format!("{report:#}\n")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            let mark = if check.passed { "ok  " } else { "FAIL" };
            let colon = if check.detail.is_empty() { "" } else { ": " };
            writeln!(f, "{mark} {}{colon}{}", check.name, check.detail)?;
        }
        for cost in &self.costs {
            write!(f, "     {}: {:.2} ms", cost.name, cost.millis)?;
            match cost.calls {
                Some(calls) => writeln!(f, ", {calls:.1} calls to the server")?,
                None => writeln!(f)?,
            }
        }
        if self.passed() {
            writeln!(f, "{} is fit for sessions", self.directory)
        } else {
            writeln!(f, "{} is NOT fit for sessions", self.directory)?;
            writeln!(f, "NFS is to be mounted with {ADVICE}")
        }
    }
}
