use super::*;
use crate::testing::{SOUP, placeholders, value};
use cairn_model::{Item, KeySchema, keys::IndexKeySchema, table::ScalarType};
use proptest::prelude::*;

fn attribute(name: &str, scalar_type: ScalarType) -> KeyAttribute {
    KeyAttribute { name: name.to_owned(), scalar_type }
}

fn schema() -> KeySchema {
    KeySchema { partition: attribute("a", ScalarType::S), sort: Some(attribute("b", ScalarType::N)) }
}

/// Of strings but for `y`, which is a number.
fn several() -> IndexKeySchema {
    let [h, i, x, z] = ["h", "i", "x", "z"].map(|name| attribute(name, ScalarType::S));
    IndexKeySchema::new(vec![h, i], vec![x, attribute("y", ScalarType::N), z]).unwrap()
}

fn parsed(text: &str) -> Result<KeyCondition, ServiceError> {
    KeyCondition::parse(text, schema().keys(), &mut placeholders())
}

fn parsed_of_several(text: &str) -> Result<KeyCondition, ServiceError> {
    KeyCondition::parse(text, several().keys(), &mut placeholders())
}

fn refused(text: &str) -> String {
    parsed(text).unwrap_err().message
}

#[test]
fn the_partition_and_the_sort_key_are_found_in_any_order() {
    let (partition, five, one) = (value(r#"{"S":"b"}"#), value(r#"{"N":"5"}"#), value(r#"{"N":"1"}"#));
    for (text, sort) in [
        ("a = :s", None),
        (":s = a", None),
        ("(a = :s) AND (b = :n)", Some(SortCondition::Equal(five.clone()))),
        ("b < :n AND #a = :s", Some(SortCondition::Less(five.clone()))),
        ("a = :s AND :n < b", Some(SortCondition::Greater(five.clone()))),
        ("a = :s AND :n >= b", Some(SortCondition::LessOrEqual(five.clone()))),
        ("a = :s AND b BETWEEN :one AND :n", Some(SortCondition::Between(one, five))),
    ] {
        let expected = KeyCondition { partition: vec![partition.clone()], equal: Vec::new(), sort };
        assert_eq!(parsed(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn a_sort_key_of_strings_can_begin_with_something() {
    let mut schema = schema();
    schema.sort = Some(KeyAttribute { name: "c".to_owned(), scalar_type: ScalarType::S });
    let condition = KeyCondition::parse("a = :s AND begins_with(c, :s)", schema.keys(), &mut placeholders()).unwrap();
    assert_eq!(condition.sort, Some(SortCondition::BeginsWith(value(r#"{"S":"b"}"#))));
}

#[test]
fn a_value_that_no_sort_key_can_have_is_refused_whatever_it_is_compared_by() {
    let mut schema = schema();
    schema.sort = Some(KeyAttribute { name: "c".to_owned(), scalar_type: ScalarType::S });
    let refused = |condition: &str, sort: String| {
        let values = Item::from([
            (":s".to_owned(), AttributeValue::S("b".to_owned())),
            (":c".to_owned(), AttributeValue::S(sort)),
        ]);
        let mut placeholders = Placeholders::new(None, Some(values)).unwrap();
        KeyCondition::parse(&format!("a = :s AND {condition}"), schema.keys(), &mut placeholders).unwrap_err().message
    };
    for condition in ["c = :c", "c > :c", "begins_with(c, :c)", "c BETWEEN :c AND :s"] {
        assert_eq!(
            refused(condition, String::new()),
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an \
             empty string value. Key: c",
            "{condition}"
        );
    }
    assert_eq!(
        refused("c < :c", "x".repeat(1_025)),
        "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of \
         1024 bytes"
    );
}

#[test]
fn what_is_no_key_condition_is_refused_in_dynamodbs_words() {
    for (text, message) in [
        ("a = :s OR a = :s", "Invalid operator used in KeyConditionExpression: OR"),
        ("NOT a = :s", "Invalid operator used in KeyConditionExpression: NOT"),
        ("a <> :s", "Invalid operator used in KeyConditionExpression: <>"),
        ("a IN (:s)", "Invalid operator used in KeyConditionExpression: IN"),
        ("contains(a, :s)", "Invalid operator used in KeyConditionExpression: contains"),
        ("a = size(b)", "KeyConditionExpressions cannot contain nested operations"),
        ("a.b = :s", "KeyConditionExpressions cannot have conditions on nested attributes"),
        ("a = b", "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"),
        (":s = :s", "Invalid condition in KeyConditionExpression: No key attribute specified"),
        ("a = :s AND a = :s", "KeyConditionExpressions must only contain one condition per key"),
        (
            "a = :s AND :n BETWEEN b AND :n",
            "Invalid condition in KeyConditionExpression: BETWEEN operator must have the key attribute as its first \
             operand",
        ),
        (
            "a = :s AND b < :bool",
            "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL",
        ),
        ("a = ", "Syntax error; token: \"<EOF>\", near: \"=\""),
    ] {
        assert_eq!(refused(text), format!("Invalid KeyConditionExpression: {message}"), "{text}");
    }
}

#[test]
fn conditions_that_do_not_fit_the_table_are_refused_in_dynamodbs_words() {
    let type_mismatch =
        "One or more parameter values were invalid: Condition parameter type does not match schema type";
    for (text, message) in [
        (
            "a = :s AND b = :n AND c = :n",
            "The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)",
        ),
        ("b = :n", "Query condition missed key schema element: a"),
        ("a = :s AND c = :n", "Query condition missed key schema element: b"),
        ("a > :s", "Query key condition not supported"),
        ("a = :n", type_mismatch),
        ("a = :s AND b = :s", type_mismatch),
    ] {
        assert_eq!(refused(text), message, "{text}");
    }
}

#[test]
fn of_several_sort_attributes_the_first_are_equal_and_the_last_that_is_asked_of_is_as_it_likes() {
    let (text, five, one) = (value(r#"{"S":"b"}"#), value(r#"{"N":"5"}"#), value(r#"{"N":"1"}"#));
    let less = SortCondition::Less(text.clone());
    for (more, equal, sort) in [
        ("", vec![], None),
        (" AND x = :s", vec![], Some(SortCondition::Equal(text.clone()))),
        (" AND x < :s", vec![], Some(less.clone())),
        (" AND y = :n AND x = :s", vec![text.clone()], Some(SortCondition::Equal(five.clone()))),
        (" AND x = :s AND y BETWEEN :one AND :n", vec![text.clone()], Some(SortCondition::Between(one, five.clone()))),
        (" AND z < :s AND y = :n AND x = :s", vec![text.clone(), five.clone()], Some(less)),
        (
            " AND x = :s AND y = :n AND begins_with(z, :s)",
            vec![text.clone(), five],
            Some(SortCondition::BeginsWith(text.clone())),
        ),
    ] {
        let expected = KeyCondition { partition: vec![text.clone(), text.clone()], equal, sort };
        assert_eq!(parsed_of_several(&format!("i = :s AND h = :s{more}")), Ok(expected), "{more}");
    }
}

#[test]
fn conditions_that_do_not_fit_several_key_attributes_are_refused_in_dynamodbs_words() {
    let hash =
        |names: &str| format!("HASH key attributes {names} must have equality conditions specified in the query");
    let range = |names: &str, on: &str| {
        format!(
            "RANGE key attributes {names} must have equality conditions specified in the query because a condition is \
             present on key attribute {on}"
        )
    };
    let type_mismatch =
        "One or more parameter values were invalid: Condition parameter type does not match schema type".to_owned();
    for (text, message) in [
        ("h = :s", hash("i")),
        ("x = :s", hash("h, i")),
        ("h = :s AND i > :s", hash("i")),
        ("h = :s AND begins_with(i, :s) AND x = :s", hash("i")),
        ("h = :s AND i = :s AND y = :n", range("x", "y")),
        ("h = :s AND i = :s AND z = :s", range("x, y", "z")),
        ("h = :s AND i = :s AND x = :s AND z = :s", range("y", "z")),
        ("h = :s AND i = :s AND x > :s AND y = :n", range("x", "y")),
        ("h = :s AND i = :s AND x > :s AND y > :n", range("x", "y")),
        ("h = :n AND i = :s", type_mismatch.clone()),
        ("h = :s AND i = :s AND x = :n", type_mismatch.clone()),
        ("h = :s AND i = :s AND x = :s AND begins_with(y, :s)", type_mismatch),
        ("h = :s AND i = :s AND x = :s AND w = :s", "Query condition missed key schema element: y".to_owned()),
        (
            "h = :s AND i = :s AND x = :s AND y = :n AND z = :s AND w = :s",
            "The number of query conditions (6) exceeds the number of key attributes defined in the schema (5)"
                .to_owned(),
        ),
    ] {
        assert_eq!(parsed_of_several(text).unwrap_err().message, message, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_text_makes_the_parser_panic(text in SOUP) {
        let _ = parsed(&text);
        let _ = parsed(&format!("a = :s AND {text}"));
        let _ = parsed_of_several(&format!("h = :s AND i = :s AND {text}"));
    }
}
