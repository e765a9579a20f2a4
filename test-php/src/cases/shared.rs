//! One session, read and written by both.

use serde_json::json;

use super::{Case, Played, ensure};
use crate::{Command, Result, Worker};

/// What the writer stores.
const TEXT: &str = "naïve | text; with \"quotes\"";

/// The reader finds what the writer has stored.
async fn handed_over(writer: &mut Worker, reader: &mut Worker) -> Result<Played> {
    let id = writer.must(&Command::start_new()).await?.id;
    writer.must(&Command::set("user", TEXT)).await?;
    writer.must(&Command::set("visits", 7)).await?;
    writer.must(&Command::Close).await?;
    let found = reader.must(&Command::start(&id)).await?;
    ensure!(found.id == id, "another session was started: {found:?}");
    ensure!(json!(found.vars) == json!({"user": TEXT, "visits": 7}), "found {found:?}");
    reader.must(&Command::Close).await?;
    Ok(Played::Yes)
}

pub(super) async fn rust_reads_what_php_wrote(case: Case) -> Result<Played> {
    let [mut php, mut rust] = case.both()?;
    handed_over(&mut php, &mut rust).await
}

pub(super) async fn php_reads_what_rust_wrote(case: Case) -> Result<Played> {
    let [mut php, mut rust] = case.both()?;
    handed_over(&mut rust, &mut php).await
}

pub(super) async fn both_see_each_others_changes_in_turn(case: Case) -> Result<Played> {
    let [mut php, mut rust] = case.both()?;
    let id = php.must(&Command::start_new()).await?.id;
    php.must(&Command::set("turns", 10)).await?;
    php.must(&Command::Close).await?;
    let mut text = String::new();
    for turn in 0..10 {
        let side = if turn % 2 == 0 { &mut php } else { &mut rust };
        let found = side.must(&Command::start(&id)).await?;
        let seen = found.vars.get("text").and_then(|text| text.as_str()).unwrap_or_default();
        ensure!(seen == text, "turn {turn} found {found:?}");
        // Longer and shorter by turns: what is shorter must leave nothing of what was longer.
        text = "x".repeat(if turn % 3 == 0 { 5_000 } else { turn });
        side.must(&Command::set("text", text.as_str())).await?;
        side.must(&Command::Close).await?;
    }
    Ok(Played::Yes)
}

pub(super) async fn what_is_not_changed_stays_byte_for_byte(case: Case) -> Result<Played> {
    let [mut php, mut rust] = case.both()?;
    let id = php.must(&Command::start_new()).await?.id;
    php.must(&Command::set("price", 0.1)).await?;
    php.must(&Command::set("name", TEXT)).await?;
    php.must(&Command::Close).await?;
    for _ in 0..2 {
        for side in [&mut rust, &mut php] {
            let found = side.must(&Command::start(&id)).await?;
            ensure!(json!(found.vars) == json!({"price": 0.1, "name": TEXT}), "found {found:?}");
            side.must(&Command::Close).await?;
        }
    }
    Ok(Played::Yes)
}

pub(super) async fn a_session_without_variables_is_kept_as_php_keeps_it(
    case: Case,
) -> Result<Played> {
    for by_php in [true, false] {
        let (mut php, mut rust) = (case.strict_php()?, case.rust()?);
        let id = php.must(&Command::start_new()).await?.id;
        php.must(&Command::set("a", 1)).await?;
        php.must(&Command::Close).await?;
        let side = if by_php { &mut php } else { &mut rust };
        side.must(&Command::start(&id)).await?;
        side.must(&Command::Empty).await?;
        side.must(&Command::Close).await?;
        let found = rust.must(&Command::start(&id)).await?;
        ensure!(found.vars.is_empty(), "found {found:?}");
        rust.must(&Command::Abort).await?;
        if case.promises.strict {
            let kept = php.must(&Command::start(&id)).await?.id == id;
            ensure!(kept == case.promises.keeps_empty, "kept: {kept}, emptied by PHP: {by_php}");
            php.must(&Command::Abort).await?;
        }
    }
    Ok(Played::Yes)
}
