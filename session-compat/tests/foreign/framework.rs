//! The foreign frameworks, with our stores.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use session_compat::{ActixStore, TowerStore};
use session_core::{Lifetime, MergeRule, SessionManagerBuilder, SessionStore};
use session_http::{
    WebSessions,
    scenarios::{Adapter, Browser, Server, TestApp},
};

use crate::{actix, app::App, tower};

/// How long sessions live, in seconds.
pub(crate) const LIFE: i64 = 600;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framework {
    Tower014,
    Tower015,
    Actix,
}

/// A framework with its settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Foreign {
    pub(crate) framework: Framework,
    /// Whether requests that change nothing extend the session: `always_save`, `OnEveryRequest`.
    pub(crate) extends: bool,
    /// What becomes of a count that several requests changed at once.
    pub(crate) count: MergeRule,
}

impl Framework {
    pub(crate) const ALL: [Self; 3] = [Self::Tower014, Self::Tower015, Self::Actix];

    pub(crate) fn is_tower(self) -> bool {
        self != Self::Actix
    }
}

impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tower014 => "tower-sessions-0.14",
            Self::Tower015 => "tower-sessions-0.15",
            Self::Actix => "actix-session-0.11",
        })
    }
}

impl Foreign {
    pub(crate) fn new(framework: Framework) -> Self {
        Self { framework, extends: false, count: MergeRule::LastWins }
    }

    pub(crate) fn extending(self) -> Self {
        Self { extends: true, ..self }
    }

    pub(crate) fn counting(self) -> Self {
        Self { count: MergeRule::Counter, ..self }
    }

    /// A server of the application with its sessions in `store`.
    pub(crate) async fn server(self, store: Arc<dyn SessionStore>, app: App) -> Box<dyn Server> {
        match self.framework {
            Framework::Tower014 => tower::v014::serve(self.for_tower(store), app, self.extends),
            Framework::Tower015 => tower::v015::serve(self.for_tower(store), app, self.extends),
            Framework::Actix => {
                let manager = self.set(ActixStore::manager(store)).build().unwrap();
                let store = ActixStore::from_manager(manager).unwrap();
                actix::serve(store, app, self.extends).await
            }
        }
    }

    /// A browser in front of such a server.
    pub(crate) async fn browser(self, store: &Arc<dyn SessionStore>, gate: &TestApp) -> Browser {
        Browser::new(self.server(Arc::clone(store), App::new(gate.clone())).await)
    }

    fn for_tower(self, store: Arc<dyn SessionStore>) -> TowerStore {
        let manager = self.set(TowerStore::manager(store)).build().unwrap();
        TowerStore::from_manager(manager).unwrap()
    }

    fn set(self, manager: SessionManagerBuilder) -> SessionManagerBuilder {
        let idle = Duration::from_secs(LIFE.unsigned_abs());
        manager.lifetime(Lifetime::new(idle, Some(idle * 6))).merge_rule("count", self.count)
    }
}

#[async_trait(?Send)]
impl Adapter for Foreign {
    async fn serve(&self, sessions: WebSessions, app: TestApp) -> Box<dyn Server> {
        self.server(Arc::clone(sessions.manager().store()), App::new(app)).await
    }
}
