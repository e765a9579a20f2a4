//! The contract, executable: one function a case, one file a subject.
//!
//! Each function's first line says *given, when, then*. To add a case, write the function, add
//! its line to the table at the top of its file and, if it is a new file, the file's table to
//! `TABLES` below.

use crate::Case;

mod cancel;
mod create;
mod damage;
mod declared;
mod delete;
mod expiry;
mod fault;
mod fencing;
mod handle_cancel;
mod handle_crash;
mod handle_expiry;
mod handle_format;
mod handle_lease;
mod handle_logout;
mod handle_lost;
mod handle_parallel;
mod handle_principal;
mod handle_release;
mod handle_rotation;
mod handle_save;
mod handle_secrets;
mod handle_trips;
mod ids;
mod index;
mod lease;
mod lock;
mod read;
mod rules;
mod save;
mod sweep;
mod touch;

/// Writes a file's table: number, function, and what it needs.
macro_rules! cases {
    ($($number:literal $name:ident $([$($need:ident),+])?;)+) => {
        pub(super) const CASES: &[$crate::Case] = &[$($crate::Case {
            number: $number,
            name: stringify!($name),
            needs: &[$($($crate::Need::$need),+)?],
            run: |cx| Box::pin($name(cx)),
        }),+];
    };
}
use cases;

const TABLES: &[&[Case]] = &[
    create::CASES,
    read::CASES,
    save::CASES,
    delete::CASES,
    ids::CASES,
    damage::CASES,
    expiry::CASES,
    touch::CASES,
    sweep::CASES,
    lock::CASES,
    cancel::CASES,
    lease::CASES,
    fencing::CASES,
    index::CASES,
    fault::CASES,
    declared::CASES,
    rules::CASES,
    handle_save::CASES,
    handle_format::CASES,
    handle_parallel::CASES,
    handle_logout::CASES,
    handle_expiry::CASES,
    handle_rotation::CASES,
    handle_principal::CASES,
    handle_crash::CASES,
    handle_release::CASES,
    handle_lease::CASES,
    handle_cancel::CASES,
    handle_lost::CASES,
    handle_secrets::CASES,
    handle_trips::CASES,
];

/// All cases, by subject.
pub fn all() -> impl Iterator<Item = &'static Case> {
    TABLES.iter().copied().flatten()
}

/// The case with this [id](Case::id), number or name; the first one if there are several.
#[must_use]
pub fn find(name: &str) -> Option<&'static Case> {
    all().find(|case| case.number == name || case.name == name || case.id() == name)
}
