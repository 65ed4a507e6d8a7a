use super::*;
use crate::testing::{item, value};
use cairn_model::{
    Item, KeySchema,
    keys::IndexKeySchema,
    table::{KeyAttribute, ScalarType},
};

fn condition(operator: &str, values: &[&str]) -> BTreeMap<String, LegacyCondition> {
    let operator = operator.parse().unwrap();
    let values = values.iter().map(|json| value(json)).collect();
    BTreeMap::from([("a".to_owned(), LegacyCondition { operator, values })])
}

fn holds(operator: &str, values: &[&str], json: &str) -> bool {
    filter(condition(operator, values), ConditionalOperator::And).unwrap().evaluate(Some(&item(json)))
}

#[test]
fn comparisons_hold_as_in_dynamodb() {
    for (operator, values, json, expected) in [
        ("EQ", &[r#"{"N":"1"}"#][..], r#"{"a":{"N":"1.0"}}"#, true),
        ("NE", &[r#"{"N":"1"}"#], "{}", true),
        ("LT", &[r#"{"S":"b"}"#], r#"{"a":{"S":"a"}}"#, true),
        ("GE", &[r#"{"S":"b"}"#], r#"{"a":{"S":"a"}}"#, false),
        ("NULL", &[], "{}", true),
        ("NOT_NULL", &[], "{}", false),
        ("CONTAINS", &[r#"{"S":"b"}"#], r#"{"a":{"SS":["b"]}}"#, true),
        ("CONTAINS", &[r#"{"S":"b"}"#], "{}", false),
        ("NOT_CONTAINS", &[r#"{"S":"b"}"#], "{}", false),
        ("NOT_CONTAINS", &[r#"{"S":"b"}"#], r#"{"a":{"SS":["c"]}}"#, true),
        ("NOT_CONTAINS", &[r#"{"S":"b"}"#], r#"{"a":{"SS":["b"]}}"#, false),
        ("BEGINS_WITH", &[r#"{"S":"b"}"#], r#"{"a":{"S":"bc"}}"#, true),
        ("IN", &[r#"{"S":"b"}"#, r#"{"S":"c"}"#], r#"{"a":{"S":"c"}}"#, true),
        ("BETWEEN", &[r#"{"N":"1"}"#, r#"{"N":"3"}"#], r#"{"a":{"N":"3"}}"#, true),
    ] {
        assert_eq!(holds(operator, values, json), expected, "{operator} on {json}");
    }
    assert_eq!("eq".parse::<ComparisonOperator>(), Err(UnknownOperator));
}

#[test]
fn values_that_do_not_fit_the_operator_are_refused_in_dynamodbs_words() {
    for (operator, values, message) in [
        ("EQ", &[][..], "Invalid number of argument(s) for the EQ ComparisonOperator"),
        ("NULL", &[r#"{"N":"1"}"#], "Invalid number of argument(s) for the NULL ComparisonOperator"),
        ("LT", &[r#"{"BOOL":true}"#], "ComparisonOperator LT is not valid for BOOL AttributeValue type"),
        ("IN", &[r#"{"N":"1"}"#, r#"{"S":"1"}"#], "AttributeValues inside AttributeValueList must be of same type"),
    ] {
        let error = filter(condition(operator, values), ConditionalOperator::And).unwrap_err();
        assert_eq!(error.message, format!("One or more parameter values were invalid: {message}"));
    }
    let error = filter(condition("BETWEEN", &[r#"{"N":"3"}"#, r#"{"N":"1"}"#]), ConditionalOperator::And).unwrap_err();
    assert_eq!(
        error.message,
        "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
    );
}

#[test]
fn the_conditional_operator_joins() {
    let both = BTreeMap::from([
        ("a".to_owned(), ExpectedValue { exists: Some(false), ..ExpectedValue::default() }),
        ("b".to_owned(), ExpectedValue { value: Some(value(r#"{"N":"1"}"#)), ..ExpectedValue::default() }),
    ]);
    let item = item(r#"{"a":{"S":"x"},"b":{"N":"1"}}"#);
    assert!(!expected(both.clone(), ConditionalOperator::And).unwrap().evaluate(Some(&item)));
    assert!(expected(both, ConditionalOperator::Or).unwrap().evaluate(Some(&item)));
}

#[test]
fn contradictory_expectations_are_refused_in_dynamodbs_words() {
    let one = || Some(value(r#"{"N":"1"}"#));
    let eq = Some(ComparisonOperator::Eq);
    for (expectation, message) in [
        (ExpectedValue::default(), "Value must be provided when Exists is null"),
        (
            ExpectedValue { exists: Some(true), ..ExpectedValue::default() },
            "Value must be provided when Exists is true",
        ),
        (
            ExpectedValue { exists: Some(false), value: one(), ..ExpectedValue::default() },
            "Value cannot be used when Exists is false",
        ),
        (
            ExpectedValue { value: one(), values: Some(vec![]), ..ExpectedValue::default() },
            "Value and AttributeValueList cannot be used together",
        ),
        (
            ExpectedValue { values: Some(vec![]), ..ExpectedValue::default() },
            "AttributeValueList can only be used with a ComparisonOperator",
        ),
        (
            ExpectedValue { exists: Some(true), operator: eq, value: one(), ..ExpectedValue::default() },
            "Exists and ComparisonOperator cannot be used together",
        ),
        (
            ExpectedValue { operator: eq, ..ExpectedValue::default() },
            "Value or AttributeValueList must be used with ComparisonOperator: EQ",
        ),
    ] {
        let error = expected(BTreeMap::from([("a".to_owned(), expectation)]), ConditionalOperator::And).unwrap_err();
        assert_eq!(error.message, format!("One or more parameter values were invalid: {message} for Attribute: a"));
    }
}

#[test]
fn updates_put_add_and_delete() {
    let update = |action, value| AttributeUpdate { action, value };
    let updates = BTreeMap::from([
        ("a".to_owned(), update(UpdateAction::Put, Some(value(r#"{"S":"x"}"#)))),
        ("b".to_owned(), update(UpdateAction::Add, Some(value(r#"{"N":"2"}"#)))),
        ("c".to_owned(), update(UpdateAction::Delete, None)),
        ("d".to_owned(), update(UpdateAction::Delete, Some(value(r#"{"SS":["y"]}"#)))),
        ("e".to_owned(), update(UpdateAction::Add, Some(value(r#"{"L":[{"N":"2"}]}"#)))),
    ]);
    let mut changed = item(r#"{"b":{"N":"1"},"c":{"S":"z"},"d":{"SS":["x","y"]},"e":{"L":[{"N":"1"}]}}"#);
    attribute_updates(updates).unwrap().apply(&mut changed).unwrap();
    let after = r#"{"a":{"S":"x"},"b":{"N":"3"},"d":{"SS":["x"]},"e":{"L":[{"N":"1"},{"N":"2"}]}}"#;
    assert_eq!(changed, item(after));
    let nothing_to_put = BTreeMap::from([("a".to_owned(), AttributeUpdate::default())]);
    assert_eq!(
        attribute_updates(nothing_to_put).unwrap_err().message,
        "One or more parameter values were invalid: Only DELETE action is allowed when no attribute value is specified"
    );
}

#[test]
fn an_update_of_another_type_is_refused_in_the_legacy_words() {
    for (action, operand) in [(UpdateAction::Add, r#"{"SS":["x"]}"#), (UpdateAction::Delete, r#"{"SS":["x"]}"#)] {
        let updates = BTreeMap::from([("a".to_owned(), AttributeUpdate { action, value: Some(value(operand)) })]);
        let refused = attribute_updates(updates).unwrap().apply(&mut item(r#"{"a":{"N":"1"}}"#)).unwrap_err();
        assert_eq!(refused.message, "Type mismatch for attribute to update");
    }
    for (action, message) in [
        (UpdateAction::Add, "ADD action is not supported for the type S"),
        (UpdateAction::Delete, "DELETE action with value is not supported for the type S"),
    ] {
        let update = AttributeUpdate { action, value: Some(value(r#"{"S":"x"}"#)) };
        let refused = attribute_updates(BTreeMap::from([("a".to_owned(), update)])).unwrap_err();
        assert_eq!(refused.message, format!("One or more parameter values were invalid: {message}"));
    }
}

#[test]
fn an_attribute_has_a_name() {
    let nameless = String::new;
    let refused = attributes_to_get(vec![nameless()]).unwrap_err();
    assert_eq!(refused.message, "Empty attribute name");
    let update = AttributeUpdate { action: UpdateAction::Delete, value: None };
    assert_eq!(attribute_updates(BTreeMap::from([(nameless(), update)])).unwrap_err(), refused);
    let expectation = ExpectedValue { exists: Some(false), ..Default::default() };
    let condition = expected(BTreeMap::from([(nameless(), expectation)]), ConditionalOperator::And);
    assert_eq!(condition.unwrap_err(), refused);
}

#[test]
fn an_attributes_name_has_no_more_than_65_535_bytes() {
    let refused = |length: usize| {
        let name = "x".repeat(length);
        let update = AttributeUpdate { action: UpdateAction::Delete, value: None };
        let expectation = ExpectedValue { exists: Some(false), ..Default::default() };
        let present = LegacyCondition { operator: ComparisonOperator::NotNull, values: Vec::new() };
        [
            attributes_to_get(vec![name.clone()]).err(),
            attribute_updates(BTreeMap::from([(name.clone(), update)])).err(),
            expected(BTreeMap::from([(name.clone(), expectation)]), ConditionalOperator::And).err(),
            filter(BTreeMap::from([(name, present)]), ConditionalOperator::And).err(),
        ]
    };
    assert_eq!(refused(65_535), [None, None, None, None]);
    for error in refused(65_536) {
        assert_eq!(error.unwrap().message, "Attribute name is too large, must be less than 65536 bytes");
    }
}

#[test]
fn key_conditions_bind_to_the_key() {
    let schema = KeySchema { partition: KeyAttribute { name: "a".to_owned(), scalar_type: ScalarType::N }, sort: None };
    let bound = key_conditions(condition("EQ", &[r#"{"N":"1"}"#]), schema.keys()).unwrap();
    assert_eq!(bound, KeyCondition { partition: vec![value(r#"{"N":"1"}"#)], equal: Vec::new(), sort: None });
    assert_eq!(
        key_conditions(condition("NE", &[r#"{"N":"1"}"#]), schema.keys()).unwrap_err().message,
        "Attempted conditional constraint is not an indexable operation"
    );
}

#[test]
fn key_conditions_bind_to_more_than_two_keys_only_where_there_are_several_of_a_kind() {
    let key = |name: &str| KeyAttribute { name: name.to_owned(), scalar_type: ScalarType::N };
    let one = r#"{"N":"1"}"#;
    let conditions = || -> BTreeMap<_, _> {
        let equal = |name: &str| {
            (name.to_owned(), LegacyCondition { operator: ComparisonOperator::Eq, values: vec![value(one)] })
        };
        ["a", "b", "c"].map(equal).into()
    };
    let plain = KeySchema { partition: key("a"), sort: Some(key("b")) };
    let refused = key_conditions(conditions(), plain.keys()).unwrap_err();
    assert_eq!(refused.message, "Conditions can be of length 1 or 2 only");
    let several = IndexKeySchema::new(vec![key("b"), key("a")], vec![key("c")]).unwrap();
    let bound = key_conditions(conditions(), several.keys()).unwrap();
    let sort = Some(SortCondition::Equal(value(one)));
    assert_eq!(bound, KeyCondition { partition: vec![value(one), value(one)], equal: Vec::new(), sort });
}

#[test]
fn attributes_to_get_are_names_and_not_paths() {
    let found = attributes_to_get(vec!["a.b".to_owned(), "c".to_owned()]).unwrap();
    let item: Item = item(r#"{"a.b":{"S":"x"},"a":{"M":{"b":{"S":"y"}}}}"#);
    assert_eq!(found.project(&item).into_keys().collect::<Vec<_>>(), ["a.b"]);
    assert_eq!(
        attributes_to_get(vec!["a".to_owned(), "a".to_owned()]).unwrap_err().message,
        "One or more parameter values were invalid: Duplicate value in attribute name: a"
    );
}
