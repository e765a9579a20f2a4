//! What only real servers can tell: round trips, log-ins, limits, expiries.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod counts;
mod limits;
mod refusals;
mod wire;

use std::process::ExitCode;

use test_servers::{
    memcached::{Options, Server},
    trial,
};

/// Tests that need a server.
macro_rules! trials {
    ($words:expr, $options:expr => [$($module:ident: $($name:ident)*;)*]) => {
        vec![$($(trial(
            concat!(stringify!($module), "::", stringify!($name)),
            $words,
            Server::missing(&$options),
            $module::$name,
        )),*),*]
    };
}

fn main() -> ExitCode {
    let mut trials = trials! {
        &["memcached"], Options::new() => [
            counts: each_operation_is_one_round_trip
                    a_waiter_of_another_process_costs_the_holder_two_more
                    the_older_protocol_keeps_every_promise_but_this_one;
            limits: a_payload_is_as_large_as_the_server_takes
                    a_too_large_save_is_refused_before_it_is_sent
                    a_log_of_claims_stays_short
                    a_lease_longer_than_the_life_holds_until_its_end
                    items_leave_the_server_after_their_end;
            refusals: a_server_without_numbers_is_refused
                      a_wrong_password_is_told
                      what_is_no_memcached_is_told;
        ]
    };
    trials.extend(trials! {
        &["memcached", "memcached-tls"], Options::new().tls() => [
            refusals: a_certificate_of_nobody_is_refused;
        ]
    });
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit_code()
}
