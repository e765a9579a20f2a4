//! The numbers of the catalogue that the suite does not run, and why.

const PROXY: &str = "needs a proxy that loses, delays or refuses packets";
const CLUSTER: &str = "needs a cluster";
const WEB: &str = "shown by the web layer's tests";
const SERVER: &str = "needs a server that the test may break, restart or reconfigure";

/// The numbers of the catalogue without a case in this suite, each with the reason.
pub const NOT_HERE: &[(&str, &str)] = &[
    ("C29", "needs an application that shares the store's database: a test of the SQL store"),
    ("E16", "needs a process with another TZ: run the whole suite under TZ=Asia/Kathmandu"),
    ("E22", "a figure, not a rule: measured by the benchmarks"),
    ("L16", CLUSTER),
    ("L27", "needs a count of commands at the server: a test of each store that polls"),
    ("L32", WEB),
    ("L45", CLUSTER),
    ("N03", "the contract has no notifications"),
    ("N04", "the contract has no notifications"),
    ("Z01", PROXY),
    ("Z02", WEB),
    ("Z03", WEB),
    ("Z04", PROXY),
    ("Z06", CLUSTER),
    ("Z07", CLUSTER),
    ("Z08", SERVER),
    ("Z09", SERVER),
    ("Z10", "needs a deadlock made by hand: a test of the SQL store"),
    ("Z11", CLUSTER),
    ("Z12", SERVER),
    ("Z13", SERVER),
    ("Z14", CLUSTER),
    ("Z15", CLUSTER),
    ("Z16", "needs a full disk: a test of the files store"),
    ("Z17", "needs a process that is killed at any instruction: a test of the files store"),
    ("Z18", "needs a file system that fails: a test of the files store"),
    ("Z19", PROXY),
    ("Z20", WEB),
    ("Z22", "shown by the tests of the layer that measures, `Observed` of `session-layers`"),
    ("Z24", "needs two versions of the library in one program: a test of each release"),
    ("Z25", "needs the other system: tests of the PHP layouts"),
];
