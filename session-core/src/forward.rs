//! A pointer to a store is a store, and a layer passes on what it does not change.

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;

use crate::{Result, SessionStore};

/// What a method of [`SessionStore`] returns; for [`forward!`](crate::forward!).
#[doc(hidden)]
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Passes methods of [`SessionStore`] on to another store: for layers, which are stores around
/// stores, inside their `#[async_trait] impl SessionStore`.
///
/// After `self =>` stands the inner store, after the semicolon the methods to pass on. They cost
/// nothing: the inner store's future is the layer's.
///
/// With `around method`, the future of each is handed to that method of the layer, together with
/// the [`Operation`](crate::Operation) and the key, if there is one, and not started yet. Its
/// signature is that of `counted` below. `capabilities`, `principal_index` and `enumeration` have
/// no future and are passed on in the first way only.
///
/// The trait has no default bodies, so a method that is forgotten does not compile, and neither
/// does a layer that does not know a method of a later version.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use session_core::*;
///
/// #[derive(Debug)]
/// struct ReadOnly<S> {
///     inner: S,
///     refused: AtomicUsize,
/// }
///
/// impl<S: SessionStore> ReadOnly<S> {
///     async fn counted<T: Send>(
///         &self,
///         operation: Operation,
///         _key: Option<&Key>,
///         _call: impl Future<Output = Result<T>> + Send,
///     ) -> Result<T> {
///         self.refused.fetch_add(1, Ordering::Relaxed);
///         Err(Error::new(ErrorKind::Unsupported, "read only", operation))
///     }
/// }
///
/// #[async_trait::async_trait]
/// impl<S: SessionStore> SessionStore for ReadOnly<S> {
///     session_core::forward!(self => self.inner; load ping capabilities enumeration);
///     session_core::forward!(self => self.inner, around counted;
///         create save touch delete lock renew release sweep);
///
///     fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
///         None
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let store = ReadOnly { inner: MemoryStore::new(), refused: AtomicUsize::new(0) };
/// let key = KeyHasher::plain().key(&SessionId::generate()?);
/// let write = Write::new("hello", std::time::Duration::from_secs(60));
/// assert!(store.create(&key, write, OpToken::generate()?, None).await.is_err());
/// assert_eq!(store.refused.load(Ordering::Relaxed), 1);
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! forward {
    ($self:ident => $inner:expr; $($method:ident)*) => {
        $($crate::forward!(@$method $self ($inner));)*
    };
    ($self:ident => $inner:expr, around $around:ident; $($method:ident)*) => {
        $($crate::forward!(@$method $self ($inner) $around);)*
    };

    (@create $self:ident $inner:tt $($around:ident)?) => {
        fn create<'s, 'k, 'u, 'async_trait>(
            &'s $self,
            key: &'k $crate::Key,
            write: $crate::Write,
            op: $crate::OpToken,
            under: ::std::option::Option<$crate::Under<'u>>,
        ) -> $crate::StoreFuture<'async_trait, $crate::Revision>
        where
            's: 'async_trait,
            'k: 'async_trait,
            'u: 'async_trait,
            Self: 'async_trait,
        {
            let call = $inner.create(key, write, op, under);
            $crate::forward!(@call $self Create (::std::option::Option::Some(key)) call $($around)?)
        }
    };
    (@load $self:ident $inner:tt $($around:ident)?) => {
        fn load<'s, 'k, 'async_trait>(
            &'s $self,
            key: &'k $crate::Key,
            options: $crate::ReadOptions,
        ) -> $crate::StoreFuture<'async_trait, ::std::option::Option<$crate::Record>>
        where
            's: 'async_trait,
            'k: 'async_trait,
            Self: 'async_trait,
        {
            let call = $inner.load(key, options);
            $crate::forward!(@call $self Load (::std::option::Option::Some(key)) call $($around)?)
        }
    };
    (@save $self:ident $inner:tt $($around:ident)?) => {
        fn save<'s, 'k, 'e, 'async_trait>(
            &'s $self,
            key: &'k $crate::Key,
            write: $crate::Write,
            expected: $crate::Expected<'e>,
            op: $crate::OpToken,
        ) -> $crate::StoreFuture<'async_trait, $crate::Revision>
        where
            's: 'async_trait,
            'k: 'async_trait,
            'e: 'async_trait,
            Self: 'async_trait,
        {
            let call = $inner.save(key, write, expected, op);
            $crate::forward!(@call $self Save (::std::option::Option::Some(key)) call $($around)?)
        }
    };
    (@touch $self:ident $inner:tt $($around:ident)?) => {
        fn touch<'s, 'k, 'async_trait>(
            &'s $self,
            key: &'k $crate::Key,
            ttl: $crate::Ttl,
            incarnation: $crate::Incarnation,
            op: $crate::OpToken,
        ) -> $crate::StoreFuture<'async_trait, ()>
        where
            's: 'async_trait,
            'k: 'async_trait,
            Self: 'async_trait,
        {
            let call = $inner.touch(key, ttl, incarnation, op);
            $crate::forward!(@call $self Touch (::std::option::Option::Some(key)) call $($around)?)
        }
    };
    (@delete $self:ident $inner:tt $($around:ident)?) => {
        fn delete<'s, 'k, 'e, 'async_trait>(
            &'s $self,
            key: &'k $crate::Key,
            expected: $crate::Expected<'e>,
            op: $crate::OpToken,
        ) -> $crate::StoreFuture<'async_trait, ()>
        where
            's: 'async_trait,
            'k: 'async_trait,
            'e: 'async_trait,
            Self: 'async_trait,
        {
            let call = $inner.delete(key, expected, op);
            $crate::forward!(@call $self Delete (::std::option::Option::Some(key)) call $($around)?)
        }
    };
    (@lock $self:ident $inner:tt $($around:ident)?) => {
        fn lock<'s, 'k, 'async_trait>(
            &'s $self,
            key: &'k $crate::Key,
            request: $crate::LockRequest,
        ) -> $crate::StoreFuture<'async_trait, $crate::Locked>
        where
            's: 'async_trait,
            'k: 'async_trait,
            Self: 'async_trait,
        {
            let call = $inner.lock(key, request);
            $crate::forward!(@call $self Lock (::std::option::Option::Some(key)) call $($around)?)
        }
    };
    (@renew $self:ident $inner:tt $($around:ident)?) => {
        fn renew<'s, 'k, 'l, 'async_trait>(
            &'s $self,
            key: &'k $crate::Key,
            lease: &'l $crate::Lease,
            duration: ::std::time::Duration,
        ) -> $crate::StoreFuture<'async_trait, ()>
        where
            's: 'async_trait,
            'k: 'async_trait,
            'l: 'async_trait,
            Self: 'async_trait,
        {
            let call = $inner.renew(key, lease, duration);
            $crate::forward!(@call $self Renew (::std::option::Option::Some(key)) call $($around)?)
        }
    };
    (@release $self:ident $inner:tt $($around:ident)?) => {
        fn release<'s, 'k, 'l, 'async_trait>(
            &'s $self,
            key: &'k $crate::Key,
            lease: &'l $crate::Lease,
        ) -> $crate::StoreFuture<'async_trait, ()>
        where
            's: 'async_trait,
            'k: 'async_trait,
            'l: 'async_trait,
            Self: 'async_trait,
        {
            let call = $inner.release(key, lease);
            $crate::forward!(@call $self Release (::std::option::Option::Some(key)) call $($around)?)
        }
    };
    (@sweep $self:ident $inner:tt $($around:ident)?) => {
        fn sweep<'s, 'c, 'async_trait>(
            &'s $self,
            cursor: ::std::option::Option<&'c $crate::Cursor>,
            budget: $crate::SweepBudget,
        ) -> $crate::StoreFuture<'async_trait, $crate::SweepReport>
        where
            's: 'async_trait,
            'c: 'async_trait,
            Self: 'async_trait,
        {
            let call = $inner.sweep(cursor, budget);
            $crate::forward!(@call $self Sweep (::std::option::Option::None) call $($around)?)
        }
    };
    (@ping $self:ident $inner:tt $($around:ident)?) => {
        fn ping<'s, 'async_trait>(&'s $self) -> $crate::StoreFuture<'async_trait, ()>
        where
            's: 'async_trait,
            Self: 'async_trait,
        {
            let call = $inner.ping();
            $crate::forward!(@call $self Ping (::std::option::Option::None) call $($around)?)
        }
    };
    (@capabilities $self:ident $inner:tt) => {
        fn capabilities(&$self) -> &$crate::Capabilities {
            $inner.capabilities()
        }
    };
    (@principal_index $self:ident $inner:tt) => {
        fn principal_index(&$self) -> ::std::option::Option<&dyn $crate::PrincipalIndex> {
            $inner.principal_index()
        }
    };
    (@enumeration $self:ident $inner:tt) => {
        fn enumeration(&$self) -> ::std::option::Option<&dyn $crate::Enumeration> {
            $inner.enumeration()
        }
    };

    (@call $self:ident $operation:ident $key:tt $call:ident) => { $call };
    (@call $self:ident $operation:ident $key:tt $call:ident $around:ident) => {
        ::std::boxed::Box::pin($self.$around($crate::Operation::$operation, $key, $call))
    };
}

macro_rules! pointer {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: SessionStore + ?Sized> SessionStore for $pointer<S> {
            crate::forward!(self => **self;
                create load save touch delete lock renew release sweep ping
                capabilities principal_index enumeration);
        }
    };
}

pointer!(Arc);
pointer!(Box);
