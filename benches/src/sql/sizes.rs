//! How the cost grows with the payload.

use super::{Place, contenders_of};
use crate::{
    measure::{Operation, Plan, Result, Role},
    report::Table,
    rounds::{Rounds, Series, bare},
    setup::Setup,
};

const KIB: [f64; 6] = [0.25, 1.0, 4.0, 16.0, 64.0, 256.0];
const SESSIONS: usize = 400;
const TASKS: usize = 16;

pub(super) async fn run(place: &Place, plan: Plan) -> Result<Table> {
    let mut rows = Vec::new();
    for kib in KIB {
        let setup = Setup::of(SESSIONS, (kib * 1024.0) as usize);
        let mut contenders = contenders_of(place, &setup).await?;
        contenders.retain(|one| {
            matches!(one.operation, Operation::Read | Operation::Write)
                && matches!(one.role, Role::Ours | Role::Bare)
        });
        let plan = Plan { sessions: SESSIONS, ..plan };
        let rounds = Rounds { plan, tasks: vec![TASKS], rounds: 3 };
        rows.push(row(kib, &rounds.run(&contenders).await?));
    }
    let title = "Growth with the payload, 16 tasks (medians of three rounds)";
    let head = vec!["KiB", "loads/s", "of bare", "p50 us", "saves/s", "of bare", "p50 us"];
    Ok(Table { title, head, rows })
}

fn row(kib: f64, all: &[Series]) -> Vec<String> {
    let mut row = vec![kib.to_string()];
    for operation in [Operation::Read, Operation::Write] {
        let ours = |one: &&Series| one.operation == operation && one.role == Role::Ours;
        let (Some(ours), Some(bare)) = (all.iter().find(ours), bare(all, operation, TASKS)) else {
            continue;
        };
        let median = ours.median();
        row.push(format!("{:.0}", median.per_second));
        row.push(format!("{:.0} %", ours.ratio(bare) * 100.0));
        row.push(format!("{:.0}", median.p50));
    }
    row
}
