//! The text of a conditional write: what it sets and removes, and on which condition.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use session_core::Timestamp;

use crate::item::{EXPIRES, Values, number};

/// Stands for the moment of an attempt.
pub(crate) const NOW: &str = ":now";

/// A conditional write in the making.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expression {
    set: Vec<String>,
    remove: Vec<&'static str>,
    conditions: Vec<String>,
    values: HashMap<String, AttributeValue>,
    /// Whether a text has the name that stands for another.
    renames: bool,
    returns_item: bool,
}

impl Expression {
    /// Sets an attribute.
    pub(crate) fn set(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.renames |= name == EXPIRES;
        let placeholder = format!(":s_{}", name.trim_start_matches('#'));
        self.set.push(format!("{name} = {placeholder}"));
        self.values.insert(placeholder, value);
        self
    }

    /// Sets an attribute that is not there; leaves it as it is where it is.
    pub(crate) fn set_absent(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.renames |= name == EXPIRES;
        let placeholder = format!(":s_{}", name.trim_start_matches('#'));
        self.set.push(format!("{name} = if_not_exists({name}, {placeholder})"));
        self.values.insert(placeholder, value);
        self
    }

    /// Counts an attribute up by one, from zero on.
    pub(crate) fn count(mut self, name: &'static str) -> Self {
        self.set.push(format!("{name} = if_not_exists({name}, :zero) + :one"));
        self.values.extend([(":zero".to_owned(), number(0)), (":one".to_owned(), number(1))]);
        self
    }

    /// Sets all of these.
    pub(crate) fn set_all(mut self, values: Values) -> Self {
        // Those of conditions come on top.
        self.values.reserve(2 * values.len());
        values.into_iter().fold(self, |write, (name, value)| write.set(name, value))
    }

    /// Removes an attribute, if it is there.
    pub(crate) fn remove(mut self, name: &'static str) -> Self {
        self.renames |= name == EXPIRES;
        self.remove.push(name);
        self
    }

    /// Of these attributes, removes those that it does not set.
    pub(crate) fn remove_others(self, names: &[&'static str]) -> Self {
        let is_set = |write: &Self, name: &str| {
            write.values.contains_key(&format!(":s_{}", name.trim_start_matches('#')))
        };
        names.iter().fold(
            self,
            |write, name| {
                if is_set(&write, name) { write } else { write.remove(name) }
            },
        )
    }

    /// Only if this holds as well; with the values that the text names.
    pub(crate) fn when<const N: usize>(
        mut self,
        condition: &str,
        values: [(&str, AttributeValue); N],
    ) -> Self {
        self.renames |= condition.contains(EXPIRES);
        self.conditions.push(format!("({condition})"));
        self.values.extend(values.map(|(name, value)| (name.to_owned(), value)));
        self
    }

    /// With the item as it is then in the answer.
    pub(crate) const fn returning(mut self) -> Self {
        self.returns_item = true;
        self
    }

    pub(crate) const fn returns_item(&self) -> bool {
        self.returns_item
    }

    /// The changes, if there are any.
    pub(crate) fn update(&self) -> Option<String> {
        let set = (!self.set.is_empty()).then(|| format!("SET {}", self.set.join(", ")));
        let remove =
            (!self.remove.is_empty()).then(|| format!("REMOVE {}", self.remove.join(", ")));
        let parts: Vec<String> = set.into_iter().chain(remove).collect();
        Some(parts.join(" ")).filter(|text| !text.is_empty())
    }

    /// The condition, if there is one.
    pub(crate) fn condition(&self) -> Option<String> {
        Some(self.conditions.join(" AND ")).filter(|text| !text.is_empty())
    }

    /// The values of both texts, for an attempt at this moment: what was to be judged by the time
    /// is judged by this one, however long it took to come to it.
    pub(crate) fn values_at(&self, now: Timestamp) -> Option<HashMap<String, AttributeValue>> {
        let mut values = self.values.clone();
        if let Some(moment) = values.get_mut(NOW) {
            *moment = number(now.as_millis());
        }
        Some(values).filter(|values| !values.is_empty())
    }

    /// The names that stand for others in both texts.
    pub(crate) fn names(&self, expires: &str) -> Option<HashMap<String, String>> {
        self.renames.then(|| HashMap::from([(EXPIRES.to_owned(), expires.to_owned())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_not_removed_and_names_are_told_where_they_are_used() {
        let write = Expression::default()
            .set("v", number(2))
            .remove_others(&["v", "h"])
            .when("v = :v", [(":v", number(1))]);
        assert_eq!(write.update().unwrap(), "SET v = :s_v REMOVE h");
        assert_eq!(write.condition().unwrap(), "(v = :v)");
        assert_eq!(write.values_at(Timestamp::from_millis(9)).unwrap().len(), 2);
        assert_eq!(write.names("ttl"), None);
        let write = write.set(EXPIRES, number(3));
        assert_eq!(write.names("ttl").unwrap()[EXPIRES], "ttl");
        assert_eq!(Expression::default().update(), None);
        assert_eq!(Expression::default().condition(), None);
    }

    #[test]
    fn an_attempt_is_judged_by_its_own_time() {
        let write = Expression::default().set("u", number(5)).when("x > :now", [(NOW, number(5))]);
        let values = write.values_at(Timestamp::from_millis(9)).unwrap();
        assert_eq!((&values[NOW], &values[":s_u"]), (&number(9), &number(5)));
        assert_eq!(Expression::default().values_at(Timestamp::from_millis(9)), None);
    }
}
