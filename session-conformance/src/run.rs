//! One case on one store.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use session_core::Result;

use crate::{
    Backend, Case, Namespace,
    client::Client,
    context::{Context, Cx},
    outcome::{Failure, Outcome, PATIENCE, Verdict, chain, panic_text},
};

/// The time after which a case counts as hung: a case of a thousand requests may take two minutes on
/// a busy machine.
pub const HANG_BOUND: Duration = Duration::from_secs(300);

/// Runs one case in a fresh namespace. The namespace is removed if the case passes, and named in
/// the reason if it fails.
///
/// Needs a multi-threaded tokio runtime: cases are about concurrency.
pub async fn run_case(backend: Arc<dyn Backend>, case: &'static Case) -> Verdict {
    let context = match open(&backend).await {
        Ok(context) => Arc::new(context),
        Err(error) => return Verdict::Failed(format!("cannot open the store: {}", chain(&error))),
    };
    if let Some(reason) = case.unmet(&*backend, &*context.a) {
        return Verdict::Ignored(reason);
    }
    match bounded(case, &context).await {
        Ok(()) => match clean(&context).await {
            Ok(()) => Verdict::Passed(context.take_note()),
            Err(error) => Verdict::Failed(format!("cannot clean up: {}", chain(&error))),
        },
        Err(failure) => {
            let kept: Vec<_> = context.namespaces().iter().map(ToString::to_string).collect();
            Verdict::Failed(format!("{failure}; kept for inspection: {}", kept.join(", ")))
        }
    }
}

async fn open(backend: &Arc<dyn Backend>) -> Result<Context> {
    let namespace = Namespace::fresh()?;
    let store = backend.open(&namespace).await?;
    Ok(Context::new(Arc::clone(backend), namespace, Client::new(store)))
}

async fn bounded(case: &Case, context: &Cx) -> Outcome {
    let mut task = tokio::spawn((case.run)(Arc::clone(context)));
    match tokio::time::timeout(HANG_BOUND, &mut task).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => {
            let text = error.try_into_panic().map_or_else(|error| error.to_string(), panic_text);
            Err(Failure::new(format_args!("panicked: {text}")))
        }
        Err(_) => {
            task.abort();
            Err(Failure::new(format_args!("hung: not done after {HANG_BOUND:?}")))
        }
    }
}

/// Removes what the case has used. The last locks that it dropped may be given back in that very
/// moment, so what cannot be removed is tried again for a while.
async fn clean(context: &Context) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    for namespace in context.namespaces() {
        while let Err(error) = context.backend().cleanup(&namespace).await {
            if Instant::now() > until {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}
