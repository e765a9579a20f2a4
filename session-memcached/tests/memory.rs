//! What a hostile server costs. One test only, as it watches the memory of the whole process.

use peak_alloc::PeakAlloc;
use session_core::ErrorKind;
use session_memcached::MemcachedStore;
use test_load::{SOON, load, new_key};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What a server says that its largest item may have.
const LARGEST: usize = 1 << 20;
/// How much is sent, if nobody stops it.
const FLOOD: usize = 64 << 20;

/// What comes before a flood, for a request with this token.
type Head = fn(&str) -> String;

const FLOODS: [(Head, u8, ErrorKind); 7] = [
    (|_| String::new(), b'x', ErrorKind::Backend),
    (|_| "VA ".to_owned(), b'9', ErrorKind::Backend),
    (|token| format!("VA {} c1 {token}\r\n", LARGEST + 1), b'x', ErrorKind::Backend),
    (|token| format!("VA 18446744073709551615 c1 {token}\r\n"), b'x', ErrorKind::Backend),
    (|token| format!("VA {LARGEST} c1 {token}\r\n"), b'x', ErrorKind::Backend),
    (|token| format!("VA 3 c1 {token}\r\nabc\r\n"), b'\n', ErrorKind::Corrupt),
    (|_| "STAT ".to_owned(), b' ', ErrorKind::Backend),
];

#[tokio::test]
async fn a_server_that_sends_without_end_costs_a_few_times_its_largest_item() {
    for (n, (head, filling, kind)) in FLOODS.into_iter().enumerate() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("memcached://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(flood(stream, head, filling));
            }
        });
        let builder = MemcachedStore::builder(&url).unwrap();
        let store = builder.response_timeout(SOON).timeout(SOON).open().await.unwrap();
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        let read = timeout(2 * SOON, load(&store, &new_key())).await.expect("it hangs");
        assert_eq!(read.unwrap_err().kind(), kind, "flood {n}");
        let peak = ALLOCATOR.peak_usage() - before;
        assert!(peak < 5 * LARGEST, "flood {n} costs {peak} bytes");
        server.abort();
    }
}

async fn flood(mut stream: TcpStream, head: Head, filling: u8) {
    let mut buffer = [0; 1_024];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let request = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
        let answer = match &*request {
            "version\r\n" => "VERSION 1.6.18\r\n".to_owned(),
            "stats settings\r\n" => format!("STAT item_size_max {LARGEST}\r\nEND\r\n"),
            request => {
                let token = request.trim_end().rsplit(' ').next().unwrap_or_default();
                drop(stream.write_all(head(token).as_bytes()).await);
                for _ in 0..FLOOD / buffer.len() {
                    if stream.write_all(&[filling; 1_024]).await.is_err() {
                        return;
                    }
                }
                return;
            }
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
