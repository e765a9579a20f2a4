#![cfg_attr(
    all(doc, not(feature = "encryption")),
    expect(rustdoc::broken_intra_doc_links, reason = "the page names every layer")
)]
#![doc = include_str!("../README.md")]

#[cfg(feature = "encryption")]
mod encryption;

#[cfg(feature = "encryption")]
pub use encryption::{Encrypted, EncryptionKey, KeyId, KeyRing};
