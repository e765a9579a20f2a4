//! The store in the files of PHP's handler, for the suite.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use session_conformance::{Backend, Layout, Namespace};
use session_core::{
    Cursor, Enumeration, Expected, Incarnation, Key, KeyHasher, KeyPage, Lease, LockRequest,
    Locked, OpToken, PrincipalIndex, ReadOptions, Record, Result, Revision, SessionId,
    SessionStore, Ttl, Under, Write,
};
use session_files::php::{PhpLayout, PhpStore};
use tempfile::TempDir;

use crate::directory::{PATIENCE, failed};

/// A directory below this one for each namespace, by the file server's clock.
#[derive(Debug)]
pub(crate) struct PhpDirectory(PathBuf);

impl PhpDirectory {
    pub(crate) fn new(directory: &TempDir) -> Self {
        Self(directory.path().to_owned())
    }
}

#[async_trait]
impl Backend for PhpDirectory {
    fn name(&self) -> &str {
        "files-php"
    }

    fn layout(&self) -> Layout {
        Layout::Foreign
    }

    fn longest_id(&self) -> usize {
        // With room for what is spelled in two characters.
        200
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        let directory = self.0.join(namespace.as_str());
        std::fs::create_dir_all(&directory).map_err(failed)?;
        let mut layout = PhpLayout::new(directory).with_lifetime(Duration::from_secs(3_600));
        layout.timeout = PATIENCE;
        Ok(Arc::new(Spelled(PhpStore::open(layout).await?)))
    }

    async fn cleanup(&self, namespace: &Namespace) -> Result<()> {
        std::fs::remove_dir_all(self.0.join(namespace.as_str())).map_err(failed)
    }
}

/// The suite's ids have a `_`, which PHP's files must not have; a comma is what spells it.
#[derive(Debug)]
struct Spelled(PhpStore);

fn respelled(key: &Key, spell: impl Fn(&str) -> String) -> Key {
    let id = key.secret().map(|id| SessionId::parse(&spell(id.expose())));
    id.and_then(Result::ok).map_or_else(|| key.clone(), |id| KeyHasher::plain().key(&id))
}

fn there(key: &Key) -> Key {
    respelled(key, |id| id.replace(',', ",c").replace('_', ",u"))
}

fn back(key: &Key) -> Key {
    respelled(key, |id| id.replace(",u", "_").replace(",c", ","))
}

#[async_trait]
impl SessionStore for Spelled {
    session_core::forward!(self => self.0; sweep ping capabilities);

    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        self.0.create(&there(key), write, op, under).await
    }

    async fn load(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        self.0.load(&there(key), options).await
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        self.0.save(&there(key), write, expected, op).await
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        op: OpToken,
    ) -> Result<()> {
        self.0.touch(&there(key), ttl, incarnation, op).await
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, op: OpToken) -> Result<()> {
        self.0.delete(&there(key), expected, op).await
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        self.0.lock(&there(key), request).await
    }

    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        self.0.renew(&there(key), lease, duration).await
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        self.0.release(&there(key), lease).await
    }

    fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
        self.0.principal_index()
    }

    fn enumeration(&self) -> Option<&dyn Enumeration> {
        Some(self)
    }
}

#[async_trait]
impl Enumeration for Spelled {
    async fn keys(&self, cursor: Option<&Cursor>, limit: usize) -> Result<KeyPage> {
        let mut page = Enumeration::keys(&self.0, cursor, limit).await?;
        for key in &mut page.keys {
            *key = back(key);
        }
        Ok(page)
    }
}
