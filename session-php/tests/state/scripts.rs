//! Scripts, played by both.

use std::{collections::BTreeSet, error::Error};

use fastrand::Rng;

use crate::{
    draw::{self, Script},
    ours,
    php::{Php, Played},
};

async fn both(php: &Php, script: &Script) -> (Played, Played) {
    let theirs = php.play(script);
    let ours = ours::play(script, &theirs, php).await;
    (ours, theirs)
}

/// Takes away what the difference does not need.
async fn shrunk(php: &Php, mut script: Script) -> Script {
    loop {
        let mut smaller = Vec::new();
        for at in 0..script.ops.len() {
            let mut less = script.clone();
            less.ops.remove(at);
            smaller.push(less);
        }
        smaller.extend((0..script.fails.len()).map(|at| {
            let mut less = script.clone();
            less.fails.remove(at);
            less
        }));
        let parts: [fn(&mut Script); 5] = [
            |it| it.cookies = None,
            |it| it.query = None,
            |it| it.form = None,
            |it| it.referer = None,
            |it| it.store.clear(),
        ];
        smaller.extend(parts.into_iter().map(|part| {
            let mut less = script.clone();
            part(&mut less);
            less
        }));
        let size = format!("{script:?}").len();
        let mut found = None;
        for less in smaller.into_iter().filter(|less| format!("{less:?}").len() < size) {
            let (ours, theirs) = both(php, &less).await;
            if ours != theirs {
                found = Some(less);
                break;
            }
        }
        match found {
            Some(less) => script = less,
            None => return script,
        }
    }
}

fn report(script: &Script, ours: &Played, theirs: &Played) -> String {
    let mut text = format!("{script:#?}\n");
    for (at, (ours, theirs)) in ours.steps.iter().zip(&theirs.steps).enumerate() {
        if ours != theirs {
            text += &format!("step {at}:\nPHP  {theirs:#?}\nours {ours:#?}\n");
        }
    }
    if ours.headers != theirs.headers {
        text += &format!("PHP  {:#?}\nours {:#?}\n", theirs.headers, ours.headers);
    }
    text
}

pub(crate) async fn scripts_run_as_they_do_in_php(
    mut rng: Rng,
    cases: usize,
) -> Result<String, Box<dyn Error>> {
    let php = Php::start().await?;
    let (mut operations, mut calls, mut headers) = (0, 0, 0);
    let mut messages = BTreeSet::new();
    for case in 0..cases {
        let script = draw::script(&mut rng);
        let (ours, theirs) = both(&php, &script).await;
        if ours != theirs {
            let least = shrunk(&php, script).await;
            let (ours, theirs) = both(&php, &least).await;
            return Err(format!("script {case}\n{}", report(&least, &ours, &theirs)).into());
        }
        operations += script.ops.len();
        headers += theirs.headers.len();
        for step in theirs.steps {
            calls += step.calls.len();
            messages.extend(step.says);
        }
    }
    assert!(calls > cases && headers > cases && messages.len() > 60, "there was too little to see");
    Ok(format!(
        "{operations} operations with the same {calls} calls, {headers} headers and {} different messages",
        messages.len()
    ))
}
