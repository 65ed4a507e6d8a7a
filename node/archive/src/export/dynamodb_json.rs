//! DynamoDB JSON: `{"Item":{…}}`, one a line.

use super::line::Change;
use cairn_model::{
    codec::{CodecError, EncodedItem},
    json,
    table::KeySchema,
};

pub(super) fn item(item: &EncodedItem, out: &mut Vec<u8>) -> Result<(), CodecError> {
    out.extend_from_slice(b"{\"Item\":");
    json::write_encoded_item(item, out)?;
    out.extend_from_slice(b"}\n");
    Ok(())
}

pub(super) fn change(schema: &KeySchema, change: Change<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let micros = change.micros();
    out.extend_from_slice(
        format!("{{\"Metadata\":{{\"WriteTimestampMicros\":{{\"N\":\"{micros}\"}}}},\"Keys\":{{").as_bytes(),
    );
    let names = [Some(&schema.partition), schema.sort.as_ref()];
    let mut first = true;
    for key in names.into_iter().flatten() {
        let Some(value) = change.latest.get(&key.name)? else { continue };
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        json::write_string(&key.name, out);
        out.push(b':');
        json::write_value(&value, out);
    }
    out.push(b'}');
    let images = [("NewImage", change.new), ("OldImage", change.old)];
    for (name, image) in images {
        if let Some(image) = image {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            json::write_encoded_item(image, out)?;
        }
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::{
        AttributeValue, Item,
        number::Number,
        table::{KeyAttribute, ScalarType},
        time::Timestamp,
    };

    fn encoded(n: i64) -> EncodedItem {
        EncodedItem::encode(&Item::from([
            ("Id".to_owned(), AttributeValue::S("a".into())),
            ("N".to_owned(), AttributeValue::N(Number::from(n))),
        ]))
    }

    #[test]
    fn an_item_is_a_line() {
        let mut out = Vec::new();
        item(&encoded(1), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "{\"Item\":{\"Id\":{\"S\":\"a\"},\"N\":{\"N\":\"1\"}}}\n");
    }

    #[test]
    fn a_change_is_a_line_with_the_images_that_are_there_and_wanted() {
        let schema =
            KeySchema { partition: KeyAttribute { name: "Id".into(), scalar_type: ScalarType::S }, sort: None };
        let (new, old) = (encoded(2), encoded(1));
        let written_at = Timestamp((7 << 16) | 3);
        let line = |latest, new, old| {
            let mut out = Vec::new();
            change(&schema, Change { written_at, latest, new, old }, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let head = r#"{"Metadata":{"WriteTimestampMicros":{"N":"7003"}},"Keys":{"Id":{"S":"a"}}"#;
        let image = |name: &str, n: i64| format!(r#","{name}":{{"Id":{{"S":"a"}},"N":{{"N":"{n}"}}}}"#);
        let (shown, gone) = (image("NewImage", 2), image("OldImage", 1));
        assert_eq!(line(&new, Some(&new), None), format!("{head}{shown}}}\n"));
        assert_eq!(line(&new, Some(&new), Some(&old)), format!("{head}{shown}{gone}}}\n"));
        assert_eq!(line(&old, None, Some(&old)), format!("{head}{gone}}}\n"));
        assert_eq!(line(&old, None, None), format!("{head}}}\n"));
    }
}
