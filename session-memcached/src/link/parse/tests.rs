use proptest::prelude::*;

use super::*;

const LIMIT: usize = 64;

fn read(form: Form, text: &[u8]) -> Result<Option<Reply>, Garbage> {
    next(&mut BytesMut::from(text), form, LIMIT)
}

#[test]
fn replies_of_the_meta_protocol_are_told_apart() {
    let meta = |text: &str| read(Form::Meta(7), text.as_bytes());
    assert_eq!(meta("HD c5 O7\r\n"), Ok(Some(Reply::Done(Some(5)))));
    assert_eq!(meta("HD O7\r\n"), Ok(Some(Reply::Done(None))));
    assert_eq!(meta("EN O7\r\n"), Ok(Some(Reply::Absent)));
    assert_eq!(meta("NF O7\r\n"), Ok(Some(Reply::Absent)));
    assert_eq!(meta("NS c0 O7\r\n"), Ok(Some(Reply::NotStored)));
    assert_eq!(meta("EX O7\r\n"), Ok(Some(Reply::Changed)));
    let value = Reply::Value(Bytes::from_static(b"a\r\nb"), 9);
    assert_eq!(meta("VA 4 c9 O7\r\na\r\nb\r\n"), Ok(Some(value)));
}

#[test]
fn replies_of_the_older_protocol_are_told_apart() {
    let value = Reply::Value(Bytes::from_static(b"END\r\n"), 9);
    assert_eq!(read(Form::Get, b"VALUE k 0 5 9\r\nEND\r\n\r\nEND\r\n"), Ok(Some(value)));
    assert_eq!(read(Form::Get, b"END\r\n"), Ok(Some(Reply::Absent)));
    for (text, reply) in [
        ("STORED\r\n", Reply::Done(None)),
        ("DELETED\r\n", Reply::Done(None)),
        ("NOT_STORED\r\n", Reply::NotStored),
        ("EXISTS\r\n", Reply::Changed),
        ("NOT_FOUND\r\n", Reply::Absent),
        ("VERSION 1.6.18\r\n", Reply::Version("1.6.18".to_owned())),
    ] {
        assert_eq!(read(Form::Line, text.as_bytes()), Ok(Some(reply)), "{text}");
    }
    let told = vec![("a".to_owned(), "b c".to_owned())];
    let statistics = read(Form::Statistics, b"STAT a b c\r\nEND\r\n");
    assert_eq!(statistics, Ok(Some(Reply::Statistics(told))));
}

#[test]
fn a_refusal_has_no_token_and_is_understood_in_every_form() {
    for form in [Form::Meta(1), Form::Line, Form::Get, Form::Statistics] {
        for (text, reply) in [
            ("ERROR\r\n", Reply::Refused(Refusal::Unknown)),
            ("CLIENT_ERROR unauthenticated\r\n", Reply::Refused(Refusal::Unauthenticated)),
            ("CLIENT_ERROR bad data chunk\r\n", Reply::Refused(Refusal::ByClient)),
            ("SERVER_ERROR backend failure\r\n", Reply::Refused(Refusal::ByServer)),
            ("SERVER_ERROR object too large for cache\r\n", Reply::NoRoom),
            ("SERVER_ERROR out of memory storing object\r\n", Reply::NoRoom),
        ] {
            assert_eq!(read(form, text.as_bytes()), Ok(Some(reply)), "{form:?} {text}");
        }
    }
}

#[test]
fn the_reply_to_another_command_is_garbage() {
    for text in ["HD O8\r\n", "HD\r\n", "VA 1 c1 O8\r\nx\r\n", "STORED\r\n", "MN\r\n", "\r\n"] {
        assert_eq!(read(Form::Meta(7), text.as_bytes()), Err(Garbage), "{text:?}");
    }
    assert_eq!(read(Form::Line, b"HD O7\r\n"), Err(Garbage));
    assert_eq!(read(Form::Get, b"VALUE k 0 1 9\r\nx\r\nVALUE"), Err(Garbage));
}

#[test]
fn what_is_too_long_is_garbage_before_it_has_come() {
    assert_eq!(read(Form::Meta(7), b"VA 65 c9 O7\r\n"), Err(Garbage));
    assert_eq!(read(Form::Meta(7), b"VA 99999999999999999999 c9 O7\r\n"), Err(Garbage));
    assert_eq!(read(Form::Line, &[b'x'; LINE_LIMIT]), Err(Garbage));
    assert_eq!(read(Form::Line, &[b'x'; LINE_LIMIT - 1]), Ok(None));
    let endless = "STAT a b\r\n".repeat(STATISTICS_LIMIT + 1);
    assert_eq!(read(Form::Statistics, endless.as_bytes()), Err(Garbage));
}

/// Parts of replies, so that random texts come near to real ones.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        prop::sample::select(vec![
            "VA ",
            "HD ",
            "EN ",
            "O7",
            "c1 ",
            "\r\n",
            "END\r\n",
            "VALUE k 0 ",
            "STAT ",
            "3",
            " ",
            "ERROR\r\n",
            "SERVER_ERROR",
            "VERSION ",
            "abc",
            "\n",
            "STORED\r\n",
        ])
        .prop_map(|part| part.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

fn form() -> impl Strategy<Value = Form> {
    prop::sample::select(vec![Form::Meta(7), Form::Line, Form::Get, Form::Statistics])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever comes: no panic, no endless loop, and each reply takes bytes away.
    #[test]
    fn garbage_ends(text in text(), form in form()) {
        let mut buffer = BytesMut::from(&*text);
        loop {
            let before = buffer.len();
            match next(&mut buffer, form, LIMIT) {
                Ok(Some(_)) => prop_assert!(buffer.len() < before),
                Ok(None) => {
                    prop_assert_eq!(buffer.len(), before);
                    break;
                }
                Err(Garbage) => break,
            }
        }
        prop_assert!(buffer.capacity() <= 8 * (LINE_LIMIT + LIMIT));
    }

    /// Where the bytes are cut on their way makes no difference.
    #[test]
    fn replies_may_come_in_pieces(text in text(), form in form(), cut in 0_usize..64) {
        let whole = next(&mut BytesMut::from(&*text), form, LIMIT);
        let (first, rest) = text.split_at(cut.min(text.len()));
        let mut buffer = BytesMut::from(first);
        let early = next(&mut buffer, form, LIMIT);
        if early == Ok(None) {
            buffer.extend_from_slice(rest);
            prop_assert_eq!(next(&mut buffer, form, LIMIT), whole);
        } else {
            prop_assert_eq!(early, whole);
        }
    }
}
