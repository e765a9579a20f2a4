use proptest::prelude::*;

use super::*;

/// All replies in pieces that come one after the other.
fn replies(pieces: &[&[u8]]) -> (Vec<Value>, Result<(), Garbage>) {
    let (mut parser, mut bytes, mut all) = (Parser::default(), BytesMut::new(), Vec::new());
    for piece in pieces {
        bytes.extend_from_slice(piece);
        loop {
            match parser.next(&mut bytes) {
                Ok(Some(reply)) => all.push(reply),
                Ok(None) => break,
                Err(garbage) => return (all, Err(garbage)),
            }
        }
    }
    (all, Ok(()))
}

fn one(text: &str) -> Value {
    match replies(&[text.as_bytes()]) {
        (mut all, Ok(())) if all.len() == 1 => all.remove(0),
        other => panic!("{text:?}: {other:?}"),
    }
}

fn bulk(text: &str) -> Value {
    Value::BulkString(text.to_owned().into())
}

#[test]
fn replies_of_both_protocols_are_told_apart() {
    let error = |text: &str| Value::Error(ErrorReply::new(text.to_owned()));
    for (text, reply) in [
        ("+OK\r\n", Value::Okay),
        ("+PONG\r\n", Value::SimpleString("PONG".to_owned())),
        ("-ERR no\r\n", error("ERR no")),
        (":-7\r\n", Value::Int(-7)),
        (":9223372036854775807\r\n", Value::Int(i64::MAX)),
        (":-9223372036854775808\r\n", Value::Int(i64::MIN)),
        ("$4\r\na\r\nb\r\n", bulk("a\r\nb")),
        ("$0\r\n\r\n", bulk("")),
        ("$-1\r\n", Value::Nil),
        ("*-1\r\n", Value::Nil),
        ("_\r\n", Value::Nil),
        ("*0\r\n", Value::Array(Vec::new())),
        (
            "*2\r\n:1\r\n*1\r\n$1\r\nx\r\n",
            Value::Array(vec![Value::Int(1), Value::Array(vec![bulk("x")])]),
        ),
        ("~1\r\n:1\r\n", Value::Array(vec![Value::Int(1)])),
        (
            "%1\r\n+a\r\n:1\r\n",
            Value::Array(vec![Value::SimpleString("a".to_owned()), Value::Int(1)]),
        ),
        ("#t\r\n", Value::Int(1)),
        ("#f\r\n", Value::Int(0)),
        (",1.5\r\n", Value::SimpleString("1.5".to_owned())),
        ("=5\r\ntxt:x\r\n", bulk("x")),
        ("!5\r\nERR x\r\n", error("ERR x")),
        (">2\r\n$7\r\nmessage\r\n$1\r\nx\r\n", Value::Push(vec![bulk("message"), bulk("x")])),
        ("|1\r\n+ttl\r\n:9\r\n:1\r\n", Value::Int(1)),
        ("*1\r\n|1\r\n+ttl\r\n:9\r\n:1\r\n", Value::Array(vec![Value::Int(1)])),
    ] {
        assert_eq!(one(text), reply, "{text:?}");
    }
}

#[test]
fn what_is_no_reply_is_garbage() {
    for text in [
        "HTTP/1.1 400 Bad Request\r\n",
        "\r\n",
        "\n",
        "+no return\n",
        "_\n~1\r\n",
        ":\r\n",
        ":1x\r\n",
        ":9223372036854775808\r\n",
        "$-2\r\n",
        "$x\r\n",
        "$1\r\nxyz",
        "$1\r\nx\n\n",
        "=2\r\nxx\r\n",
        "%-1\r\n",
        "*1\r\n>1\r\n+x\r\n",
        "$?\r\n",
    ] {
        assert_eq!(replies(&[text.as_bytes()]), (Vec::new(), Err(Garbage)), "{text:?}");
    }
}

#[test]
fn what_is_too_large_or_too_deep_is_garbage_before_it_has_come() {
    let refused = |text: &[u8]| replies(&[text]).1.is_err();
    assert!(!refused(b"$536870912\r\n") && refused(b"$536936449\r\n"));
    assert!(refused(b"$9223372036854775807\r\n"));
    assert!(!refused(&vec![b'+'; LINE_LIMIT - 1]) && refused(&vec![b'+'; LINE_LIMIT]));
    let deep = |depth| "*1\r\n".repeat(depth);
    assert!(!refused(deep(DEPTH).as_bytes()) && refused(deep(DEPTH + 1).as_bytes()));
    // The length of an array is a promise that costs nothing.
    assert_eq!(replies(&[b"*9223372036854775807\r\n:1\r\n"]), (Vec::new(), Ok(())));
}

/// Parts of replies, so that random texts come near to real ones.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let parts = [
        "*2\r\n",
        "%1\r\n",
        ">2\r\n",
        "~1\r\n",
        "|1\r\n",
        "*0\r\n",
        "$3\r\nabc\r\n",
        "$-1\r\n",
        "_\r\n",
        ":12\r\n",
        "+OK\r\n",
        "-ERR x y\r\n",
        "#t\r\n",
        ",1.5\r\n",
        "=7\r\ntxt:abc\r\n",
        "$",
        "*",
        "\r\n",
        "3",
    ];
    let part = prop_oneof![
        9 => prop::sample::select(parts.to_vec()).prop_map(|part| part.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

/// No newline is without a return before it. Such a one is in no line, and ends none: we refuse it,
/// and other readers take it for a part of the line.
fn newlines_end_lines(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').rev().skip(1).all(|line| line.ends_with(b"\r"))
}

/// What another reader of the protocol makes of it, in our terms if there are any.
fn peer(reply: redis::Value) -> Option<Value> {
    let all = |parts: Vec<redis::Value>| parts.into_iter().map(peer).collect::<Option<_>>();
    Some(match reply {
        redis::Value::Nil => Value::Nil,
        redis::Value::Okay => Value::Okay,
        redis::Value::Int(number) => Value::Int(number),
        redis::Value::Boolean(truth) => Value::Int(truth.into()),
        redis::Value::Double(number) => Value::SimpleString(number.to_string()),
        redis::Value::SimpleString(text) => Value::SimpleString(text),
        redis::Value::BulkString(bytes) => Value::BulkString(bytes.into()),
        redis::Value::VerbatimString { text, .. } => Value::BulkString(text.to_owned().into()),
        redis::Value::Array(parts) | redis::Value::Set(parts) => Value::Array(all(parts)?),
        redis::Value::Map(pairs) => {
            Value::Array(all(pairs.into_iter().flat_map(|(name, value)| [name, value]).collect())?)
        }
        redis::Value::Attribute { data, .. } => peer(*data)?,
        redis::Value::ServerError(error) => {
            let detail = error.details().map(|detail| format!(" {detail}")).unwrap_or_default();
            Value::Error(ErrorReply::new(format!("{}{detail}", error.code())))
        }
        _ => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8_000))]

    /// Where the bytes are cut on their way makes no difference.
    #[test]
    fn replies_may_come_in_pieces(text in text(), cuts in prop::collection::vec(0_usize..64, 2)) {
        let (first, second) = (cuts[0].min(text.len()), (cuts[0] + cuts[1]).min(text.len()));
        let pieces = [&text[..first], &text[first..second], &text[second..]];
        prop_assert_eq!(replies(&pieces), replies(&[&text]));
    }

    /// What another reader understands, we understand as it does, but for messages within replies,
    /// which there are none.
    #[test]
    fn replies_are_what_they_are_to_others(text in text()) {
        if !text.contains(&b'>')
            && newlines_end_lines(&text)
            && let Some(reply) = redis::parse_redis_value(&text).ok().and_then(peer)
        {
            let (ours, _) = replies(&[&text]);
            prop_assert_eq!(ours.first(), Some(&reply));
        }
    }
}
