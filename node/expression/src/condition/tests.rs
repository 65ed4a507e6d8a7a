use super::*;
use crate::testing::{SOUP, item, placeholders};
use proptest::prelude::*;

fn condition(text: &str) -> Condition {
    Condition::parse(text, ExpressionKind::Condition, &mut placeholders())
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    let error = Condition::parse(text, ExpressionKind::Filter, &mut placeholders()).unwrap_err();
    error.message.strip_prefix("Invalid FilterExpression: ").unwrap().to_owned()
}

const ITEM: &str = r#"{"a":{"S":"abc"},"b":{"N":"5"},"c":{"M":{"d":{"L":[{"N":"1"},{"S":"b"}]}}},"ss":{"SS":["a","b"]},
    "ns":{"NS":["1.0","2"]},"bin":{"B":"AQID"},"e":{"BOOL":true},"emoji":{"S":"😀"},"nothing":{"NULL":true}}"#;

#[test]
fn conditions_hold_as_in_dynamodb() {
    let item = item(ITEM);
    for (text, expected) in [
        ("a = a1 OR b = :n", true),
        ("b > :one AND b <= :n", true),
        ("b < :s", false),
        ("b <> :s", true),
        ("gone <> :s", true),
        ("gone = :s", false),
        ("NOT gone = :s", true),
        ("gone < :n", false),
        ("b BETWEEN :one AND :n", true),
        ("b BETWEEN :one AND :one", false),
        ("b IN (:s, :one, :n)", true),
        ("gone IN (:s)", false),
        ("attribute_exists(c.d[1])", true),
        ("attribute_exists(c.d[2])", false),
        ("attribute_not_exists(c.x)", true),
        ("attribute_not_exists(a)", false),
        ("attribute_type(ns, :type)", true),
        ("attribute_type(ss, :type)", false),
        ("begins_with(bin, :bin)", true),
        ("begins_with(a, :s)", false),
        ("contains(a, :s)", true),
        ("contains(ss, :s)", true),
        ("contains(ns, :one)", true),
        ("contains(ns, :s)", false),
        ("contains(c.d, :s)", true),
        ("contains(bin, :bin)", true),
        ("size(a) < :n", true),
        ("size(emoji) = size(c.d)", true),
        ("size(e) = :one", false),
        ("size(e) <> :one", true),
        ("size(gone) = :one", false),
        ("c.d = :l", true),
        ("c.#d[0] = :one", true),
        ("e = :bool AND nothing = :null", true),
        ("(b) = (:n)", true),
        ("(b = :n) AND (size(a)) > :one", true),
        ("b = :one OR b = :n AND NOT a = :s", true),
        ("NOT b = :one AND NOT b = :s", true),
    ] {
        assert_eq!(condition(text).evaluate(Some(&item)), expected, "{text}");
    }
}

#[test]
fn without_an_item_no_attribute_exists() {
    assert!(condition("attribute_not_exists(a)").evaluate(None));
    assert!(!condition("a = :s").evaluate(None));
}

#[test]
fn keywords_are_read_in_any_case_and_functions_as_written() {
    assert!(condition("b between :one and :n Or not b in (:s)").evaluate(Some(&item(ITEM))));
    assert_eq!(refused("Size(b) = :n"), "Invalid function name; function: Size");
}

#[test]
fn syntax_errors_show_the_token_and_its_neighbours() {
    for (text, token, near) in [
        ("a =", "<EOF>", "="),
        ("a = = :s", "=", "= = :s"),
        ("a", "<EOF>", "a"),
        ("a = :s b", "b", ":s b"),
        ("a ! :s", "!", "a ! :s"),
        ("attribute_exists(a,)", ")", ",)"),
        ("a[00] = :s", "0", "00]"),
        ("a BETWEEN :n OR :n", "OR", ":n OR :n"),
        ("   ", "<EOF>", "   "),
        ("(a = :s", "<EOF>", ":s"),
        ("AND = :s", "AND", "AND ="),
    ] {
        assert_eq!(refused(text), format!("Syntax error; token: \"{token}\", near: \"{near}\""), "{text}");
    }
}

#[test]
fn faults_are_told_in_dynamodbs_words() {
    for (text, message) in [
        ("", "The expression can not be empty;"),
        ("((a = :s))", "The expression has redundant parentheses;"),
        ("foo(a)", "Invalid function name; function: foo"),
        ("if_not_exists(a, b) = :s", "The function is not allowed in a condition expression; function: if_not_exists"),
        ("a = list_append(a, b)", "The function is not allowed in a condition expression; function: list_append"),
        ("((a)) = :s", "The expression has redundant parentheses;"),
        ("NOT ((a = :s))", "The expression has redundant parentheses;"),
        ("_a = :s", "Syntax error; token: \"_\", near: \"_a\""),
        ("add = :s", "Syntax error; token: \"add\", near: \"add =\""),
        ("foo(a) AND ((a = :s))", "The expression has redundant parentheses;"),
        ("size(a)", "The function is not allowed to be used this way in an expression; function: size"),
        (
            "a = begins_with(a, :s)",
            "The function is not allowed to be used this way in an expression; function: begins_with",
        ),
        ("size = :s", "Attribute name is a reserved keyword; reserved keyword: size"),
        (
            "a = :undefined",
            "An expression attribute value used in expression is not defined; attribute value: :undefined",
        ),
        (
            "#undefined = :s",
            "An expression attribute name used in the document path is not defined; attribute name: #undefined",
        ),
        (
            "attribute_exists(a, b)",
            "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of \
             operands: 2",
        ),
        (
            "attribute_exists(:s)",
            "Operator or function requires a document path; operator or function: attribute_exists",
        ),
        (
            "begins_with(a, :n)",
            "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
        ),
        ("a < :bool", "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"),
        (
            "size(:n) = :n",
            "Incorrect operand type for operator or function; operator or function: size, operand type: N",
        ),
        (
            "attribute_type(a, b)",
            "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: \
             {S,HDS,N,FS,BS,NULL,DOUBLE,NS,DECIMAL,SS,DECIMALSET,BOOL,HD,DICT,INTSET,M,L,B,FLOAT,INT,DOUBLESET}",
        ),
        (
            "attribute_type(a, :s)",
            "Invalid attribute type name found; type: b, valid types: {N,BS,L,B,NULL,M,S,SS,NS,BOOL}",
        ),
        (
            "a.b[1] = #a.#b[1]",
            "The first operand must be distinct from the remaining operands for this operator or function; operator: =, \
             first operand: [a, b, [1]]",
        ),
        (
            "a.b IN (:s, a.#b)",
            "The first operand must be distinct from the remaining operands for this operator or function; operator: IN, \
             first operand: [a, b]",
        ),
        (
            "a BETWEEN :n AND a",
            "The first operand must be distinct from the remaining operands for this operator or function; operator: \
             BETWEEN, first operand: [a]",
        ),
        (
            "a BETWEEN :n AND :s",
            "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: \
             AttributeValue: {N:5}, upper bound operand: AttributeValue: {S:b}",
        ),
        (
            "a BETWEEN :n AND :one",
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: \
             AttributeValue: {N:5}, upper bound operand: AttributeValue: {N:1}",
        ),
        ("a[99999999999] = :s", "List index is not within the allowable range; index: [99999999999]"),
        // The first comparison with a fault counts, whatever the kinds.
        (
            "attribute_exists(a, b) OR a = :undefined",
            "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of \
             operands: 2",
        ),
    ] {
        assert_eq!(refused(text), message, "{text}");
    }
}

#[test]
fn expressions_are_bounded() {
    assert_eq!(
        refused(&"a".repeat(4097)),
        "Expression size has exceeded the maximum allowed size; expression size: 4097"
    );
    let many = |count: usize| vec!["a=b"; count].join(" OR ");
    assert!(Condition::parse(&many(150), ExpressionKind::Filter, &mut placeholders()).is_ok());
    assert_eq!(refused(&many(151)), "The expression contains too many operators; operator count: 301");
    let list = |count: usize| format!("a IN ({})", vec![":s"; count].join(","));
    assert!(Condition::parse(&list(100), ExpressionKind::Filter, &mut placeholders()).is_ok());
    assert_eq!(refused(&list(101)), "The IN operator is provided with too many operands; number of operands: 101");
    let deep = format!("a{} = :s", ".a".repeat(32));
    assert_eq!(refused(&deep), "The document path has too many nesting levels; nesting levels: 33");
}

#[test]
fn nesting_without_end_is_refused_without_a_stack_overflow() {
    for text in ["NOT ".repeat(1000), "(".repeat(4096), "size(".repeat(800), "NOT(".repeat(1000)] {
        assert!(Condition::parse(&text, ExpressionKind::Condition, &mut placeholders()).is_err());
    }
    for (text, message) in [
        (format!("{}a<b{}", "(".repeat(2046), ")".repeat(2046)), "The expression has redundant parentheses;"),
        (format!("a < {}b{}", "f(".repeat(1355), ")".repeat(1355)), "Invalid function name; function: f"),
        ("(".repeat(4096), "Syntax error; token: \"<EOF>\", near: \"(\""),
        (format!("{}a < b", "NOT ".repeat(1000)), "The expression contains too many operators; operator count: 301"),
    ] {
        assert_eq!(refused(&text), message);
    }
    let parens = format!("{}a = :s{}", "(NOT ".repeat(74), ")".repeat(74));
    assert!(!condition(&parens).evaluate(None));
    let joined = format!("{}a = :s{}", "(a = :n OR ".repeat(149), ")".repeat(149));
    assert!(condition(&joined).evaluate(Some(&item(r#"{"a":{"S":"b"}}"#))));
}

#[test]
fn every_path_is_visited() {
    let condition = condition("a = b AND NOT size(c.d) IN (:n, e) OR contains(f, g) AND h BETWEEN i AND :n");
    let mut names = Vec::new();
    condition.for_each_path(&mut |path| names.push(path.name()));
    assert_eq!(names, ["a", "b", "c", "e", "f", "g", "h", "i"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_the_parser_panic_and_what_parses_evaluates_and_travels(text in SOUP) {
        if let Ok(condition) = Condition::parse(&text, ExpressionKind::Condition, &mut placeholders()) {
            let holds = condition.evaluate(Some(&item(ITEM)));
            prop_assert_eq!(Condition::Not(Box::new(condition.clone())).evaluate(Some(&item(ITEM))), !holds);
            let bytes = postcard::to_stdvec(&condition).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Condition>(&bytes).unwrap(), condition);
        }
    }

    #[test]
    fn no_characters_make_the_parser_panic(text in "\\PC{0,40}") {
        let _ = Condition::parse(&text, ExpressionKind::Condition, &mut placeholders());
    }
}
