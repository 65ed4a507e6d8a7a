use super::*;
use crate::export::line;
use cairn_model::{codec::EncodedItem, export::ExportFormat, number::Number};
use proptest::{
    collection::{btree_map, btree_set, vec},
    prelude::*,
    sample::select,
};

/// The value `v` of an item.
fn value(written: &str) -> Result<AttributeValue, String> {
    let item = read(format!("$ion_1_0 {{Item:{{v:{written}}}}}").as_bytes())?.unwrap();
    Ok(item["v"].clone())
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(text: &str) -> AttributeValue {
    AttributeValue::N(Number::parse(text).unwrap())
}

/// The developer guide's example, as it has it on several lines, but without their ends.
#[test]
fn dynamodbs_own_lines_are_read() {
    let line = r#"$ion_1_0 {
        Item:{
            Authors:$dynamodb_SS::["Author1","Author2"], Dimensions:"8.5 x 11.0 x 1.5", ISBN:"333-3333333333",
            Id:103., InPublication:false, PageCount:6d2, Price:2d3, ProductCategory:"Book", Title:"Book 103 Title"
        }
    }"#;
    let item = read(line.replace('\n', " ").as_bytes()).unwrap().unwrap();
    assert_eq!(item.len(), 9);
    assert_eq!(item["Authors"], AttributeValue::Ss(vec!["Author1".into(), "Author2".into()]));
    assert_eq!((&item["Id"], &item["PageCount"], &item["Price"]), (&number("103"), &number("600"), &number("2000")));
    assert_eq!((&item["InPublication"], &item["Title"]), (&AttributeValue::Bool(false), &text("Book 103 Title")));
}

#[test]
fn lines_without_a_value_are_none() {
    for line in ["", " \t", "$ion_1_0", " $ion_1_0 $ion_1_0 ", "// nothing", "/* { */ $ion_1_0 // {"] {
        assert_eq!(read(line.as_bytes()), Ok(None), "{line}");
    }
}

#[test]
fn an_item_may_be_written_in_any_of_ions_ways() {
    for line in [
        r#"{Item:{Id:"a"}}"#,
        r#"$ion_1_0{"Item":{"Id":"a",},}"#,
        r#" /* x */ { 'Item' : { 'Id' : '''a''' , } } // x"#,
        r#"{'''It''' '''em''':{"\x49\u0064":"\U00000061"}}"#,
    ] {
        assert_eq!(read(line.as_bytes()), Ok(Some(Item::from([("Id".into(), text("a"))]))), "{line}");
    }
}

#[test]
fn decimals_and_integers_are_read_with_all_their_digits() {
    let nines = "9".repeat(38);
    for (written, expected) in [
        ("0", "0"),
        ("-0.", "0"),
        ("103.", "103"),
        ("1_000.2_5", "1000.25"),
        ("-25D+2", "-2500"),
        ("1d-130", "1E-130"),
        ("9.9d125", "9.9E125"),
        (&*nines, &*nines),
        (&format!("0.{nines}"), &format!("0.{nines}")),
        (&format!("{nines}000."), &format!("{nines}E3")),
        ("0xFf_ff", "65535"),
        ("-0b101", "-5"),
    ] {
        assert_eq!(value(written), Ok(number(expected)), "{written}");
    }
    let digits = "Attempting to store more than 38 significant digits in a Number";
    for (written, expected) in [
        (format!("1{nines}."), digits),
        (format!("0x{}", "f".repeat(33)), digits),
        ("0xffffffffffffffffffffffffffffffff".to_owned(), digits),
        ("1d126".to_owned(), "Number overflow"),
        ("1d-131".to_owned(), "Number underflow"),
        (format!("1d{}", "9".repeat(30)), "cannot be converted to a numeric value"),
    ] {
        let problem = value(&written).unwrap_err();
        assert!(problem.contains(expected), "{written}: {problem}");
    }
}

#[test]
fn what_dynamodb_has_no_type_for_is_named() {
    for (written, expected) in [
        ("1e0", "no floats"),
        ("-1.5E3", "no floats"),
        ("nan", "no floats"),
        ("+inf", "no floats"),
        ("-inf", "no floats"),
        ("2011-02-20T12:00:00.5+01:00", "no timestamps"),
        ("2011T", "no timestamps"),
        ("word", "no symbols"),
        ("'word'", "no symbols"),
        ("'null'", "no symbols"),
        ("$10", "only the number"),
        ("(a b)", "no S-expressions"),
        ("{{\"text\"}}", "no clobs"),
        ("{{ '''text''' }}", "no clobs"),
        ("other::1", "the annotation other means nothing"),
        ("$dynamodb_XS::[]", "the annotation $dynamodb_XS means nothing"),
        ("null.word", "no type of Ion"),
    ] {
        let problem = value(written).unwrap_err();
        assert!(problem.contains(expected) && problem.contains("at byte "), "{written}: {problem}");
    }
}

#[test]
fn strings_are_read_with_their_escapes() {
    for (written, expected) in [
        (r#""""#, ""),
        (r#""it's \"x\" \\ \/ \? \0\a\b\t\n\v\f\r""#, "it's \"x\" \\ / ? \0\u{7}\u{8}\t\n\u{b}\u{c}\r"),
        (r#""\xe4 \u00E4 \U0001F600 \ud83d\ude00""#, "\u{e4} \u{e4} \u{1f600} \u{1f600}"),
        (r#"'''it's ''two'' ''' /* x */ '''parts'''"#, "it's ''two'' parts"),
        ("\"\u{e4}\u{1f600}\t\"", "\u{e4}\u{1f600}\t"),
    ] {
        assert_eq!(value(written), Ok(text(expected)), "{written}");
    }
    for written in
        [r#""\q""#, r#""\x4""#, r#""\u12g4""#, r#""\ud83d""#, r#""\ud83d\u0041""#, r#""\U00110000""#, "\"\u{1}\""]
    {
        assert!(value(written).unwrap_err().starts_with("The line cannot be read: "), "{written}");
    }
}

#[test]
fn blobs_nulls_lists_and_structs_are_read() {
    assert_eq!(value("{{ AA ==}}"), Ok(AttributeValue::B(vec![0].into())));
    assert_eq!(value("{{}}"), Ok(AttributeValue::B(vec![].into())));
    assert_eq!(value("{{A}}").unwrap_err(), "The line cannot be read: a blob is not Base64, at byte 24");
    assert_eq!((value("null"), value("null.string")), (Ok(AttributeValue::Null), Ok(AttributeValue::Null)));
    let list = vec![AttributeValue::Bool(true), AttributeValue::L(vec![]), AttributeValue::M(Item::new())];
    assert_eq!(value("[true, [ ], {},]"), Ok(AttributeValue::L(list)));
}

#[test]
fn sets_are_sorted_and_of_one_type_without_duplicates() {
    let numbers = vec![Number::from(1u64), Number::from(2u64)];
    assert_eq!(value("$dynamodb_NS::[2., 1]"), Ok(AttributeValue::Ns(numbers)));
    assert_eq!(value("'$dynamodb_SS' :: [\"b\",\"a\"]"), Ok(AttributeValue::Ss(vec!["a".into(), "b".into()])));
    let bytes = vec![vec![].into(), vec![1].into()];
    assert_eq!(value("$dynamodb_BS::[{{AQ==}},{{}},]"), Ok(AttributeValue::Bs(bytes)));
    for (written, expected) in [
        ("$dynamodb_SS::[]", "may not be empty"),
        ("$dynamodb_SS::[\"a\",\"a\"]", "contains duplicates"),
        ("$dynamodb_NS::[1,1.0]", "contains duplicates"),
        ("$dynamodb_NS::[\"1\"]", "not of the type of its set, NS"),
        ("$dynamodb_SS::[null]", "not of the type of its set, SS"),
        ("$dynamodb_BS::[[]]", "not of the type of its set, BS"),
        ("$dynamodb_SS::[$dynamodb_SS::[\"a\"]]", "not of the type of its set, SS"),
        ("$dynamodb_SS::\"a\"", "is not followed by a list"),
    ] {
        let problem = value(written).unwrap_err();
        assert!(problem.contains(expected), "{written}: {problem}");
    }
}

#[test]
fn a_line_that_is_no_item_says_why() {
    for (line, expected) in [
        ("nonsense", "The line has no Item"),
        ("{}", "The line has no Item"),
        ("[{Item:{Id:\"a\"}}]", "The line has no Item"),
        ("$ion_symbol_table::{symbols:[\"a\"]}", "The line has no Item"),
        ("{Record:{Keys:{Id:\"a\"}}}", "The line has no Item"),
        ("{Item:null}", "the Item is no struct"),
        ("$ion_1_1 {Item:{}}", "only the version $ion_1_0"),
        ("{Item:{},Other:{}}", "something beside the Item"),
        ("{Item:{}} {Item:{}}", "something after the item"),
        ("{Item:{a:1 b:2}}", "a comma is missing"),
        ("{Item:{a:1,,b:2}}", "a field's name is missing"),
        ("{Item:{a 1}}", "a colon is missing"),
        ("{Item:{a:}}", "a value is missing"),
        ("{Item:{a:1, a:2}}", "The attribute a is there twice"),
        ("{Item:{\"\":1}}", "Empty attribute name"),
        ("{Item:{a:1", "the line ends within the item"),
        ("{Item:{a:", "the line ends within the item"),
        ("{Item:{a:1,", "the line ends within the item"),
        ("{Item:{a:[1,", "the line ends within the item"),
        ("{Item:{a:\"b", "quotes are not closed"),
        ("{Item:{a:{{AA==", "a blob is not closed"),
        ("{Item:{/* }}", "a comment is not closed"),
        ("{Item:{a:/*/}}", "a comment is not closed"),
        ("{Item:{a:01}}", "01 is no number"),
        ("{Item:{a:1__0}}", "1__0 is no number"),
        ("{Item:{a:+1}}", "+1 is no number"),
        ("{Item:{a:.5}}", "a value is missing"),
    ] {
        let problem = read(line.as_bytes()).unwrap_err();
        assert!(problem.contains(expected), "{line}: {problem}");
    }
    assert_eq!(read(b"{Item:{a:\"\xff\"}}").unwrap_err(), "The line is not UTF-8");
    let name = "a".repeat(ATTRIBUTE_NAME_BYTES_MAX + 1);
    assert!(read(format!("{{Item:{{{name}:1}}}}").as_bytes()).unwrap_err().starts_with("An attribute name has more"));
}

#[test]
fn thirty_two_levels_are_read_and_no_more_however_many_there_are() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(value(&nested(NESTING_DEPTH_MAX)).unwrap().nesting_depth(), NESTING_DEPTH_MAX);
    assert_eq!(value(&nested(NESTING_DEPTH_MAX + 1)).unwrap_err(), TOO_DEEP);
    for opening in ["[", "{a:", "$dynamodb_SS::[", "a::", "(", "/*", "'", "'''", "{{", "{"] {
        let line = format!("{{Item:{{v:{}", opening.repeat(1_000_000 / opening.len()));
        assert!(read(line.as_bytes()).is_err(), "{opening}");
    }
}

#[test]
fn no_line_makes_more_values_than_an_item_can_hold() {
    let list = |count: usize| format!("[{}]", "1,".repeat(count));
    assert!(value(&list(ITEM_BYTES_MAX - 1)).is_ok());
    assert_eq!(value(&list(ITEM_BYTES_MAX)).unwrap_err(), TOO_LARGE);
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c\0]{0,6}", "\\PC{0,8}", "[\\x00-\\x7f]{0,8}", "['\"\\\\\u{80}-\u{9f}\u{2028}]{0,4}"]
}

fn any_number() -> impl Strategy<Value = Number> {
    let written = |(negative, digits, exponent): (bool, u128, i32)| {
        Number::parse(&format!("{}{digits}E{exponent}", if negative { "-" } else { "" })).ok()
    };
    let wide = (any::<bool>(), 0..10u128.pow(38), -167..=125i32).prop_filter_map("out of range", written);
    let few = (any::<bool>(), 0..1000u128, -130..=123i32).prop_filter_map("out of range", written);
    prop_oneof![wide, few]
}

fn any_value() -> impl Strategy<Value = AttributeValue> {
    let bytes = || vec(any::<u8>(), 0..12);
    let leaf = prop_oneof![
        any_text().prop_map(AttributeValue::S),
        any_number().prop_map(AttributeValue::N),
        bytes().prop_map(|bytes| AttributeValue::B(bytes.into())),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null),
        btree_set(any_text(), 1..5).prop_map(|set| AttributeValue::Ss(set.into_iter().collect())),
        btree_set(any_number(), 1..5).prop_map(|set| AttributeValue::Ns(set.into_iter().collect())),
        btree_set(bytes(), 1..5)
            .prop_map(|set| AttributeValue::Bs(set.into_iter().map(|bytes| bytes.into()).collect())),
    ];
    leaf.prop_recursive(8, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(AttributeValue::L),
            btree_map(any_name(), inner, 0..4).prop_map(AttributeValue::M),
        ]
    })
}

fn any_name() -> impl Strategy<Value = String> {
    let odd = select(vec!["null", "nan", "true", "$10", "$", "$ion_1_0", "Item", "1", "a.b", "null.int", "''", "a:b"]);
    prop_oneof!["[a-z_$][a-z0-9_$]{0,3}", "\\PC{1,6}", odd.prop_map(str::to_owned)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_an_export_writes_is_read_as_it_was(item in btree_map(any_name(), any_value(), 0..6)) {
        let mut written = Vec::new();
        line::item(ExportFormat::Ion, &EncodedItem::encode(&item), &mut written).unwrap();
        let line = written.strip_suffix(b"\n").unwrap();
        prop_assert!(!line.contains(&b'\n'));
        prop_assert_eq!(read(line), Ok(Some(item.clone())));
        // Nothing of it can be left out at its end.
        for end in "$ion_1_0 ".len() + 1..line.len() {
            prop_assert!(read(&line[..end]).is_err());
        }
    }

    #[test]
    fn no_line_makes_the_reader_panic(pieces in vec(
        prop_oneof![
            select(vec![
                "$ion_1_0 ", "{Item:", "{", "}", "[", "]", "{{", "}}", "a:", "'", "'''", "\"", "\\", "\\u12", "\\ud800", "::",
                "$dynamodb_SS::[", "$dynamodb_NS", "1", "-", ".", "d", "0x", "_", "null", "//", "/*", "*/", ",", "(", "\u{e4}",
            ]).prop_map(|text| text.as_bytes().to_vec()),
            vec(any::<u8>(), 0..3),
        ],
        0..40,
    )) {
        let line = pieces.concat();
        let _ = read(&line);
        let _ = read(&[b"{Item:{a:", &line[..]].concat());
    }
}
