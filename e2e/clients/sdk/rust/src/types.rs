//! All ten types, read back as they were written.

use crate::{
    expectations::{Result, same},
    readings::{Item, TABLE, key},
};
use aws_sdk_dynamodb::{Client, primitives::Blob, types::AttributeValue};
use std::collections::HashMap;

const DIGITS_38: &str = "-1234567890.1234567890123456789012345678";

pub async fn read_as_written(client: &Client) -> Result<String> {
    let item = everything();
    client.put_item().table_name(TABLE).set_item(Some(item.clone())).send().await?;
    let got = client.get_item().table_name(TABLE).set_key(Some(key("types", 0))).consistent_read(true).send().await?;
    let mut found = got.item.ok_or("no item")?;
    found.values_mut().for_each(in_order);
    same("the item", &found, &item)?;
    Ok("as written".to_owned())
}

fn everything() -> Item {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: &str| AttributeValue::N(number.to_owned());
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let deep = AttributeValue::M(HashMap::from([("a b.c[0]".to_owned(), number("2"))]));
    let members = [
        ("text", text("ä, 語 and 🜁")),
        ("number", number(DIGITS_38)),
        ("binary", AttributeValue::B(Blob::new([0, 255, 128]))),
        ("yes", AttributeValue::Bool(true)),
        ("nothing", AttributeValue::Null(true)),
        (
            "list",
            AttributeValue::L(vec![
                text("a"),
                number("1.5"),
                AttributeValue::L(Vec::new()),
                AttributeValue::Null(true),
                AttributeValue::Bool(false),
            ]),
        ),
        ("map", AttributeValue::M(HashMap::from([("deep".to_owned(), deep), ("none".to_owned(), text(""))]))),
        ("texts", AttributeValue::Ss(texts(&["", "a", "b"]))),
        ("numbers", AttributeValue::Ns(texts(&["-1", "0.5", "10"]))),
        ("binaries", AttributeValue::Bs(vec![Blob::new([0]), Blob::new([1, 2])])),
    ];
    let mut item = key("types", 0);
    item.extend(members.map(|(name, value)| (name.to_owned(), value)));
    item
}

/// Sets have no order.
fn in_order(value: &mut AttributeValue) {
    match value {
        AttributeValue::Ss(set) | AttributeValue::Ns(set) => set.sort(),
        AttributeValue::Bs(set) => set.sort_by(|a, b| a.as_ref().cmp(b.as_ref())),
        _ => {}
    }
}
