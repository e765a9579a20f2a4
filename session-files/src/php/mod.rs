//! Sessions that PHP's `files` handler keeps as well, at the same time.
//!
//! A session is the file `sess_ID`, locked with `flock` from the start of a page to its end, and
//! written in place, as PHP does it. The file's modification time says until when the session
//! lives: that long after it PHP's garbage collection may remove it, and here it is absent.
//!
//! What such a store promises, and what not, is in its
//! [capabilities](session_core::SessionStore::capabilities): a [`FilesStore`](crate::FilesStore)
//! promises more, so once PHP is gone, move there.

mod file;
mod gc;
mod hold;
mod layout;
mod steps;
mod store;

pub use layout::PhpLayout;
pub use store::PhpStore;
