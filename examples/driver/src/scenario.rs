//! What holds of every example, over plain HTTP.

use std::collections::BTreeSet;

use hyper::{Method, StatusCode, header::CACHE_CONTROL};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    Result,
    client::{Client, Reply},
    ensure,
    fleet::Fleet,
};

/// How many requests are sent at once.
const PARALLEL: usize = 50;
const THOUSAND: usize = 1_000;
/// So many of them at once, for one session in a kernel with one processor.
const COUNTERS: usize = 20;
/// How many users log in, and how often each of them clicks.
const USERS: usize = 200;
const ROUNDS: usize = 2;

/// A session made by one instance is known to the other, and to both after a restart.
pub(crate) async fn a_session_outlives_its_instance(mut fleet: Fleet) -> Result {
    let user = login(&fleet, "ada").await?;
    expect_user(&user.me(fleet.b.address()).await?, Some("ada"))?;
    fleet.restart().await?;
    expect_user(&user.me(fleet.a.address()).await?, Some("ada"))?;
    expect_user(&user.me(fleet.b.address()).await?, Some("ada"))
}

/// Who has not logged in gets no cookie by looking.
pub(crate) async fn looking_sets_no_cookie(fleet: Fleet) -> Result {
    for path in ["/", "/me", "/healthz"] {
        let reply = Client::new().get(fleet.a.address(), path).await?;
        ensure(reply.cookie().is_none(), || format!("{path} set a cookie: {reply:?}"))?;
    }
    Ok(())
}

/// Logging in changes the id, and the answer that sets the cookie is not to be stored.
pub(crate) async fn login_changes_the_id(fleet: Fleet) -> Result {
    let mut user = login(&fleet, "ada").await?;
    let before = user.cookie.clone();
    let reply = user.post_and_keep(fleet.b.address(), "/login", "user=grace").await?;
    ensure(user.cookie.is_some() && user.cookie != before, || "the id stayed".to_owned())?;
    expect_user(&user.me(fleet.a.address()).await?, Some("grace"))?;
    let caching = reply.headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
    ensure(caching.is_some_and(|value| value.contains("no-store")), || format!("{caching:?}"))
}

/// An id that the example never issued is not taken over.
pub(crate) async fn a_foreign_id_is_not_adopted(fleet: Fleet) -> Result {
    let user = login(&fleet, "ada").await?;
    let cookie = user.cookie.unwrap_or_default();
    let planted = flip_last(&cookie);
    let mut victim = Client::presenting(&planted);
    expect_user(&victim.me(fleet.a.address()).await?, None)?;
    victim.post_and_keep(fleet.a.address(), "/login", "user=grace").await?;
    ensure(victim.cookie.as_ref() != Some(&planted), || "the planted id was adopted".to_owned())?;
    expect_user(&Client::presenting(&planted).me(fleet.b.address()).await?, None)
}

/// Requests of one session at the same time, at both instances, each put their own item into the
/// cart: all items are there in the end.
pub(crate) async fn parallel_edits_of_the_cart_are_all_kept(fleet: Fleet) -> Result {
    let user = login(&fleet, "ada").await?;
    let items: BTreeSet<String> = (0..PARALLEL).map(|number| format!("item-{number}")).collect();
    let form = |number: usize| format!("item=item-{number}");
    in_parallel(&fleet, &user, PARALLEL, "/cart", form).await?;
    let me = user.me(fleet.a.address()).await?;
    let cart = me.get("cart").and_then(Value::as_array).ok_or("no cart")?;
    let cart: BTreeSet<String> = cart.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let lost: Vec<_> = items.difference(&cart).collect();
    ensure(lost.is_empty() && cart.len() == PARALLEL, || format!("lost {lost:?}"))
}

/// As many counts at the same time, at both instances, as are asked for: none is lost, and none
/// is answered twice.
pub(crate) async fn parallel_counts_are_exact(fleet: Fleet) -> Result {
    let user = login(&fleet, "ada").await?;
    let replies = in_parallel(&fleet, &user, PARALLEL, "/count", |_| String::new()).await?;
    expect_counts(&fleet, &user, replies).await
}

/// So many counts are lost by nobody, however many pairs of them meet.
pub(crate) async fn a_thousand_counts_are_exact(
    fleet: &Fleet,
    tell: impl Fn(String) + Sync,
) -> Result {
    let user = login(fleet, "ada").await?;
    let mut replies = Vec::new();
    while replies.len() < THOUSAND {
        replies.extend(in_parallel(fleet, &user, COUNTERS, "/count", |_| String::new()).await?);
        tell(format!("{} counts", replies.len()));
    }
    expect_counts(fleet, &user, replies).await
}

/// Users log in at either instance, and click at both in turns.
pub(crate) async fn all_users_stay_logged_in(
    fleet: &Fleet,
    tell: impl Fn(String) + Sync,
) -> Result {
    let mut users = Vec::new();
    for number in 0..USERS {
        let mut client = Client::new();
        let name = format!("user-{number}");
        let to = fleet.balance(number);
        client.post_and_keep(to, "/login", &format!("user={name}")).await?;
        users.push((name, client));
        if let Some(users) = a_step(number) {
            tell(format!("{users} users have logged in"));
        }
    }
    for round in 0..ROUNDS {
        for (number, (name, client)) in users.iter().enumerate() {
            let to = fleet.balance(number + round + 1);
            expect_user(&client.me(to).await?, Some(name))?;
            let counted = count(&client.post(to, "/count", "").await?.json()?);
            ensure(counted == round as u64 + 1, || format!("{name} counted {counted}"))?;
            if let Some(users) = a_step(number) {
                tell(format!("{users} users, {counted} clicks of each"));
            }
        }
    }
    Ok(())
}

/// So many users are done with this one, if that is worth a word.
fn a_step(number: usize) -> Option<usize> {
    Some(number + 1).filter(|users| users.is_multiple_of(PARALLEL))
}

/// Handlers that hold the session's lock take turns, and so count exactly although they read
/// first and write later.
pub(crate) async fn exclusive_requests_take_turns(fleet: Fleet) -> Result {
    let user = login(&fleet, "ada").await?;
    let replies = in_parallel(&fleet, &user, 8, "/exclusive?ms=20", |_| String::new()).await?;
    expect_counts(&fleet, &user, replies).await
}

/// After a log-out the old cookie is worth nothing, at either instance, and stays so.
pub(crate) async fn a_log_out_is_final(fleet: Fleet) -> Result {
    let mut user = login(&fleet, "ada").await?;
    let old = Client { cookie: user.cookie.clone() };
    user.post_and_keep(fleet.a.address(), "/logout", "").await?;
    ensure(user.cookie.is_none(), || "the cookie was not removed".to_owned())?;
    expect_refused(&fleet, &old).await?;
    old.send(fleet.a.address(), Method::POST, "/cart", "item=late").await?;
    expect_refused(&fleet, &old).await
}

/// A cookie that once was good shows nobody at either instance.
pub(crate) async fn expect_refused(fleet: &Fleet, old: &Client) -> Result {
    for address in [fleet.a.address(), fleet.b.address()] {
        let reply = old.send(address, Method::GET, "/me", "").await?;
        if reply.status != StatusCode::UNAUTHORIZED {
            expect_user(&reply.json()?, None)?;
        }
    }
    Ok(())
}

/// The example answers that it is well.
pub(crate) async fn it_says_that_it_is_well(fleet: Fleet) -> Result {
    Client::new().get(fleet.a.address(), "/healthz").await.map(drop)
}

/// What one instance stored is shown by the other, under the same name of the session.
pub(crate) async fn the_name_is_known_to_every_instance(fleet: Fleet) -> Result {
    let mut user = Client::new();
    let path = "/test/index?name=foobar";
    let reply = user.send(fleet.a.address(), Method::GET, path, "").await?;
    user.cookie = reply.cookie();
    let (stored, shown) =
        (reply.json()?, user.get(fleet.b.address(), "/test/index").await?.json()?);
    let same = |key| stored.get(key).filter(|value| value.is_string()) == shown.get(key);
    let text = |value: &Value, key| value.get(key).and_then(Value::as_str).map(str::to_owned);
    ensure(text(&shown, "name").as_deref() == Some("foobar") && same("session"), || {
        format!("stored {stored}, shown {shown}")
    })?;
    let instances = [text(&stored, "instance"), text(&shown, "instance")];
    ensure(instances == [Some("a".to_owned()), Some("b".to_owned())], || format!("{instances:?}"))
}

async fn login(fleet: &Fleet, user: &str) -> Result<Client> {
    let mut client = Client::new();
    client.post_and_keep(fleet.a.address(), "/login", &format!("user={user}")).await?;
    ensure(client.cookie.is_some(), || "no cookie was set at login".to_owned())?;
    Ok(client)
}

/// Posts `number` times at once, by turns to both instances.
async fn in_parallel(
    fleet: &Fleet,
    user: &Client,
    number: usize,
    path: &'static str,
    form: impl Fn(usize) -> String,
) -> Result<Vec<Reply>> {
    let mut requests = JoinSet::new();
    for number in 0..number {
        let (user, to, form) = (user.clone(), fleet.balance(number), form(number));
        requests.spawn(async move { user.post(to, path, &form).await });
    }
    requests.join_all().await.into_iter().collect()
}

/// The replies hold 1, 2, 3 and so on, in any order, and the session the last of them.
async fn expect_counts(fleet: &Fleet, user: &Client, replies: Vec<Reply>) -> Result {
    let expected: BTreeSet<u64> = (1..).take(replies.len()).collect();
    let counts: Result<BTreeSet<u64>> =
        replies.iter().map(|reply| Ok(count(&reply.json()?))).collect();
    let counts = counts?;
    ensure(counts == expected, || format!("answered were {counts:?}"))?;
    let last = count(&user.me(fleet.b.address()).await?);
    ensure(Some(&last) == expected.last(), || format!("{last} is stored"))
}

fn count(of: &Value) -> u64 {
    of.get("count").and_then(Value::as_u64).unwrap_or(0)
}

fn expect_user(me: &Value, expected: Option<&str>) -> Result {
    let user = me.get("user").and_then(Value::as_str);
    ensure(user == expected, || format!("user is {user:?}, not {expected:?}"))
}

/// Another id of the same form.
fn flip_last(cookie: &str) -> String {
    let mut flipped = cookie.to_owned();
    let last = flipped.pop();
    flipped.push(if last == Some('A') { 'Q' } else { 'A' });
    flipped
}
