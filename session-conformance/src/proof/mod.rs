//! What the memory store alone cannot prove: cases that need an ability of the fixture, and cases
//! for stores that declare less.

mod sealed;
mod weak;

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::{Backend, Case, Verdict, cases, run_case};

/// Runs these cases, many at a time.
async fn run_all(
    backend: impl Backend,
    chosen: impl Iterator<Item = &'static Case>,
) -> Vec<(String, Verdict)> {
    let backend: Arc<dyn Backend> = Arc::new(backend);
    let mut tasks = JoinSet::new();
    for case in chosen {
        let backend = Arc::clone(&backend);
        tasks.spawn(async move { (case.id(), run_case(backend, case).await) });
    }
    tasks.join_all().await
}

/// Runs all cases; returns the ids of those that passed.
async fn passes_all(backend: impl Backend) -> Vec<String> {
    let verdicts = run_all(backend, cases::all()).await;
    let failed: Vec<_> =
        verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Failed(_))).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let passed = |(id, verdict)| matches!(verdict, Verdict::Passed(_)).then_some(id);
    verdicts.into_iter().filter_map(passed).collect()
}
