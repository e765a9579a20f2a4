use super::*;

#[test]
fn words_are_those_that_libmemcached_was_seen_to_make() {
    let id = b"a5c77cca2bcc94aba60bc403b1c26501";
    assert_eq!(one_at_a_time(id), 3_509_761_354);
    assert_eq!(words(&Md5::digest(id)).next(), Some(3_651_402_065));
}
