//! Which server has a key: as libmemcached decides it, so that its tools find the sessions.

use md5::{Digest, Md5};

use crate::{Endpoint, Hashing, MemcachedConfig};

/// Points of a server on a ring without weights.
const POINTS: u32 = 100;
/// Points of a server on a weighted ring, on average.
const WEIGHTED_POINTS: f32 = 160.0;
/// Points that come from one MD5.
const POINTS_OF_A_DIGEST: u32 = 4;
/// A port that is not written in the names of points.
const UNNAMED_PORT: u16 = Endpoint::PORT;

/// Points, each of which leads to a server.
#[derive(Debug)]
pub(super) struct Ring {
    hashing: Hashing,
    /// In the order of their values.
    points: Vec<(u32, usize)>,
}

impl Ring {
    pub(super) fn new(config: &MemcachedConfig) -> Self {
        let servers = &config.servers;
        let mut points: Vec<(u32, usize)> = match config.hashing {
            _ if servers.len() < 2 => Vec::new(),
            // A point for each server, whose value is its number.
            Hashing::Modulo => (0_u32..).zip(0..servers.len()).collect(),
            Hashing::Ketama => servers.iter().enumerate().flat_map(plain).collect(),
            Hashing::KetamaWeighted => {
                let total: u32 = servers.iter().map(|server| server.weight).sum();
                let of = |(n, server)| weighted(n, server, total, servers.len());
                servers.iter().enumerate().flat_map(of).collect()
            }
        };
        points.sort_unstable();
        Self { hashing: config.hashing, points }
    }

    /// The number of the server that has a key.
    pub(super) fn server(&self, key: &[u8]) -> usize {
        self.from(key).next().unwrap_or_default()
    }

    /// The numbers of the servers that have a key while those before them are away.
    pub(super) fn others(&self, key: &[u8]) -> Vec<usize> {
        let mut servers = Vec::new();
        for server in self.from(key) {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        servers.drain(..1.min(servers.len()));
        servers
    }

    /// The servers of all points from the key's own on.
    fn from(&self, key: &[u8]) -> impl Iterator<Item = usize> {
        let hash = match self.hashing {
            _ if self.points.is_empty() => 0,
            Hashing::Modulo => {
                let servers = u32::try_from(self.points.len()).unwrap_or(u32::MAX);
                one_at_a_time(key) % servers
            }
            Hashing::Ketama => one_at_a_time(key),
            Hashing::KetamaWeighted => words(&Md5::digest(key)).next().unwrap_or_default(),
        };
        let after = self.points.partition_point(|(value, _)| *value < hash);
        let (before, after) = self.points.split_at_checked(after).unwrap_or_default();
        after.iter().chain(before).map(|(_, server)| *server)
    }
}

fn plain((n, server): (usize, &Endpoint)) -> impl Iterator<Item = (u32, usize)> {
    let name = name(server);
    (0..POINTS).map(move |point| (one_at_a_time(format!("{name}-{point}").as_bytes()), n))
}

fn weighted(
    n: usize,
    server: &Endpoint,
    total: u32,
    servers: usize,
) -> impl Iterator<Item = (u32, usize)> + use<> {
    let name = name(server);
    (0..digests(server.weight, total, servers)).flat_map(move |digest| {
        let digest = Md5::digest(format!("{name}-{digest}"));
        words(&digest).map(|word| (word, n)).collect::<Vec<_>>()
    })
}

/// How many MD5s a server gets; in the very steps in which libmemcached rounds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "libmemcached's own arithmetic; weights and counts are small"
)]
fn digests(weight: u32, total: u32, servers: usize) -> u32 {
    let share = weight as f32 / total as f32;
    let points = share * WEIGHTED_POINTS / POINTS_OF_A_DIGEST as f32 * servers as f32;
    let points = (f64::from(points) + 0.000_000_000_1) as f32;
    points.floor() as u32
}

fn name(server: &Endpoint) -> String {
    match server.port {
        UNNAMED_PORT => server.host.clone(),
        port => format!("{}:{port}", server.host),
    }
}

/// The four words of an MD5.
fn words(digest: &[u8]) -> impl Iterator<Item = u32> + '_ {
    digest
        .chunks_exact(4)
        .map(|word| word.iter().rev().fold(0, |number: u32, byte| number << 8 | u32::from(*byte)))
}

/// Bob Jenkins' hash, with signed bytes as C has them.
fn one_at_a_time(key: &[u8]) -> u32 {
    let mixed = key.iter().fold(0_u32, |hash, byte| {
        let hash = hash.wrapping_add_signed(i32::from(byte.cast_signed()));
        let hash = hash.wrapping_add(hash << 10);
        hash ^ hash >> 6
    });
    let mixed = mixed.wrapping_add(mixed << 3);
    let mixed = mixed ^ mixed >> 11;
    mixed.wrapping_add(mixed << 15)
}

#[cfg(test)]
mod tests;
