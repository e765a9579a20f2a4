//! Which servers a URL names: `scheme://user:password@hosts/path`.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::{Endpoint, RedisConfig, Servers, Tls};

/// The longest URL that is looked at.
const URL_LIMIT: usize = 65_536;

/// What comes after the `+` in a scheme.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    One,
    Unix,
    Cluster,
    Sentinel,
}

/// The settings before the `?` of a URL, and what comes after it. An error says what is missing,
/// in words that repeat nothing of the URL.
pub(crate) fn split(url: &str) -> Result<(RedisConfig, &str), &'static str> {
    if url.len() > URL_LIMIT {
        return Err("the URL is longer than 65,536 bytes");
    }
    if url.contains('#') {
        return Err("the URL has a #, which is written %23 in a password");
    }
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = address.split_once("://").ok_or("the URL has no scheme")?;
    let scheme = scheme.to_ascii_lowercase();
    let (kind, tls) = kind(&scheme).ok_or("the scheme of the URL is not known")?;
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    if kind != Kind::Unix && path.contains('@') {
        return Err("the URL has a / in user or password, which is written %2F there");
    }
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (servers, database) = servers(kind, hosts, path)?;
    let mut config = RedisConfig::new(servers);
    (config.user, config.password) = credentials(login)?;
    (config.database, config.tls) = (database, tls);
    Ok((config, query))
}

fn kind(scheme: &str) -> Option<(Kind, Tls)> {
    if !RedisConfig::URL_SCHEMES.contains(&scheme) {
        return None;
    }
    let (server, suffix) = scheme.split_once('+').unwrap_or((scheme, ""));
    let kind = match suffix {
        "cluster" => Kind::Cluster,
        "sentinel" => Kind::Sentinel,
        "unix" => Kind::Unix,
        _ if server == "unix" => Kind::Unix,
        _ => Kind::One,
    };
    Some((kind, if server.ends_with('s') && server != "redis" { Tls::On } else { Tls::Off }))
}

fn servers(kind: Kind, hosts: &str, path: &str) -> Result<(Servers, u32), &'static str> {
    match kind {
        Kind::Unix if hosts.is_empty() && path.len() > 1 => {
            let path = decode(path).ok_or("the path of the URL is not UTF-8")?;
            Ok((Servers::Unix(PathBuf::from(path)), 0))
        }
        Kind::Unix => Err("the URL needs the absolute path of a socket and no host"),
        Kind::One => match &*endpoints(hosts, Endpoint::PORT)? {
            [endpoint] => Ok((Servers::One(endpoint.clone()), database(path)?)),
            _ => Err("several hosts need a URL like redis+cluster:// or redis+sentinel://"),
        },
        Kind::Cluster => Ok((Servers::Cluster(endpoints(hosts, Endpoint::PORT)?), database(path)?)),
        Kind::Sentinel => {
            let sentinels = endpoints(hosts, Endpoint::SENTINEL_PORT)?;
            let path = path.strip_prefix('/').unwrap_or(path);
            let (service, path) = path.find('/').map_or((path, ""), |at| path.split_at(at));
            let service = decode(service).filter(|service| !service.is_empty());
            let service = service.ok_or("the URL needs the service's name, as in /mymaster/0")?;
            Ok((Servers::Sentinel { sentinels, service }, database(path)?))
        }
    }
}

fn database(path: &str) -> Result<u32, &'static str> {
    match path.strip_prefix('/').unwrap_or(path) {
        "" => Ok(0),
        number => number.parse().ok().ok_or("the path of the URL is not a number of a database"),
    }
}

/// User and password in `user:password`.
fn credentials(login: &str) -> Result<(Option<String>, Option<String>), &'static str> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let part = |text| match decode(text) {
        Some(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        None => Err("user or password are not UTF-8"),
    };
    Ok((part(user)?, part(password)?))
}

fn endpoints(hosts: &str, port: u16) -> Result<Vec<Endpoint>, &'static str> {
    let endpoints = hosts.split(',').map(|host| endpoint(host, port)).collect::<Option<_>>();
    endpoints.ok_or("the URL needs host or host:port; in a password / ? @ are written %2F %3F %40")
}

/// Reads `host`, `host:port`, or either with an IPv6 address in brackets.
pub(crate) fn endpoint(text: &str, port: u16) -> Option<Endpoint> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(text) => {
            let (host, rest) = text.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, rest)
        }
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let port = match rest {
        "" => port,
        rest => rest.strip_prefix(':')?.parse().ok()?,
    };
    Some(Endpoint::new(host, port)).filter(Endpoint::is_plausible)
}

fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}
