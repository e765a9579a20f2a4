//! Which servers a URL names: `scheme://user:password@host:port:weight,host`.

use percent_encoding::percent_decode_str;

use crate::{Endpoint, MemcachedConfig, Tls};

/// The longest URL that is looked at.
const URL_LIMIT: usize = 65_536;

/// The settings before the `?` of a URL, and what comes after it. An error says what is missing,
/// in words that repeat nothing of the URL.
pub(crate) fn split(url: &str) -> Result<(MemcachedConfig, &str), &'static str> {
    if url.len() > URL_LIMIT {
        return Err("the URL is longer than 65,536 bytes");
    }
    if url.contains('#') {
        return Err("the URL has a #, which is written %23 in a password");
    }
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = address.split_once("://").ok_or("the URL has no scheme")?;
    let tls = match &*scheme.to_ascii_lowercase() {
        "memcached" => Tls::Off,
        "memcacheds" => Tls::On,
        _ => return Err("the scheme of the URL is not known"),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    if authority.contains('/') {
        return Err("the URL has a path; in user or password a / is written %2F");
    }
    let servers: Option<Vec<Endpoint>> = hosts.split(',').map(endpoint).collect();
    let servers = servers.ok_or(
        "the URL needs host, host:port or host:port:weight; in a password / ? @ are written %2F %3F %40",
    )?;
    let mut config = MemcachedConfig::new(servers);
    (config.user, config.password) = credentials(login)?;
    config.tls = tls;
    Ok((config, query))
}

/// User and password in `user:password`.
fn credentials(login: &str) -> Result<(Option<String>, Option<String>), &'static str> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let part = |text| match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(Some(text.into_owned()).filter(|text| !text.is_empty())),
        Err(_) => Err("user or password are not UTF-8"),
    };
    Ok((part(user)?, part(password)?))
}

/// Reads `host`, `host:port` or `host:port:weight`, where the host may be an IPv6 address in
/// brackets.
fn endpoint(text: &str) -> Option<Endpoint> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(text) => {
            let (host, rest) = text.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, rest)
        }
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let mut endpoint = Endpoint::new(host, Endpoint::PORT);
    if !rest.is_empty() {
        let (port, weight) = match rest.strip_prefix(':')?.split_once(':') {
            Some((port, weight)) => (port, weight.parse().ok()?),
            None => (rest.strip_prefix(':')?, 1),
        };
        endpoint = Endpoint::new(host, port.parse().ok()?).weight(weight);
    }
    Some(endpoint).filter(Endpoint::is_plausible)
}
