//! The item that says where the leases of a table are. Without it they are in the items of sessions.

use session_core::{Error, Operation, Result};

use crate::{
    DynamoStore, Leases,
    config::wrong,
    expression::Expression,
    fault::Fault,
    item::{FORMAT, FORMAT_1, MARK, number},
    link::{Page, Part, Statement},
    walk::{WHOLE, values},
};

/// How many items are looked at for a session, before a table is taken for a new one.
const LOOKED_AT: usize = 100;
const ASIDE: u64 = 1;
const OPEN: Operation = Operation::Open;

/// Reads whether leases are kept aside.
pub(crate) async fn read(store: &DynamoStore, operation: Operation) -> Result<bool> {
    let link = &store.0.link;
    let read = link.get(&store.0.keys.mark(), Part::Mark, link.call(operation)).await;
    let item = read.map_err(|fault| fault.into_error(operation, false))?;
    Ok(item.contains_key(MARK))
}

/// Refuses a table whose leases are elsewhere, and marks a new one.
pub(crate) async fn check(store: &DynamoStore, leases: Leases) -> Result<()> {
    match (leases, read(store, OPEN).await?) {
        (Leases::InItem, false) | (Leases::Aside, true) => Ok(()),
        (Leases::InItem, true) => {
            Err(wrong("the table keeps its leases aside: it needs session.leases=aside"))
        }
        (Leases::Aside, false) if is_used(store).await? => {
            Err(wrong("the table has sessions with their leases in them: session.leases=in_item"))
        }
        (Leases::Aside, false) => set(store).await,
    }
}

/// Whether there are sessions, as far as a short look tells.
async fn is_used(store: &DynamoStore) -> Result<bool> {
    let page = Page {
        filter: "f = :f AND begins_with(id, :prefix) AND x > :now",
        values: values(store),
        segment: WHOLE,
        after: None,
        limit: LOOKED_AT,
        consistent: true,
    };
    let link = &store.0.link;
    let (page, _) = link.scan(page, link.call(OPEN)).await.map_err(failed)?;
    Ok(page.count() > 0)
}

async fn set(store: &DynamoStore) -> Result<()> {
    let mark = Expression::default().set(FORMAT, number(FORMAT_1)).set(MARK, number(ASIDE));
    let link = &store.0.link;
    let marked = link.write(&store.0.keys.mark(), &Statement::Update(mark), link.call(OPEN)).await;
    marked.map(drop).map_err(failed)
}

fn failed(fault: Fault) -> Error {
    fault.into_error(OPEN, false)
}
