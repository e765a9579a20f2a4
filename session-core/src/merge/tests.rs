use std::{collections::BTreeMap, error::Error as _};

use proptest::prelude::*;
use serde::{Serialize, Serializer};

use super::*;
use crate::{NativeFormat, codec::tests::ALL};

const RULES: [MergeRule; 5] =
    [MergeRule::LastWins, MergeRule::Fail, MergeRule::Counter, MergeRule::Max, MergeRule::Union];

fn self_describing() -> impl Iterator<Item = Codec> {
    ALL.iter().copied().filter(|codec| codec.is_self_describing())
}

type Entry<T> = Option<T>;

/// Merges in both self-describing codecs, which must agree.
fn merge<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    rule: MergeRule,
    [base, mine, theirs]: [Entry<T>; 3],
) -> Result<Entry<T>> {
    let results = self_describing().map(|codec| {
        let encode = |value: &T| codec.encode(value).unwrap();
        let [base, mine, theirs] = [&base, &mine, &theirs].map(|value| value.as_ref().map(encode));
        let format = NativeFormat::default();
        let merged =
            merge_entry(rule, &format, codec, base.as_ref(), mine.as_ref(), theirs.as_ref())?;
        merged.map(|bytes| decode_as(&format, codec, &bytes)).transpose()
    });
    results
        .reduce(|one, other| {
            assert_eq!(one.as_ref().ok(), other.as_ref().ok());
            one
        })
        .unwrap()
}

fn merged<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    rule: MergeRule,
    base: impl Into<Entry<T>>,
    mine: impl Into<Entry<T>>,
    theirs: impl Into<Entry<T>>,
) -> Entry<T> {
    merge(rule, [base.into(), mine.into(), theirs.into()]).unwrap()
}

fn refused<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    rule: MergeRule,
    entries: [T; 3],
) {
    let error = merge(rule, entries.map(Some)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[test]
fn an_entry_that_only_one_changed_is_as_that_one_left_it() {
    for rule in RULES {
        assert_eq!(merged(rule, 1, 2, 1), Some(2), "{rule:?}");
        assert_eq!(merged(rule, 1, 1, 2), Some(2), "{rule:?}");
        assert_eq!(merged(rule, 1, 1, 1), Some(1), "{rule:?}");
        assert_eq!(merged(rule, 1, None, 1), None, "{rule:?}");
        assert_eq!(merged(rule, 1, 1, None), None, "{rule:?}");
        assert_eq!(merged(rule, None, 1, None), Some(1), "{rule:?}");
        assert_eq!(merged(rule, None, None, 1), Some(1), "{rule:?}");
    }
}

#[test]
fn two_equal_changes_are_one_change() {
    for rule in RULES.into_iter().filter(|rule| *rule != MergeRule::Counter) {
        assert_eq!(merged(rule, vec![1], vec![2], vec![2]), Some(vec![2]), "{rule:?}");
        assert_eq!(merged(rule, vec![1], None, None), None, "{rule:?}");
    }
}

#[test]
fn the_last_wins() {
    assert_eq!(merged(MergeRule::LastWins, 1, 2, 3), Some(2));
    assert_eq!(merged(MergeRule::LastWins, 1, None, 3), None);
    assert_eq!(merged(MergeRule::LastWins, 1, 2, None), Some(2));
}

#[test]
fn two_different_changes_fail_where_that_is_the_rule() {
    refused(MergeRule::Fail, [1, 2, 3]);
    for entries in [[Some(1), None, Some(3)], [Some(1), Some(2), None], [None, Some(2), Some(3)]] {
        let error = merge(MergeRule::Fail, entries).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
}

#[test]
fn a_counter_keeps_what_each_added() {
    assert_eq!(merged(MergeRule::Counter, 5, 6, 6), Some(7));
    assert_eq!(merged(MergeRule::Counter, 5, 8, 4), Some(7));
    assert_eq!(merged(MergeRule::Counter, 5, -2, 3), Some(-4));
    assert_eq!(merged(MergeRule::Counter, None, 1, 1), Some(2));
    assert_eq!(merged(MergeRule::Counter, 5, 6, None), Some(1));
    assert_eq!(merged(MergeRule::Counter, 5, None, 6), None);
    assert_eq!(merged(MergeRule::Counter, 0, u64::MAX, 0), Some(u64::MAX));
    assert_eq!(
        merged(MergeRule::Counter, u64::MAX, u64::MAX - 2, u64::MAX - 1),
        Some(u64::MAX - 3)
    );
    assert_eq!(merged(MergeRule::Counter, 0, i64::MIN + 1, -1), Some(i64::MIN));
}

#[test]
fn a_counter_that_overflows_or_is_no_whole_number_is_a_conflict() {
    refused(MergeRule::Counter, [0, u64::MAX, 1]);
    refused(MergeRule::Counter, [0, i64::MIN, -1]);
    refused(MergeRule::Counter, [0.0, 1.0, 2.5]);
    refused(MergeRule::Counter, ["0", "1", "2"].map(String::from));
    refused(MergeRule::Counter, [vec![0], vec![1], vec![2]]);
}

#[test]
fn the_greater_number_stands() {
    assert_eq!(merged(MergeRule::Max, 1, 3, 2), Some(3));
    assert_eq!(merged(MergeRule::Max, 9, 2, 3), Some(3));
    assert_eq!(merged(MergeRule::Max, 9, 2, None), Some(2));
    assert_eq!(merged(MergeRule::Max, 9, None, 10), None);
    assert_eq!(merged(MergeRule::Max, 0.5, -1.5, -0.25), Some(-0.25));
    assert_eq!(merged(MergeRule::Max, 0, u64::MAX - 1, u64::MAX), Some(u64::MAX));
    assert_eq!(merged(MergeRule::Max, 0, -1, i64::MIN), Some(-1));
    refused(MergeRule::Max, ["0", "1", "2"].map(String::from));
    refused(MergeRule::Max, [[0], [1], [2]]);
}

#[test]
fn a_whole_number_is_compared_with_a_float() {
    let [one, two] = [Codec::Json.encode(&1).unwrap(), Codec::Json.encode(&1.5).unwrap()];
    let format = NativeFormat::default();
    for (mine, theirs) in [(&one, &two), (&two, &one)] {
        let merged =
            merge_entry(MergeRule::Max, &format, Codec::Json, None, Some(mine), Some(theirs));
        assert_eq!(merged.unwrap().as_ref(), Some(&two));
    }
}

#[test]
fn what_is_not_a_number_is_greater_than_nothing() {
    let codec = Codec::MessagePack;
    let [nan, one] = [f64::NAN, 1.0].map(|n| codec.encode(&n).unwrap());
    for (mine, theirs) in [(&nan, &one), (&one, &nan)] {
        let format = NativeFormat::default();
        let merged = merge_entry(MergeRule::Max, &format, codec, None, Some(mine), Some(theirs));
        assert_eq!(merged.unwrap_err().kind(), ErrorKind::Conflict);
    }
}

fn union(base: &[i32], mine: &[i32], theirs: &[i32]) -> Vec<i32> {
    merged(MergeRule::Union, base.to_vec(), mine.to_vec(), theirs.to_vec()).unwrap()
}

#[test]
fn a_set_keeps_what_each_added_and_loses_what_each_removed() {
    assert_eq!(union(&[1], &[1, 2], &[1, 3]), [1, 3, 2]);
    assert_eq!(union(&[1, 2], &[1], &[2, 1, 3]), [1, 3]);
    assert!(union(&[1, 2], &[2], &[1]).is_empty());
    assert_eq!(union(&[1], &[2], &[1]), [2]);
    assert_eq!(union(&[1], &[1, 2], &[3, 2]), [3, 2]);
    assert_eq!(union(&[5], &[4, 4, 5, 3], &[9, 9, 5]), [9, 5, 4, 3]);
    assert_eq!(merged(MergeRule::Union, None, vec![1], vec![2]), Some(vec![2, 1]));
    assert_eq!(merged(MergeRule::Union, vec![1], vec![1, 2], None), Some(vec![2]));
    assert_eq!(merged(MergeRule::Union, vec![1], None, vec![1, 2]), None);
    refused(MergeRule::Union, [1, 2, 3]);
    refused(MergeRule::Union, [1, 2, 3].map(|n| BTreeMap::from([("a".to_owned(), n)])));
}

proptest! {
    #[test]
    fn a_set_is_merged_as_sets_are(
        base in prop::collection::btree_set(0..8, 0..8),
        mine in prop::collection::btree_set(0..8, 0..8),
        theirs in prop::collection::btree_set(0..8, 0..8),
    ) {
        let list = |set: &std::collections::BTreeSet<i32>| set.iter().copied().collect::<Vec<_>>();
        let mut result = union(&list(&base), &list(&mine), &list(&theirs));
        result.sort_unstable();
        let expected: Vec<i32> = (0..8)
            .filter(|n| match (base.contains(n), mine.contains(n)) {
                (false, true) => true,
                (true, false) => false,
                _ => theirs.contains(n),
            })
            .collect();
        prop_assert_eq!(result, expected);
    }

    #[test]
    fn counters_end_at_the_sum_whatever_the_order(added in prop::collection::vec(-100..100, 1..6)) {
        let base = 1000;
        let total = added.iter().fold(base, |theirs, n| {
            merged(MergeRule::Counter, base, base + n, theirs).unwrap()
        });
        prop_assert_eq!(total, base + added.iter().sum::<i32>());
    }
}

/// A value of MessagePack that JSON and serde_json have no form for.
struct Raw(&'static [u8]);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

#[test]
fn elements_of_any_type_come_through_a_union_as_they_were() {
    let codec = Codec::MessagePack;
    let encode = |value: &dyn erased_serde::Serialize| codec.encode(value).unwrap();
    let elements = (
        (None::<u8>, true, i64::MIN, u64::MAX, f64::NAN, -0.0),
        ("text", Raw(b"\xFF\x00bytes"), Raw(b""), [1, 2]),
        BTreeMap::from([(-1, "negative key"), (2, "x")]),
        BTreeMap::from([("nested", vec![Some(0.1), None])]),
    );
    let theirs = encode(&elements);
    let merged = merge_entry(
        MergeRule::Union,
        &NativeFormat::default(),
        codec,
        None,
        Some(&encode(&Vec::<u8>::new())),
        Some(&theirs),
    );
    assert_eq!(merged.unwrap(), Some(theirs));
}

#[test]
fn maps_are_equal_whatever_the_order_of_their_keys_and_1_is_not_1_0() {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let merge = |base: &str, mine: &str, theirs: &str| {
        let [base, mine, theirs] = [base, mine, theirs].map(bytes);
        let (format, codec) = (NativeFormat::default(), Codec::Json);
        let merged =
            merge_entry(MergeRule::Union, &format, codec, Some(&base), Some(&mine), Some(&theirs));
        String::from_utf8(merged.unwrap().unwrap().to_vec()).unwrap()
    };
    let (one, other) = (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#);
    assert_eq!(
        merge("[0]", &format!("[0,{one}]"), &format!("[0,{other}]")),
        format!("[0,{other}]")
    );
    assert_eq!(merge(&format!("[{one}]"), "[]", &format!("[{other},3]")), "[3]");
    assert_eq!(merge("[0]", "[0,1]", "[0,1.0]"), "[0,1.0,1]");
}

#[test]
fn a_set_whose_numbers_json_would_change_is_a_conflict() {
    let codec = Codec::Json;
    let encode = |list: &[u128]| codec.encode(&list).unwrap();
    let merge = |mine: &[u128], theirs: &[u128]| {
        let (mine, theirs, format) = (encode(mine), encode(theirs), NativeFormat::default());
        merge_entry(MergeRule::Union, &format, codec, None, Some(&mine), Some(&theirs))
    };
    let largest = u128::from(u64::MAX);
    assert_eq!(merge(&[1], &[largest]).unwrap(), Some(encode(&[largest, 1])));
    for (mine, theirs) in [(1, largest + 1), (u128::MAX, 1)] {
        assert_eq!(merge(&[mine], &[theirs]).unwrap_err().kind(), ErrorKind::Conflict);
    }
    let nested = codec.encode(&[[[u128::MAX]]]).unwrap();
    let (one, format) = (encode(&[1]), NativeFormat::default());
    let merged = merge_entry(MergeRule::Union, &format, codec, None, Some(&nested), Some(&one));
    assert_eq!(merged.unwrap_err().kind(), ErrorKind::Conflict);
}

#[cfg(feature = "bincode")]
#[test]
fn what_must_know_the_type_is_unsupported_in_bincode() {
    let codec = Codec::Bincode;
    let [base, mine, theirs] = [[1], [2], [3]].map(|list| codec.encode(&list.to_vec()).unwrap());
    let merge = |rule| {
        let format = NativeFormat::default();
        merge_entry(rule, &format, codec, Some(&base), Some(&mine), Some(&theirs))
    };
    for rule in [MergeRule::Counter, MergeRule::Max, MergeRule::Union] {
        assert_eq!(merge(rule).unwrap_err().kind(), ErrorKind::Unsupported);
    }
    assert_eq!(merge(MergeRule::LastWins).unwrap(), Some(mine.clone()));
}

#[test]
fn no_error_shows_anything_of_the_values() {
    let texts = ["hunter1", "hunter2", "hunter3"].map(|text| Some(text.to_owned()));
    for rule in [MergeRule::Fail, MergeRule::Counter, MergeRule::Max, MergeRule::Union] {
        let error = merge(rule, texts.clone()).unwrap_err();
        let source = error.source().map(|source| format!("{source} {source:?}"));
        let shown = format!("{error} {error:?} {source:?}");
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
