use super::*;
use crate::ArchiveError;
use cairn_model::{
    AttributeValue, Item, KeySchema, TableDefinition,
    ids::TableId,
    index::{IndexProjection, NewGlobalIndex, ProjectionType},
    number::Number,
    table::{KeyAttribute, ScalarType},
};
use proptest::{collection::vec, prelude::*, sample::select};
use std::io::{self, Write};

fn table(keys: &[(&str, ScalarType)]) -> TableDefinition {
    let mut keys =
        keys.iter().map(|(name, scalar_type)| KeyAttribute { name: (*name).into(), scalar_type: *scalar_type });
    let key_schema = KeySchema { partition: keys.next().unwrap(), sort: keys.next() };
    TableDefinition::new("local", "users", TableId([1; 16]), key_schema)
}

fn by_id() -> TableDefinition {
    table(&[("Id", ScalarType::S)])
}

fn csv() -> Format {
    Format::Csv { delimiter: b',', header: None }
}

type Read = Vec<(u64, Result<Item, String>)>;

fn read_all(file: &[u8], compression: Compression, format: Format, table: TableDefinition) -> Result<Read, String> {
    let items = Items::new(file, compression, format, table).map_err(|error| error.to_string())?;
    let entry = |entry: Entry| {
        (entry.line, entry.item.map(|(_, item)| item.decode().unwrap()).map_err(|rejected| rejected.message))
    };
    items.map(|read| read.map(entry).map_err(|error| error.to_string())).collect()
}

fn plain(file: &str, format: Format) -> Read {
    read_all(file.as_bytes(), Compression::None, format, by_id()).unwrap()
}

fn item(attributes: &[(&str, &str)]) -> Item {
    attributes.iter().map(|(name, text)| ((*name).to_owned(), AttributeValue::S((*text).to_owned()))).collect()
}

fn problem(read: &Read, at: usize) -> &str {
    read[at].1.as_ref().unwrap_err()
}

#[test]
fn dynamodb_json_is_an_item_a_line() {
    let file =
        "{\"Item\":{\"Id\":{\"S\":\"a\"},\"V\":{\"NS\":[\"1\",\"2.50\"]}}}\r\n\n  \n{\"Item\":{\"Id\":{\"S\":\"b\"}}}";
    let read = plain(file, Format::DynamoDbJson);
    assert_eq!(read.len(), 2);
    assert_eq!((read[0].0, read[1].0), (1, 4));
    let set = AttributeValue::Ns(vec![Number::from(1u64), Number::parse("2.5").unwrap()]);
    assert_eq!(read[0].1.as_ref().unwrap()["V"], set);
    assert_eq!(read[1].1, Ok(item(&[("Id", "b")])));
}

#[test]
fn values_of_dynamodb_json_follow_each_other_without_the_end_of_a_line_too() {
    let value = |id: &str| format!("{{\"Item\":{{\"Id\":{{\"S\":{id:?}}}}}}}");
    let file =
        format!("\u{feff}{}{} {}\n{{\n\"Item\":\n{}\n", value("a"), value("}\"{"), value("\\"), &value("d")[8..]);
    let read = plain(&file, Format::DynamoDbJson);
    let expected = [(1, "a"), (1, "}\"{"), (1, "\\"), (2, "d")].map(|(line, id)| (line, Ok(item(&[("Id", id)]))));
    assert_eq!(read, expected);
    let file = value("a").repeat(2 * RECORD_BYTES_MAX / value("a").len());
    let mut items = Items::new(file.as_bytes(), Compression::None, Format::DynamoDbJson, by_id()).unwrap();
    assert!(items.by_ref().all(|read| read.unwrap().item.is_ok()), "values, not lines, have a limit");
    assert_eq!(items.bytes(), file.len() as u64);
}

#[test]
fn what_no_item_can_be_made_of_is_the_last_that_is_read_of_its_file() {
    for (bad, why) in [
        ("{\"Item\":{\"Id\":{\"S\":\"a\"}", "The value cannot be read: expected `,` or `}`"),
        ("{\"Keys\":{\"Id\":{\"S\":\"a\"}}}", "The value has no Item"),
        ("{\"Item\":}", "The value cannot be read: expected value"),
        ("nonsense", "The value cannot be read: expected"),
        ("\u{0}", "The value cannot be read"),
        ("[]", "The value cannot be read"),
    ] {
        let good = "{\"Item\":{\"Id\":{\"S\":\"good\"}}}";
        let read = plain(&format!("{good}\n\n{bad}\n{good}\n{bad}\n"), Format::DynamoDbJson);
        assert_eq!((read.len(), read[1].0, &read[0].1), (2, 3, &Ok(item(&[("Id", "good")]))), "{bad}");
        let told = problem(&read, 1);
        assert!(told.starts_with(why) && told.ends_with("; the rest of the object is passed over"), "{told}");
    }
}

#[test]
fn an_item_that_is_none_of_the_table_says_why_and_the_next_is_read() {
    let lines = [
        "{\"Item\":{\"Id\":{\"N\":\"1\"}}}",
        "{\"Item\":{\"V\":{\"S\":\"a\"}}}",
        "{\"Item\":{\"Id\":{\"S\":\"a\"},\"V\":{\"N\":\"x\"}}}",
        "{\"Item\":{\"Id\":{\"S\":\"good\"}}}",
    ];
    let read = plain(&lines.join("\n"), Format::DynamoDbJson);
    assert!(problem(&read, 0).contains("Type mismatch for key Id expected: S actual: N"), "{read:?}");
    assert!(problem(&read, 1).contains("Missing the key Id"), "{read:?}");
    assert!(problem(&read, 2).contains("cannot be converted to a numeric value: x"), "{read:?}");
    assert_eq!(read[3], (4, Ok(item(&[("Id", "good")]))));
}

#[test]
fn an_item_that_is_too_large_is_rejected_and_only_its_beginning_is_told() {
    let file = format!("{{\"Item\":{{\"Id\":{{\"S\":\"a\"}},\"V\":{{\"S\":\"{}\"}}}}}}", "v".repeat(400 << 10));
    let mut items = Items::new(file.as_bytes(), Compression::None, Format::DynamoDbJson, by_id()).unwrap();
    let rejected = items.next().unwrap().unwrap().item.unwrap_err();
    assert_eq!(rejected.message, "Item size has exceeded the maximum allowed size");
    assert_eq!(rejected.text.len(), 1_024);
    assert_eq!(items.bytes(), file.len() as u64);
}

#[test]
fn a_line_without_an_end_takes_no_more_memory_than_a_record_may() {
    let header = Some(vec!["Id".to_owned()]);
    for (format, next) in [
        (Format::DynamoDbJson, "{\"Item\":{\"Id\":{\"S\":\"b\"}}}"),
        (Format::Ion, "{Item:{Id:\"b\"}}"),
        (Format::Csv { delimiter: b',', header }, "b"),
    ] {
        let file = ["x".repeat(RECORD_BYTES_MAX + 1).as_bytes(), b"\n", next.as_bytes()].concat();
        let read = read_all(&file, Compression::None, format, by_id()).unwrap();
        assert_eq!(problem(&read, 0), "The record is too long");
        assert_eq!((read.len(), read[1].0, read[1].1.is_ok()), (2, 2, true));
    }
}

#[test]
fn csv_keys_are_of_their_types_and_all_else_are_strings() {
    let table = table(&[("Id", ScalarType::N), ("At", ScalarType::B)]);
    let file = "\u{feff}V,Id,At\n5,-1.50,AQI=\n,x,AQI=\n5,1,???\n";
    let read = read_all(file.as_bytes(), Compression::None, csv(), table).unwrap();
    let first = read[0].1.as_ref().unwrap();
    assert_eq!(first["V"], AttributeValue::S("5".into()));
    assert_eq!(first["Id"], AttributeValue::N(Number::parse("-1.5").unwrap()));
    assert_eq!(first["At"], AttributeValue::B(vec![1, 2].into()));
    assert!(problem(&read, 1).contains("numeric value: x"));
    assert_eq!(problem(&read, 2), "The value of At is not Base64");
}

/// By Id, with an index by the number Score.
fn ranked() -> TableDefinition {
    let score = KeyAttribute { name: "Score".into(), scalar_type: ScalarType::N };
    let index = NewGlobalIndex {
        index_name: "by-score".into(),
        key_schema: KeySchema { partition: score, sort: None }.into(),
        projection: IndexProjection { projection_type: ProjectionType::All, non_key_attributes: Default::default() },
        provisioned_throughput: None,
        on_demand_throughput: None,
        warm_throughput: None,
    };
    TableDefinition { global_indexes: vec![index.into_index(TableId([2; 16]), 0)], ..by_id() }
}

#[test]
fn keys_of_indexes_are_of_their_types_too() {
    let read = read_all(b"Id,Score\na,-1.50\nb,x\n", Compression::None, csv(), ranked()).unwrap();
    assert_eq!(read[0].1.as_ref().unwrap()["Score"], AttributeValue::N(Number::parse("-1.5").unwrap()));
    assert!(problem(&read, 1).contains("numeric value: x"));
    let lines = b"{\"Item\":{\"Id\":{\"S\":\"a\"},\"Score\":{\"S\":\"1\"}}}\n{\"Item\":{\"Id\":{\"S\":\"b\"}}}\n";
    let read = read_all(lines, Compression::None, Format::DynamoDbJson, ranked()).unwrap();
    assert!(problem(&read, 0).contains("IndexName: by-score"), "{read:?}");
    assert_eq!(read[1].1, Ok(item(&[("Id", "b")])));
}

#[test]
fn quoted_values_hold_delimiters_quotes_and_lines() {
    let file = "Id,V\r\na,\"x,\"\"y\"\"\r\nz\"\r\n\r\nb,\n\"c\",\" \"\n";
    let read = plain(file, csv());
    assert_eq!(read[0], (2, Ok(item(&[("Id", "a"), ("V", "x,\"y\"\r\nz")]))));
    assert_eq!(read[1], (5, Ok(item(&[("Id", "b"), ("V", "")]))));
    assert_eq!(read[2], (6, Ok(item(&[("Id", "c"), ("V", " ")]))));
}

#[test]
fn a_record_that_does_not_fit_says_why_and_the_next_is_read() {
    let file = "Id,V\na\na,b,c\n\"a\"x,b\na,b\"c\n,b\nd,e\nf,\"g\nh,i\n";
    let read = plain(file, csv());
    assert_eq!(problem(&read, 0), "The record has 1 columns, but the header has 2");
    assert_eq!(problem(&read, 1), "The record has more columns than the header, which has 2");
    assert!(problem(&read, 2).contains("between a closing quote and the delimiter"));
    assert!(problem(&read, 3).contains("a quote in a value without quotes"));
    assert!(problem(&read, 4).contains("empty string value"), "{read:?}");
    assert_eq!(read[5], (7, Ok(item(&[("Id", "d"), ("V", "e")]))));
    assert_eq!((read[6].0, problem(&read, 6)), (8, "A quoted value that begins here is not closed"));
    assert_eq!(read.len(), 7);
}

#[test]
fn a_header_that_was_given_makes_the_first_line_an_item() {
    let format = Format::Csv { delimiter: b'\t', header: Some(vec!["Id".into(), "V".into()]) };
    assert_eq!(plain("a\tb,c", format), [(1, Ok(item(&[("Id", "a"), ("V", "b,c")])))]);
}

#[test]
fn a_header_that_cannot_be_one_makes_the_file_unreadable() {
    let read = |file: &[u8]| read_all(file, Compression::None, csv(), by_id()).unwrap_err();
    assert_eq!(read(b"Id,Id\na,b\n"), "its header has the column \"Id\" twice");
    assert_eq!(read(b"Id,\na,b\n"), "a column of its header has no name");
    assert_eq!(read(b"Id,\xff\na,b\n"), "its header is not UTF-8");
    assert!(read(b"Id,\"V\n").contains("not closed"));
    assert_eq!(plain("", csv()), []);
    assert_eq!(plain("Id,V\n", csv()), []);
}

#[test]
fn a_line_of_delimiters_makes_no_more_columns_than_the_header_has_and_the_next_is_read() {
    let delimiters = ",".repeat(RECORD_BYTES_MAX / 2);
    let header = Some(vec!["Id".to_owned(), "V".to_owned()]);
    let read = plain(&format!("{delimiters}\na,b\n"), Format::Csv { delimiter: b',', header });
    assert_eq!(problem(&read, 0), "The record has more columns than the header, which has 2");
    assert_eq!(read[1], (2, Ok(item(&[("Id", "a"), ("V", "b")]))));
    let read = read_all(delimiters.as_bytes(), Compression::None, csv(), by_id());
    assert!(read.unwrap_err().contains("it has more than 16384 columns"));
}

#[test]
fn ion_is_an_item_a_line_and_what_is_none_says_why() {
    let lines = [
        "$ion_1_0 {Item:{Id:\"a\",V:\"1\"}}\r",
        "$ion_1_0",
        " // a comment",
        "$ion_1_0 {Item:{Id:\"b\"",
        "{Item:{Id:1.}}",
        "{Item:{Id:\"c\",V:1e0}}",
        "",
        "{Item:{Id:\"d\"}}",
    ];
    let read = plain(&lines.join("\n"), Format::Ion);
    assert_eq!(read.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 4, 5, 6, 8]);
    assert_eq!(read[0].1, Ok(item(&[("Id", "a"), ("V", "1")])));
    assert_eq!(problem(&read, 1), "The line cannot be read: the line ends within the item, at byte 23");
    assert!(problem(&read, 2).contains("Type mismatch for key Id expected: S actual: N"), "{read:?}");
    assert!(problem(&read, 3).contains("DynamoDB has no floats"), "{read:?}");
    assert_eq!(read[4].1, Ok(item(&[("Id", "d")])));
}

#[test]
fn binary_ion_makes_the_file_unreadable() {
    let file = b"\xe0\x01\x00\xea\xee\x8b\x81\x83\n{Item:{Id:\"a\"}}";
    let read = read_all(file, Compression::None, Format::Ion, by_id());
    assert_eq!(read.unwrap_err(), "it is binary Ion: an import needs text, an item a line");
}

#[test]
fn of_a_long_problem_only_the_beginning_is_told() {
    let file = format!("{{Item:{{Id:\"a\",V:{}}}}}", "1x".repeat(100_000));
    let mut items = Items::new(file.as_bytes(), Compression::None, Format::Ion, by_id()).unwrap();
    assert_eq!(items.next().unwrap().unwrap().item.unwrap_err().message.len(), 1_024);
}

fn packed(file: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::None => file.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(file).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::stream::encode_all(file, 1).unwrap(),
    }
}

#[test]
fn compressed_files_are_read_with_all_their_members_and_not_when_they_end_early() {
    let line = |id: &str| format!("{{\"Item\":{{\"Id\":{{\"S\":\"{id}\"}}}}}}\n");
    for compression in [Compression::Gzip, Compression::Zstd] {
        let mut file = packed(line("a").as_bytes(), compression);
        file.extend(packed(line("b").as_bytes(), compression));
        let read = |file: &[u8]| read_all(file, compression, Format::DynamoDbJson, by_id());
        let items = read(&file).unwrap();
        assert_eq!(items, [(1, Ok(item(&[("Id", "a")]))), (2, Ok(item(&[("Id", "b")])))]);
        assert!(read(&file[..file.len() - 5]).is_err(), "{compression:?}");
        assert!(read(line("a").as_bytes()).is_err(), "{compression:?}");
    }
}

#[test]
fn a_zstd_window_that_takes_too_much_memory_makes_the_file_unreadable() {
    let with_window = |log: u32| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(b"{\"Item\":{\"Id\":{\"S\":\"a\"}}}\n").unwrap();
        encoder.finish().unwrap()
    };
    let read = |log| read_all(&with_window(log), Compression::Zstd, Format::DynamoDbJson, by_id());
    assert_eq!(read(24).unwrap(), [(1, Ok(item(&[("Id", "a")])))]);
    assert!(read(25).unwrap_err().contains("zstd window is larger than 16 MiB"));
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_panic_and_none_are_passed_over_without_a_word(
        pieces in vec(
            prop_oneof![
                select(vec![
                    "Id", ",", "\"", "\n", "\r\n", "a", "{\"Item\":", "{\"Id\":{\"S\":\"a\"}}", "{Id:\"a\"}", "}", "\u{feff}", "[", "null",
                ]).prop_map(|text| text.as_bytes().to_vec()),
                vec(any::<u8>(), 0..4),
            ],
            0..40,
        ),
        compression in select(vec![Compression::None, Compression::Gzip, Compression::Zstd]),
        pack in any::<bool>(),
        format in select(vec![
            Format::DynamoDbJson, Format::Ion, csv(), Format::Csv { delimiter: b'|', header: Some(vec!["Id".into(), "V".into()]) },
        ]),
    ) {
        let text = pieces.concat();
        let file = if pack { packed(&text, compression) } else { text.clone() };
        let Ok(mut items) = Items::new(&*file, compression, format.clone(), by_id()) else { return Ok(()) };
        let read: io::Result<Vec<_>> = items.by_ref().collect();
        if pack && format == Format::DynamoDbJson {
            let read = read.unwrap();
            let is_told = |entry: &Entry| entry.item.as_ref().is_err_and(|it| it.message.ends_with("is passed over"));
            match read.iter().position(is_told) {
                Some(last) => prop_assert_eq!(last + 1, read.len()),
                None => prop_assert_eq!(items.bytes(), text.len() as u64),
            }
        }
    }

    #[test]
    fn what_is_written_as_csv_is_read_as_it_was(rows in vec(("\\PC{1,8}", "[a\",\\n\\r ]{0,8}"), 1..8)) {
        let mut file = "Id,V\n".to_owned();
        for (id, value) in &rows {
            file += &format!("{},{}\n", quoted(id), quoted(value));
        }
        let items: Vec<_> = plain(&file, csv()).into_iter().map(|(_, item)| item.unwrap()).collect();
        let expected: Vec<_> = rows.iter().map(|(id, value)| item(&[("Id", id), ("V", value)])).collect();
        prop_assert_eq!(items, expected);
    }
}

/// Ends with an error after what it has.
struct Broken<'a>(&'a [u8], ArchiveError);

impl io::Read for Broken<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(source::unreadable(&self.1)) } else { io::Read::read(&mut self.0, out) }
    }
}

#[test]
fn a_bucket_that_is_silent_is_told_from_a_file_that_is_gone_or_damaged() {
    let silent = || ArchiveError::TimedOut { action: "read", object: "a".into(), seconds: 30 };
    let gone = || ArchiveError::NotFound { object: "a".into() };
    let file = packed(b"{\"Item\":{\"Id\":{\"S\":\"a\"}}}\n", Compression::Gzip);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        for (error, expected) in [(silent(), true), (gone(), false)] {
            let bytes = if compression == Compression::Gzip { &file[..10] } else { b"" };
            let items = Items::new(Broken(bytes, error), compression, Format::DynamoDbJson, by_id());
            let ended = items.and_then(|mut items| items.next().transpose()).unwrap_err();
            assert_eq!(is_unreached(&ended), expected, "{compression:?}: {ended}");
        }
    }
    let damaged = Items::new(&b"plain"[..], Compression::Gzip, Format::DynamoDbJson, by_id());
    assert!(!is_unreached(&damaged.unwrap().next().unwrap().unwrap_err()));
}
