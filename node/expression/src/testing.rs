//! What the tests of several modules need.

use crate::Placeholders;
use cairn_model::{AttributeValue, Item, json::JsonItem};
use std::collections::BTreeMap;

/// An item out of DynamoDB JSON.
pub(crate) fn item(json: &str) -> Item {
    serde_json::from_str::<JsonItem>(json).unwrap().into_item().unwrap()
}

/// A value out of DynamoDB JSON.
pub(crate) fn value(json: &str) -> AttributeValue {
    item(&format!("{{\"v\":{json}}}")).remove("v").unwrap()
}

/// `#a` to `#e` for `a` to `e` and `#size` for a reserved word; `:s` "b", `:n` 5, `:one` 1, and one value of each other type.
pub(crate) fn placeholders() -> Placeholders {
    let names: BTreeMap<String, String> =
        ["a", "b", "c", "d", "e", "size"].iter().map(|name| (format!("#{name}"), (*name).to_owned())).collect();
    let values = item(
        r#"{":s":{"S":"b"},":n":{"N":"5"},":one":{"N":"1"},":big":{"N":"9E125"},":bin":{"B":"AQI="},
            ":bool":{"BOOL":true},":null":{"NULL":true},":m":{"M":{"x":{"N":"1"}}},":l":{"L":[{"N":"1"},{"S":"b"}]},
            ":ss":{"SS":["a","b"]},":ns":{"NS":["1","2"]},":bs":{"BS":["AQ=="]},":type":{"S":"NS"}}"#,
    );
    Placeholders::new(Some(names), Some(values)).unwrap()
}

/// Words that an expression may or may not hold, for texts that nearly parse.
pub(crate) const SOUP: &str = "((a|b|#a|#b|:s|:n|:l|:ss|:x|#x|size|attribute_exists|begins_with|contains|attribute_type|\
                               if_not_exists|list_append|foo|AND|OR|NOT|BETWEEN|IN|SET|REMOVE|ADD|DELETE|=|<>|<|<=|>|>=|\
                               \\+|-|\\(|\\)|\\[|\\]|0|7|\\.|,|é|!) ?){0,24}";
