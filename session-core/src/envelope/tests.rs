use std::{ops::Range, time::Duration};

use proptest::{collection, option, prelude::*, sample};

use super::*;
use crate::{
    Alias, Binding, ClientHint, Codec, DocumentState, Entries, ErrorKind, Header, KeyDigest,
    SessionHandle, Timestamp, Ttl, codec,
};

const MAX: usize = 1024 * 1024;

/// Every compression that this build knows, always on.
const COMPRESSIONS: &[Compression] = &[
    Compression::None,
    #[cfg(feature = "lz4")]
    Compression::Lz4 { above: 0 },
];

fn write(document: &Document) -> Bytes {
    encode(document, Compression::None, MAX).unwrap()
}

fn read(payload: &[u8]) -> Result<Document> {
    decode(&Bytes::copy_from_slice(payload), MAX)
}

fn refused(payload: &[u8]) -> String {
    let error = read(payload).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    error.to_string().rsplit(": ").next().unwrap_or_default().to_owned()
}

fn any_timestamp() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_millis)
}

fn any_ttl() -> impl Strategy<Value = Ttl> {
    prop_oneof![Just(Ttl::NEVER), any::<u64>().prop_map(|ms| Duration::from_millis(ms).into())]
}

fn any_state() -> impl Strategy<Value = DocumentState> {
    let alias = (any::<[u8; 32]>(), any_timestamp(), any_timestamp());
    prop_oneof![
        Just(DocumentState::Live),
        alias.prop_map(|(successor, until, at)| {
            DocumentState::Alias(Alias::new(KeyDigest::from_bytes(successor), until, at))
        }),
    ]
}

/// The facts that only sessions of somebody have.
type Client = (Option<Timestamp>, Option<SessionHandle>, Option<ClientHint>, Option<Binding>);

fn any_client() -> impl Strategy<Value = Client> {
    (
        option::of(any_timestamp()),
        option::of(any::<[u8; 16]>().prop_map(SessionHandle::from_bytes)),
        option::of(".{0,150}".prop_map(|text| ClientHint::new(&text))),
        option::of(any::<[u8; 32]>().prop_map(Binding::from_bytes)),
    )
}

fn any_document(entries: Range<usize>) -> impl Strategy<Value = Document> {
    let header = (
        sample::select(codec::tests::ALL),
        any_timestamp(),
        option::of(any_timestamp()),
        option::of(any_ttl()),
        any_client(),
        any_state(),
    );
    let entries = collection::btree_map(".{0,40}", collection::vec(any::<u8>(), 0..200), entries);
    (header, entries).prop_map(|(header, named)| {
        let (codec, created_at, authenticated_at, idle, client, state) = header;
        let (rotated_at, handle, client, binding) = client;
        let mut entries = Entries::new();
        for (name, value) in named {
            entries.insert(&name, value);
        }
        let mut document = Document::new(codec, created_at);
        document.header = Header {
            authenticated_at,
            idle,
            rotated_at,
            handle,
            client,
            binding,
            state,
            ..document.header
        };
        document.entries = entries;
        document
    })
}

proptest! {
    #[test]
    fn a_document_comes_back_as_it_was_written(document in any_document(0..20)) {
        for compression in COMPRESSIONS {
            let payload = encode(&document, *compression, MAX).unwrap();
            prop_assert_eq!(&decode(&payload, MAX).unwrap(), &document);
        }
    }

    #[test]
    fn a_payload_that_is_cut_short_anywhere_is_refused(document in any_document(0..4)) {
        for compression in COMPRESSIONS {
            let payload = encode(&document, *compression, MAX).unwrap();
            for len in 0..payload.len() {
                prop_assert!(decode(&payload.slice(..len), MAX).is_err(), "{} bytes", len);
            }
        }
    }

    #[test]
    fn a_flipped_byte_is_refused_or_makes_another_document(
        document in any_document(0..4),
        flip in 1_u8..,
    ) {
        let payload = write(&document);
        for at in 0..payload.len() {
            let mut flipped = payload.to_vec();
            flipped[at] ^= flip;
            if let Ok(other) = read(&flipped) {
                prop_assert_ne!(&other, &document);
                // A document has one form only: what could be read is written back the same.
                prop_assert_eq!(write(&other), flipped);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, head in any_document(0..1)) {
        drop(read(&bytes));
        for compression in [0, 1] {
            let mut payload = write(&head).to_vec();
            payload.truncate(payload.len() - 4);
            payload[6] = compression;
            payload.extend(&bytes);
            drop(read(&payload));
        }
    }
}

fn document() -> Document {
    let mut document = Document::new(Codec::MessagePack, Timestamp::from_millis(1));
    document.entries.insert("a", "first");
    document.entries.insert("b", "second");
    document
}

/// Where the body of [`document`] starts: the number of entries.
const BODY: usize = 18;

#[test]
fn an_empty_document_comes_back_and_takes_22_bytes() {
    let empty = Document::new(Codec::default(), Timestamp::default());
    let payload = write(&empty);
    assert_eq!(read(&payload).unwrap(), empty);
    assert_eq!(payload.len(), BODY + 4);
}

#[test]
fn values_are_slices_of_the_payload() {
    let payload = write(&document());
    let within = payload.as_ptr_range();
    for (_, value) in decode(&payload, MAX).unwrap().entries.iter() {
        assert!(within.contains(&value.as_ptr()));
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    let payload = [&write(&document())[..], &[0]].concat();
    assert_eq!(refused(&payload), "bytes after the end");
}

#[test]
fn a_newer_version_is_refused_as_such() {
    let mut payload = write(&document()).to_vec();
    for newer in [2, 3, 255] {
        payload[4] = newer;
        assert_eq!(refused(&payload), "written by a newer version of the program");
    }
    payload[4] = 0;
    assert_eq!(refused(&payload), "there is no version 0");
}

#[test]
fn what_version_1_does_not_know_is_refused() {
    let changed = |at: usize, byte: u8| {
        let mut payload = write(&document()).to_vec();
        payload[at] = byte;
        payload
    };
    assert_eq!(refused(&changed(0, b'S')), "not a session envelope");
    assert_eq!(refused(&changed(5, 0)), "unknown codec");
    assert_eq!(refused(&changed(5, 4)), "unknown codec");
    assert_eq!(refused(&changed(6, 2)), "unknown compression");
    assert_eq!(refused(&changed(8, 64)), "unknown flags");
    assert_eq!(refused(&changed(8, 128)), "unknown flags");
    assert_eq!(refused(&changed(9, 2)), "unknown state");
    let encrypted = read(&changed(7, 16)).unwrap_err();
    assert_eq!(encrypted.kind(), ErrorKind::Unsupported);
}

#[test]
fn a_codec_or_compression_that_was_not_built_in_is_unsupported() {
    for (at, tag, built_in) in [(5, 3, cfg!(feature = "bincode")), (6, 1, cfg!(feature = "lz4"))] {
        let mut payload = write(&document()).to_vec();
        payload[at] = tag;
        let kind = read(&payload).err().map(|error| error.kind());
        assert_eq!(kind == Some(ErrorKind::Unsupported), !built_in);
    }
}

#[test]
fn entries_that_are_not_in_order_or_come_twice_are_refused() {
    let payload = write(&document());
    for name in [b'a', b'0'] {
        let mut payload = payload.to_vec();
        let second = payload.iter().rposition(|byte| *byte == b'b').unwrap();
        payload[second] = name;
        assert_eq!(refused(&payload), "entries out of order");
    }
}

#[test]
fn a_name_that_is_not_utf_8_is_refused() {
    let mut payload = write(&document()).to_vec();
    payload[BODY + 5] = 0xFF;
    assert_eq!(refused(&payload), "a name is not UTF-8");
}

#[test]
fn a_hint_that_no_program_writes_is_refused() {
    let mut document = document();
    document.header.client = Some(ClientHint::new("abc"));
    let payload = write(&document);
    for (byte, complaint) in [(0xFF, "a hint is not UTF-8"), (b'\n', "a hint is out of bounds")] {
        let mut payload = payload.to_vec();
        payload[BODY + 1] = byte;
        assert_eq!(refused(&payload), complaint);
    }
}

#[test]
fn counts_and_lengths_beyond_the_payload_are_refused() {
    let payload = write(&document());
    let with = |at: usize, size: u32| {
        let mut payload = payload.to_vec();
        payload[at..at + 4].copy_from_slice(&size.to_le_bytes());
        payload
    };
    for count in [u32::MAX, 16_385, 16_384, 5] {
        assert_eq!(refused(&with(BODY, count)), "more entries than there is room for");
    }
    assert_eq!(refused(&with(BODY, 3)), "cut short");
    assert_eq!(refused(&with(BODY, 1)), "bytes after the end");
    assert_eq!(refused(&with(BODY, 0)), "bytes after the end");
    for len in [u32::MAX, u32::MAX / 2, 17] {
        assert_eq!(refused(&with(BODY + 6, len)), "cut short");
    }
}

#[test]
fn no_error_shows_anything_of_the_payload() {
    let mut document = document();
    document.entries.insert("hunter-name", "hunter-value");
    let payload = write(&document);
    let mut provoked = 0;
    for at in 0..payload.len() {
        for byte in [0x00, 0x7F, 0xFF] {
            let mut payload = payload.to_vec();
            payload[at] = byte;
            let Err(error) = read(&payload) else { continue };
            assert!(std::error::Error::source(&error).is_none());
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter") && !shown.contains("104, 117"), "{shown}");
            provoked += 1;
        }
    }
    assert!(provoked > 20);
    assert!(!format!("{document:?}").contains("hunter"));
}

#[test]
fn limits_are_kept_when_writing_and_reading() {
    let kind = |document: &Document| encode(document, Compression::None, MAX).map_err(|e| e.kind());
    let mut document = Document::new(Codec::default(), Timestamp::default());
    document.entries.insert(&"n".repeat(Entries::MAX_NAME), "1");
    for n in 1..Entries::MAX_LEN {
        document.entries.insert(&format!("{n:05}"), "");
    }
    let payload = kind(&document).unwrap();
    assert_eq!(read(&payload).unwrap(), document);

    let mut one_more = [&payload[..], b"\x01z\0\0\0\0"].concat();
    one_more[BODY..BODY + 4].copy_from_slice(&16_385_u32.to_le_bytes());
    assert_eq!(refused(&one_more), "more entries than there is room for");
    document.entries.insert("one more", "");
    assert_eq!(kind(&document).unwrap_err(), ErrorKind::TooLarge);
    document.entries.clear();
    document.entries.insert(&"n".repeat(Entries::MAX_NAME + 1), "1");
    assert_eq!(kind(&document).unwrap_err(), ErrorKind::TooLarge);
}

/// What version 1 wrote, once and for all. These files must never change.
mod version_1 {
    use super::*;

    fn live() -> Document {
        let mut document =
            Document::new(Codec::MessagePack, Timestamp::from_millis(1_763_719_200_123));
        document.header.authenticated_at = Some(Timestamp::from_millis(1_763_719_260_456));
        document.header.idle = Some(Duration::from_secs(1440).into());
        document.entries.insert("", vec![0xC0]);
        document.entries.insert("cart", vec![0x92, 0xA3, b't', b'e', b'a', 0x07]);
        document
            .entries
            .insert("größe", vec![0xCB, 0x3F, 0xB9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9A]);
        document
    }

    fn alias() -> Document {
        let mut document = Document::new(Codec::Json, Timestamp::from_millis(1));
        document.header.idle = Some(Ttl::NEVER);
        let successor = KeyDigest::from_bytes(std::array::from_fn(|n| u8::try_from(n).unwrap()));
        let (until, at) = (Timestamp::from_millis(1_763_719_320_000), Timestamp::from_millis(2));
        document.header.state = DocumentState::Alias(Alias::new(successor, until, at));
        document
    }

    /// With all that belongs to a log-in.
    fn client() -> Document {
        let mut document = live();
        let header = &mut document.header;
        header.rotated_at = Some(Timestamp::from_millis(1_763_719_300_789));
        header.handle =
            Some(SessionHandle::from_bytes(std::array::from_fn(|n| u8::try_from(n).unwrap())));
        header.client = Some(ClientHint::new("Firefox · Linux"));
        header.binding = Some(Binding::from_bytes([0xB1; 32]));
        document
    }

    const LIVE: &[u8] = include_bytes!("../../testdata/envelope-v1-live.bin");
    const CLIENT: &[u8] = include_bytes!("../../testdata/envelope-v1-client.bin");
    const ALIAS: &[u8] = include_bytes!("../../testdata/envelope-v1-alias.bin");

    #[test]
    fn is_still_read() {
        assert_eq!(read(LIVE).unwrap(), live());
        assert_eq!(read(ALIAS).unwrap(), alias());
        assert_eq!(read(CLIENT).unwrap(), client());
    }

    /// Until there is a version 2.
    #[test]
    fn is_still_written() {
        assert_eq!(write(&live()), LIVE);
        assert_eq!(write(&alias()), ALIAS);
        assert_eq!(write(&client()), CLIENT);
    }

    #[cfg(feature = "lz4")]
    #[test]
    fn is_still_read_when_it_is_compressed() {
        let mut document = live();
        document.entries.insert("text", "la ".repeat(100));
        let stored = include_bytes!("../../testdata/envelope-v1-lz4.bin");
        assert_eq!(read(stored).unwrap(), document);
    }

    #[cfg(feature = "bincode")]
    #[test]
    fn is_still_read_with_values_in_bincode() {
        let mut document = live();
        document.header.codec = Codec::Bincode;
        assert_eq!(
            read(include_bytes!("../../testdata/envelope-v1-bincode.bin")).unwrap(),
            document
        );
    }
}

#[cfg(feature = "lz4")]
mod lz4 {
    use super::*;

    fn folded(document: &Document) -> Bytes {
        encode(document, Compression::LZ4, MAX).unwrap()
    }

    #[test]
    fn a_large_document_becomes_smaller_and_a_small_one_is_left_alone() {
        let mut document = document();
        assert_eq!(folded(&document), write(&document));
        document.entries.insert("text", "la ".repeat(10_000));
        assert!(folded(&document).len() < 1_000);
        assert_eq!(read(&folded(&document)).unwrap(), document);
    }

    #[test]
    fn what_does_not_become_smaller_is_left_alone() {
        let mut document = document();
        let mut random = vec![0; 10_000];
        crate::id::fill_random(&mut random).unwrap();
        document.entries.insert("random", random);
        assert_eq!(folded(&document), write(&document));
    }

    #[test]
    fn what_could_not_be_read_again_is_not_compressed() {
        let mut document = document();
        document.entries.insert("text", "la ".repeat(10_000));
        let payload = encode(&document, Compression::LZ4, 1000).unwrap();
        assert_eq!(payload, write(&document));
        assert_eq!(decode(&payload, 1000).unwrap(), document);
    }

    #[test]
    fn a_compression_bomb_is_refused() {
        let mut document = document();
        document.entries.insert("text", "la ".repeat(10_000));
        let payload = folded(&document);
        let small = decode(&payload, 30_000).unwrap_err();
        assert_eq!(small.kind(), ErrorKind::Corrupt);
        assert!(small.to_string().contains("more bytes than the configuration allows"));

        let says = |len: usize| {
            let mut payload = payload.to_vec();
            payload[BODY..BODY + 4].copy_from_slice(&u32::try_from(len).unwrap().to_le_bytes());
            payload
        };
        let honest = 30_000 + 4 + 6 + 5 + 6 + 6 + 9;
        assert_eq!(read(&says(honest)).unwrap(), document);
        assert_eq!(refused(&says(MAX + 1)), "unfolds to more bytes than the configuration allows");
        assert_eq!(refused(&says(MAX)), "cannot unfold to as many bytes as it says");
        for dishonest in [0, 1, honest - 1, honest + 1] {
            assert_eq!(refused(&says(dishonest)), "damaged LZ4 block");
        }
    }
}
