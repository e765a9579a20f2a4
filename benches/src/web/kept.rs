//! What is left of updates that many clients make at once.

use std::{net::SocketAddr, sync::Arc};

use tokio::{sync::Barrier, task::JoinSet};

use super::{Site, client::Client};
use crate::{measure::Result, report::Table};

const CLIENTS: usize = 50;
const UPDATES: usize = 4;
const BURSTS: usize = 5;

/// Lets them add to one session of each site, several times.
pub(crate) async fn table(sites: &[Site]) -> Result<Table> {
    let mut rows = Vec::new();
    for site in sites {
        rows.push(row(site).await?);
    }
    Ok(Table {
        title: "50 clients add to one session: updates kept out of updates made",
        head: vec!["", "requests", "answered 200 (updates made)", "entries kept", "counts kept"],
        rows,
    })
}

async fn row(site: &Site) -> Result<Vec<String>> {
    let [mut made, mut entries, mut counts] = [0; 3];
    for _ in 0..BURSTS {
        let mut client = Client::connect(site.address).await?;
        let begun = client.get("/fill/x", "").await?;
        let cookie: Arc<str> = begun.cookie.ok_or("no cookie was set")?.into();
        made += burst(site.address, &cookie).await?;
        let kept = client.get(&format!("/kept/{}", CLIENTS * UPDATES), &cookie).await?.body;
        let (entry, count) = kept.split_once(' ').ok_or("not what was kept")?;
        entries += entry.parse::<usize>()?;
        counts += count.parse::<usize>()?;
    }
    let of = |kept: usize| format!("{kept} of {made}");
    let requests = (BURSTS * CLIENTS * UPDATES).to_string();
    Ok(vec![site.name.to_owned(), requests, made.to_string(), of(entries), of(counts)])
}

/// How many requests were answered with 200.
async fn burst(address: SocketAddr, cookie: &Arc<str>) -> Result<usize> {
    let together = Arc::new(Barrier::new(CLIENTS));
    let mut clients = JoinSet::new();
    for index in 0..CLIENTS {
        let (together, cookie) = (Arc::clone(&together), Arc::clone(cookie));
        clients.spawn(async move {
            let mut client = Client::connect(address).await?;
            together.wait().await;
            let mut made = 0;
            for update in 0..UPDATES {
                let path = format!("/add/k{}", index * UPDATES + update);
                made += usize::from(client.get(&path, &cookie).await?.status == 200);
            }
            Result::Ok(made)
        });
    }
    let mut made = 0;
    while let Some(client) = clients.join_next().await {
        made += client??;
    }
    Ok(made)
}
