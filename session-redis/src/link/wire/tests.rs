use std::{sync::Mutex, time::Duration};

use bytes::{Bytes, BytesMut};
use session_core::ErrorKind;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split},
    task::yield_now,
    time::timeout,
};

use super::{
    super::{connection::Connection, parse::Parser},
    *,
};

/// More than any step takes: a hang is a failure, slowness is not.
const SOON: Duration = Duration::from_secs(60);

/// What a connection told beside replies.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Option<Vec<Value>>>>>);

impl Told {
    fn all(&self) -> Vec<Option<Vec<Value>>> {
        self.0.lock().unwrap().clone()
    }
}

/// A connection, and the server's end of it, which takes so many bytes at once.
fn connected(bytes: usize) -> (Wire, DuplexStream, Told) {
    let (ours, theirs) = duplex(bytes);
    let told = Told::default();
    let events = told.clone();
    let on_event: OnEvent = Arc::new(move |event: Event<'_>| {
        let parts = if let Event::Push(parts) = event { Some(parts.to_vec()) } else { None };
        events.0.lock().unwrap().push(parts);
    });
    (Wire::over(split(ours), Some(on_event)), theirs, told)
}

fn by() -> Instant {
    Instant::now() + SOON
}

fn echo(size: usize) -> Command {
    Command::new("ECHO", &[&vec![b'x'; size]])
}

fn bulk(text: &str) -> Value {
    Value::BulkString(text.to_owned().into())
}

/// Waits for a state.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let reached = timeout(SOON, async {
        while !holds() {
            yield_now().await;
        }
    });
    reached.await.unwrap_or_else(|_| panic!("not seen: {what}"));
}

/// The commands that a server gets, by their last strings.
struct Got {
    stream: DuplexStream,
    bytes: BytesMut,
    parser: Parser,
}

impl Got {
    fn by(stream: DuplexStream) -> Self {
        Self { stream, bytes: BytesMut::new(), parser: Parser::default() }
    }

    /// The next command's last string.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.parser.next(&mut self.bytes).unwrap() {
                Some(Value::Array(mut strings)) => match strings.pop() {
                    Some(Value::BulkString(last)) => return Some(last),
                    other => panic!("no string: {other:?}"),
                },
                Some(other) => panic!("no command: {other:?}"),
                None if self.stream.read_buf(&mut self.bytes).await.unwrap() == 0 => return None,
                None => {}
            }
        }
    }

    /// Answers each command with its last string, until the connection ends.
    async fn answer(mut self) {
        while let Some(last) = self.next().await {
            let head = format!("${}\r\n", last.len());
            let reply = [head.as_bytes(), &last, b"\r\n"].concat();
            if self.stream.write_all(&reply).await.is_err() {
                return;
            }
        }
    }
}

#[tokio::test]
async fn large_values_pass_in_both_directions_at_once() {
    let (wire, theirs, _) = connected(1_000);
    let server = tokio::spawn(Got::by(theirs).answer());
    let mut asking = JoinSet::new();
    for size in [0, 1, 999, 5_000_000, 16_384, 300_000, 7] {
        let wire = wire.clone();
        asking.spawn(async move {
            let replies = wire.ask(&[echo(size), echo(1)], by()).await.unwrap();
            assert_eq!(replies, [Value::BulkString(vec![b'x'; size].into()), bulk("x")]);
        });
    }
    timeout(SOON, asking.join_all()).await.expect("no hang");
    drop(wire);
    timeout(SOON, server).await.expect("the connection ends").unwrap();
}

#[tokio::test]
async fn a_reply_may_come_in_drips_and_after_its_caller_has_gone() {
    let (wire, theirs, _) = connected(64);
    let (mut reader, mut writer) = split(theirs);
    let gone = timeout(Duration::ZERO, wire.ask(&[echo(1)], by())).await;
    assert!(gone.is_err());
    let asking = tokio::spawn({
        let wire = wire.clone();
        async move { wire.ask(&[echo(2), echo(2)], by()).await }
    });
    let mut asked = vec![0; echo(1).packed().len() + 2 * echo(2).packed().len()];
    timeout(SOON, reader.read_exact(&mut asked)).await.unwrap().unwrap();
    for byte in b"+first\r\n*2\r\n:1\r\n$3\r\na\r\n\r\n-ERR no\r\n" {
        writer.write_all(&[*byte]).await.unwrap();
        yield_now().await;
    }
    let replies = timeout(SOON, asking).await.unwrap().unwrap().unwrap();
    let [Value::Array(parts), Value::Error(error)] = replies.as_slice() else {
        panic!("{replies:?}");
    };
    assert_eq!(parts, &[Value::Int(1), bulk("a\r\n")]);
    assert_eq!((error.code(), error.detail()), ("ERR", "no"));
}

#[tokio::test]
async fn a_server_that_does_not_read_is_sent_no_more_than_fits() {
    const SIZE: usize = 10_000;
    let (wire, theirs, _) = connected(1_000);
    let soon = Instant::now() + Duration::from_millis(200);
    let mut asking = JoinSet::new();
    for _ in 0..100 {
        let wire = wire.clone();
        asking.spawn(async move { wire.ask(&[echo(SIZE)], soon).await.unwrap_err() });
    }
    let mut unsent = 0;
    for lost in timeout(SOON, asking.join_all()).await.expect("they end in time") {
        unsent += usize::from(matches!(&lost, Lost::Crowded));
        assert!(matches!(lost, Lost::Crowded | Lost::Silence), "{lost:?}");
    }
    assert!((80..=95).contains(&unsent), "{unsent}");
    // What was sent comes, and who asks now gets in.
    let server = tokio::spawn(Got::by(theirs).answer());
    let replies = wire.ask(&[echo(1)], by()).await.unwrap();
    assert_eq!(replies, [bulk("x")]);
    drop(wire);
    timeout(SOON, server).await.expect("the connection ends").unwrap();
}

#[tokio::test]
async fn who_waits_for_room_goes_on_as_soon_as_it_was_written() {
    const CROWD: usize = 50;
    let (wire, theirs, _) = connected(1_000);
    let mut got = Got::by(theirs);
    let mut asking = JoinSet::new();
    for _ in 0..CROWD {
        let wire = wire.clone();
        asking.spawn(async move { wire.ask(&[echo(10_000)], by()).await.map(drop) });
    }
    for _ in 0..CROWD {
        // None of them has an answer yet.
        timeout(SOON, got.next()).await.expect("it is sent").unwrap();
    }
    got.stream.write_all("+OK\r\n".repeat(CROWD).as_bytes()).await.unwrap();
    let answered = timeout(SOON, asking.join_all()).await.expect("no hang");
    assert!(answered.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_server_that_does_not_answer_has_no_endless_line() {
    let (wire, theirs, _) = connected(1024 * 1024);
    let mut got = Got::by(theirs);
    let mut asking = JoinSet::new();
    for _ in 0..crate::link::shared::LINE + 10 {
        let wire = wire.clone();
        asking.spawn(async move { wire.ask(&[echo(1)], by()).await.map(drop) });
    }
    for _ in 0..crate::link::shared::LINE {
        got.next().await.unwrap();
    }
    let more = timeout(Duration::from_millis(50), got.next()).await;
    assert!(more.is_err(), "one more than fits");
    let replies = "+OK\r\n".repeat(crate::link::shared::LINE);
    got.stream.write_all(replies.as_bytes()).await.unwrap();
    tokio::spawn(got.answer());
    let answered = timeout(SOON, asking.join_all()).await.expect("no hang");
    assert!(answered.iter().all(Result::is_ok));
}

#[tokio::test]
async fn messages_are_told_and_are_not_taken_for_replies() {
    let (wire, mut theirs, told) = connected(1024);
    let first = b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$0\r\n\r\n+OK\r\n\
        >3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n";
    let second = b">3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n";
    let asking = tokio::spawn({
        let wire = wire.clone();
        async move {
            let plain = wire.ask(&[echo(1)], by()).await.unwrap();
            let subscribed = wire.ask(&[Command::new("SUBSCRIBE", &[b"b"])], by()).await.unwrap();
            (plain, subscribed)
        }
    });
    theirs.read_u8().await.unwrap();
    theirs.write_all(first).await.unwrap();
    until("two messages", || told.all().len() == 2).await;
    let mut rest = Vec::new();
    while !rest.ends_with(b"$1\r\nb\r\n") {
        theirs.read_buf(&mut rest).await.unwrap();
    }
    theirs.write_all(second).await.unwrap();
    let (plain, subscribed) = timeout(SOON, asking).await.unwrap().unwrap();
    assert_eq!(plain, [Value::Okay]);
    assert_eq!(subscribed, [Value::Push(vec![bulk("subscribe"), bulk("b"), Value::Int(1)])]);
    drop(theirs);
    until("the end", || told.all().len() == 3).await;
    let message = vec![bulk("message"), bulk("a"), bulk("")];
    let moved = vec![bulk("sunsubscribe"), bulk("a"), Value::Int(0)];
    assert_eq!(told.all(), [Some(message), Some(moved), None]);
}

#[tokio::test]
async fn the_end_of_a_connection_is_told_with_its_reason() {
    for (said, kind) in [
        ("", ErrorKind::Unavailable),
        ("$5\r\nha", ErrorKind::Unavailable),
        ("HTTP/1.1 400 Bad Request\r\n", ErrorKind::Backend),
    ] {
        let (wire, mut theirs, told) = connected(1024);
        let asking = tokio::spawn({
            let wire = wire.clone();
            async move { wire.ask(&[echo(1)], by()).await.unwrap_err() }
        });
        theirs.read_u8().await.unwrap();
        theirs.write_all(said.as_bytes()).await.unwrap();
        drop(theirs);
        let lost = timeout(SOON, asking).await.unwrap().unwrap();
        assert!(matches!(&lost, Lost::Unanswered(fault) if fault.kind == kind), "{lost:?}");
        assert!(wire.has_ended() && !wire.was_left());
        let late = wire.ask(&[echo(1)], by()).await.unwrap_err();
        assert!(matches!(&late, Lost::Unsent(fault) if fault.kind == kind), "{late:?}");
        until("the end", || told.all() == [None]).await;
    }
}

#[tokio::test]
async fn what_was_answered_before_the_end_is_answered() {
    let (wire, mut theirs, _) = connected(1024);
    let asking = tokio::spawn({
        let wire = wire.clone();
        async move { wire.ask(&[echo(1)], by()).await }
    });
    theirs.read_u8().await.unwrap();
    theirs.write_all(b"+OK\r\nHTTP/1.1 400 Bad Request\r\n").await.unwrap();
    let replies = timeout(SOON, asking).await.unwrap().unwrap();
    assert_eq!(replies.unwrap(), [Value::Okay]);
    let (wire, mut theirs, _) = connected(1024);
    let asking = tokio::spawn(async move { wire.ask(&[echo(1), echo(1)], by()).await });
    theirs.read_u8().await.unwrap();
    theirs.write_all(b"-DENIED Redis is running in protected mode\r\n").await.unwrap();
    drop(theirs);
    let lost = timeout(SOON, asking).await.unwrap().unwrap().unwrap_err();
    assert_eq!(lost.into_fault().kind, ErrorKind::Config);
}

#[tokio::test]
async fn a_silent_server_is_noticed_also_when_nobody_gets_a_place() {
    let (wire, _theirs, _) = connected(1_000);
    let connection = Arc::new(Connection::new(wire, Duration::from_millis(20), None));
    let noticed = timeout(SOON, async {
        while connection.is_fit() {
            let mut asking = JoinSet::new();
            for _ in 0..20 {
                let connection = Arc::clone(&connection);
                asking.spawn(async move { connection.ask(&[echo(10_000)], by()).await.map(drop) });
            }
            assert!(asking.join_all().await.iter().all(Result::is_err));
        }
    });
    noticed.await.expect("the silence is noticed");
}

#[tokio::test]
async fn a_server_that_ends_the_connection_unasked_may_say_why() {
    let (wire, mut theirs, _) = connected(1024);
    theirs.write_all(b"-ERR max number of clients reached\r\n").await.unwrap();
    until("the end", || wire.has_ended()).await;
    let lost = wire.ask(&[echo(1)], by()).await.unwrap_err();
    assert!(lost.into_fault().passes());
    let (wire, mut theirs, _) = connected(1024);
    theirs.write_all(b"+OK\r\n").await.unwrap();
    until("the end", || wire.has_ended()).await;
    assert!(!wire.ask(&[echo(1)], by()).await.unwrap_err().into_fault().passes());
}

#[test]
fn who_waits_for_a_runtime_that_ends_is_told() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (its, other) = (runtime(), runtime());
    let (wire, theirs, _) = its.block_on(async { connected(1024) });
    let asking = other.spawn({
        let wire = wire.clone();
        async move { wire.ask(&[echo(1)], by()).await.unwrap_err() }
    });
    // Nobody drives the connection: what the caller writes himself is all that goes out.
    let mut theirs = theirs;
    other.block_on(async { timeout(SOON, theirs.read_u8()).await.unwrap().unwrap() });
    drop(its);
    let lost = other.block_on(asking).unwrap();
    assert!(matches!(lost, Lost::Unanswered(_)), "{lost:?}");
    // Nothing is left open, though the connection is still in somebody's hands.
    let mut rest = Vec::new();
    let end = other.block_on(async { timeout(SOON, theirs.read_to_end(&mut rest)).await });
    end.expect("the end").unwrap();
    assert!(wire.was_left());
    let late = other.block_on(wire.ask(&[echo(1)], by())).unwrap_err();
    assert!(matches!(late, Lost::Unsent(_)), "{late:?}");
}
