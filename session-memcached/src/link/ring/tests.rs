use super::*;

/// What the real library does; how it was asked stands in `testdata/ketama.c`.
const VECTORS: &str = include_str!("../../../testdata/ketama.txt");

#[test]
fn words_are_those_that_libmemcached_was_seen_to_make() {
    let id = b"a5c77cca2bcc94aba60bc403b1c26501";
    assert_eq!(one_at_a_time(id), 3_509_761_354);
    assert_eq!(words(&Md5::digest(id)).next(), Some(3_651_402_065));
}

#[test]
fn keys_are_where_libmemcached_puts_them() {
    let (mut rings, mut keys) = (0, 0);
    for line in VECTORS.lines() {
        let [hashing, servers, places] = *line.split(' ').collect::<Vec<_>>() else {
            panic!("{line}");
        };
        let url = format!("memcached://{servers}?session.hashing={hashing}");
        let ring = Ring::new(&MemcachedConfig::from_url(&url).unwrap());
        for (n, place) in places.chars().enumerate() {
            let server = ring.server(format!("key-{n}").as_bytes());
            assert_eq!(Some(server), place.to_digit(36).map(|n| n as usize), "key-{n} of {url}");
            keys += 1;
        }
        rings += 1;
    }
    assert_eq!((rings, keys), (12, 4_800));
}

#[test]
fn all_others_come_after_the_first() {
    let config = MemcachedConfig::from_url("memcached://a,b:1:3,c,d").unwrap();
    let ring = Ring::new(&config);
    for n in 0..100 {
        let key = format!("key-{n}");
        let mut all = ring.others(key.as_bytes());
        assert!(!all.contains(&ring.server(key.as_bytes())));
        all.push(ring.server(key.as_bytes()));
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
    }
    let alone = Ring::new(&MemcachedConfig::from_url("memcached://a").unwrap());
    assert_eq!((alone.server(b"key"), alone.others(b"key")), (0, Vec::new()));
}

#[test]
fn a_server_less_moves_its_own_keys_only() {
    let ring = |servers: &str| {
        Ring::new(&MemcachedConfig::from_url(&format!("memcached://{servers}")).unwrap())
    };
    let (three, two) = (ring("a,b,c"), ring("a,b"));
    let keys = || (0..1_000).map(|n| format!("key-{n}"));
    let stayed = |key: &String| {
        let before = three.server(key.as_bytes());
        before == 2 || before == two.server(key.as_bytes())
    };
    assert!(keys().all(|key| stayed(&key)));
    assert!((200..500).contains(&keys().filter(|key| three.server(key.as_bytes()) == 2).count()));
}
