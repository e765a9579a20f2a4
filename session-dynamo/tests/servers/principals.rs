//! Epochs, and the index of principals.

use session_core::{
    ErrorKind, Expected, Key, KeyHasher, Meta, PrincipalDigest, PrincipalIndex, SessionStore, Write,
};
use session_dynamo::DynamoStore;
use test_load::{HOUR, new_key, op};
use test_servers::{
    TestResult,
    dynamodb::{Front, Server},
};

use crate::support::{World, builder, new_table};

const INDEX: &str = "principals";

fn of(principal: PrincipalDigest) -> Write {
    Write::new("x", HOUR).with_meta(Meta::new().with_principal(Some(principal), 0))
}

fn index(store: &DynamoStore) -> &dyn PrincipalIndex {
    store.principal_index().unwrap()
}

pub(crate) async fn epochs_need_no_index_and_lists_do() -> TestResult {
    let world = World::start().await?;
    let (store, alice) = (&world.store, KeyHasher::plain().principal("alice"));
    let (epoch, sent) = world.sent(index(store).epoch(&alice)).await;
    assert_eq!((epoch?, sent), (0, vec!["GetItem".to_owned()]));
    let (epoch, sent) = world.sent(index(store).bump_epoch(&alice)).await;
    assert_eq!((epoch?, sent), (1, vec!["UpdateItem".to_owned()]));
    assert_eq!(index(&world.other).bump_epoch(&alice).await?, 2);
    assert_eq!(index(store).epoch(&alice).await?, 2);
    assert_eq!(index(store).epoch(&KeyHasher::plain().principal("bob")).await?, 0);
    let (listed, sent) = world.sent(index(store).list(&alice, None, 10)).await;
    assert_eq!(listed.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(sent.is_empty(), "{sent:?}");
    let (revoked, sent) = world.sent(index(store).revoke(&alice, None)).await;
    assert_eq!(revoked.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(sent.is_empty(), "{sent:?}");
    Ok(())
}

/// The table is made with the index; a session is written as without it.
pub(crate) async fn an_index_adds_queries_and_nothing_else() -> TestResult {
    let server = Server::shared().await?;
    let (front, table) = (Front::start(&server.address()).await?, new_table());
    let builder = || builder(&front.url(), &table).principal_index(INDEX);
    builder().create_table().await?;
    let store = builder().open().await?;
    let (alice, bob) = (KeyHasher::plain().principal("alice"), KeyHasher::plain().principal("bob"));
    front.forget();
    let (first, second) = (new_key(), new_key());
    let revision = store.create(&first, of(alice), op(), None).await?;
    store.create(&second, of(alice), op(), None).await?;
    store.save(&first, of(bob), Expected::Revision(revision), op()).await?;
    let sent = |front: &Front| -> Vec<String> {
        front.sent().into_iter().map(|request| request.operation).collect()
    };
    assert_eq!(sent(&front), ["UpdateItem"; 3]);
    front.forget();
    let listed = index(&store).list(&alice, None, 10).await?.keys;
    assert!(listed.iter().map(Key::digest).eq([second.digest()]), "{listed:?}");
    assert_eq!(sent(&front), ["Query", "GetItem"]);
    front.forget();
    assert_eq!(index(&store).revoke(&alice, None).await?, 1);
    assert_eq!(sent(&front), ["Query", "GetItem", "DeleteItem"]);
    assert!(index(&store).list(&alice, None, 10).await?.keys.is_empty());
    let listed = index(&store).list(&bob, None, 10).await?.keys;
    assert!(listed.iter().map(Key::digest).eq([first.digest()]), "{listed:?}");
    Ok(())
}

pub(crate) async fn an_index_that_is_not_there_is_told() -> TestResult {
    let world = World::start().await?;
    let url = Server::shared().await?.url();
    let error = builder(&url, &world.table).principal_index(INDEX).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("index"), "{error}");
    Ok(())
}
