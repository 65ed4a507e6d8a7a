//! DynamoDB's sizes of values and items, in bytes.

use crate::{AttributeValue, Item, number::Number};

/// The size of an item: its values and its attributes' names.
pub fn item_size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

/// The size of a value without a name.
pub fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number.size(),
        AttributeValue::B(bytes) => bytes.len(),
        AttributeValue::Bool(_) | AttributeValue::Null => 1,
        AttributeValue::M(map) => 3 + map.len() + item_size(map),
        AttributeValue::L(list) => 3 + list.len() + list.iter().map(value_size).sum::<usize>(),
        AttributeValue::Ss(set) => set.iter().map(String::len).sum(),
        AttributeValue::Ns(set) => set.iter().map(Number::size).sum(),
        AttributeValue::Bs(set) => set.iter().map(|bytes| bytes.len()).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn n(text: &str) -> AttributeValue {
        AttributeValue::N(Number::parse(text).unwrap())
    }

    #[test]
    fn names_count_with_their_values() {
        let item = BTreeMap::from([("naïve".to_owned(), AttributeValue::S("é".to_owned()))]);
        assert_eq!(item_size(&item), 6 + 2);
    }

    #[test]
    fn lists_and_maps_cost_three_and_one_an_element() {
        assert_eq!(value_size(&AttributeValue::L(vec![])), 3);
        assert_eq!(value_size(&AttributeValue::M(Item::new())), 3);
        assert_eq!(value_size(&AttributeValue::L(vec![n("1"), AttributeValue::Null])), 3 + 2 + 2 + 1);
        let map = BTreeMap::from([("ab".to_owned(), AttributeValue::Bool(false))]);
        assert_eq!(value_size(&AttributeValue::M(map)), 3 + 1 + 2 + 1);
    }

    #[test]
    fn sets_cost_their_members() {
        assert_eq!(value_size(&AttributeValue::Ss(vec!["a".to_owned(), "bcd".to_owned()])), 4);
        assert_eq!(value_size(&AttributeValue::Bs(vec![b"xy"[..].into()])), 2);
    }
}
