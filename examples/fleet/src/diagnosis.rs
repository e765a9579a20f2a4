//! Whether the instances share their keys, by what each of them tells.

use serde::Deserialize;

/// What an instance tells of its keys, and of those that it met.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Told {
    instance: String,
    /// The newest first.
    keys: Vec<String>,
    refused: u64,
    unknown_key: Option<String>,
}

/// Names each instance that signs with a key which most of the others do not have.
pub(crate) fn diagnose(told: &[Told]) -> Vec<String> {
    let strange = told.iter().filter_map(|one| {
        let key = one.keys.first()?;
        let others = told.iter().filter(|other| other.instance != one.instance);
        let without: Vec<&Told> = others.filter(|other| !other.keys.contains(key)).collect();
        (without.len() * 2 >= told.len()).then_some((one, key, without))
    });
    strange
        .map(|(one, key, without)| {
            let met = without.iter().filter(|other| other.unknown_key.as_ref() == Some(key));
            let refused: u64 = met.map(|other| other.refused).sum();
            format!(
                "nodes do not share keys: {} signs with {key}, which {} others do not have; they \
                 refused {refused} of its cookies, and it {} of others'",
                one.instance,
                without.len(),
                one.refused,
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(instance: &str, keys: &[&str], refused: u64, unknown_key: Option<&str>) -> Told {
        Told {
            instance: instance.to_owned(),
            keys: keys.iter().map(ToString::to_string).collect(),
            refused,
            unknown_key: unknown_key.map(str::to_owned),
        }
    }

    #[test]
    fn the_one_with_another_key_is_named() {
        let fleet = [
            told("one", &["a"], 3, Some("b")),
            told("two", &["b"], 9, Some("a")),
            told("three", &["a"], 4, Some("b")),
        ];
        assert_eq!(
            diagnose(&fleet),
            [
                "nodes do not share keys: two signs with b, which 2 others do not have; they refused \
              7 of its cookies, and it 9 of others'"
            ]
        );
    }

    #[test]
    fn a_fleet_that_shares_its_keys_has_none_to_name_also_while_a_new_one_comes_in() {
        let shared = [told("one", &["a"], 0, None), told("two", &["a"], 1, Some("x"))];
        assert!(diagnose(&shared).is_empty());
        let coming = [told("one", &["b", "a"], 0, None), told("two", &["a", "b"], 0, None)];
        assert!(diagnose(&coming).is_empty());
        assert!(diagnose(&[told("one", &["a"], 0, None)]).is_empty());
        assert!(diagnose(&[told("one", &[], 0, None), told("two", &[], 0, None)]).is_empty());
    }
}
