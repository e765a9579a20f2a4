//! Waiting for a state.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::{Error, Result};

const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(50);

/// Looks again and again until there is something to see. An error means not yet.
///
/// # Errors
/// After `limit`, with the last error that was seen.
pub async fn until<T, F>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> F + Send,
) -> Result<T>
where
    F: Future<Output = Result<Option<T>>> + Send,
    T: Send,
{
    let deadline = Instant::now() + limit;
    let (mut last, mut pause) = (String::new(), SHORTEST);
    loop {
        match timeout_at(deadline, look()).await {
            Ok(Ok(Some(seen))) => return Ok(seen),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => last = format!(": {error}"),
            Err(_) => return Err(Error::new(format!("no {what} after {limit:?}{last}"))),
        }
        if Instant::now() + pause >= deadline {
            return Err(Error::new(format!("no {what} after {limit:?}{last}")));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_deadline_holds_even_when_a_look_hangs() {
        let limit = Duration::from_millis(20);
        let hangs = || std::future::pending::<Result<Option<()>>>();
        assert!(until("reply", limit, hangs).await.unwrap_err().to_string().contains("no reply"));
        let fails = || async { Err::<Option<()>, _>(Error::new("refused")) };
        let error = until("reply", limit, fails).await.unwrap_err().to_string();
        assert_eq!(error, "no reply after 20ms: refused");
    }
}
