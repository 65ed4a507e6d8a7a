use super::*;
use crate::testing::{item, value};
use cairn_model::{KeySchema, json::write_item, key::EncodedKey};
use proptest::prelude::*;
use std::ops::RangeBounds;

fn parse(text: &str) -> Statement {
    Statement::parse(text, &parameters()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    Statement::parse(text, &parameters()).map(|statement| format!("{statement:?}")).unwrap_err().message
}

fn malformed(text: &str) -> String {
    let message = refused(text);
    let rest = message.strip_prefix("Statement wasn't well formed, can't be processed: ");
    rest.unwrap_or_else(|| panic!("{text}: {message}")).to_owned()
}

fn parameters() -> Vec<AttributeValue> {
    [r#"{"S":"one"}"#, r#"{"N":"2"}"#, r#"{"SS":["c"]}"#].map(value).to_vec()
}

fn condition(text: &str) -> Condition {
    match parse(&format!("SELECT * FROM t WHERE {text}")) {
        Statement::Select(select) => select.condition.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn schema() -> KeySchema {
    serde_json::from_str(r#"{"partition":{"name":"p","scalarType":"S"},"sort":{"name":"s","scalarType":"N"}}"#).unwrap()
}

fn read(clauses: &str) -> Result<ReadKeys, ServiceError> {
    match parse(&format!("SELECT * FROM t {clauses}")) {
        Statement::Select(select) => ReadKeys::of(select.condition, &select.order, &schema()),
        other => panic!("{other:?}"),
    }
}

fn write(condition: &str) -> Result<WriteKey, ServiceError> {
    match parse(&format!("DELETE FROM t WHERE {condition}")) {
        Statement::Delete(delete) => WriteKey::of(delete.condition, &schema()),
        other => panic!("{other:?}"),
    }
}

fn json(item: &Item) -> String {
    let mut out = Vec::new();
    write_item(item, &mut out);
    String::from_utf8(out).unwrap()
}

const ITEM: &str = r#"{"p":{"S":"a"},"s":{"N":"1"},"n":{"N":"5"},"t":{"S":"bcd"},"none":{"NULL":true},
    "m":{"M":{"x":{"N":"1"},"l":{"L":[{"N":"7"}]}}},"ss":{"SS":["a","b"]}}"#;

#[test]
fn a_select_names_a_table_an_index_paths_and_an_order() {
    let Statement::Select(select) =
        parse(r#"select a, "b ""c"""."d"[0] from "My-Table"."by-d" where a = 'x' order by a desc, b asc;"#)
    else {
        panic!("no SELECT")
    };
    assert_eq!((select.table.as_str(), select.index.as_deref()), ("My-Table", Some("by-d")));
    let shown: Vec<_> = select.projection.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["[a]", "[b \"c\", d, [0]]"]);
    assert_eq!(select.order.iter().map(|term| term.descending).collect::<Vec<_>>(), [true, false]);
    let Statement::Select(all) = parse("SELECT * FROM t") else { panic!("no SELECT") };
    assert_eq!((all.projection, all.condition, all.index), (None, None, None));
}

#[test]
fn values_are_written_as_partiql_has_them() {
    let Statement::Insert(insert) = parse(
        "INSERT INTO t VALUE {'a': 'it''s', 'b': -1.50e1, 'c': true, 'd': null, 'e': [1, 'x', []], 'f': {'g': {}}, \
         'h': <<'b', 'a'>>, 'i': <<1, - + -2>>, 'j': ?, 'k': .5}",
    ) else {
        panic!("no INSERT")
    };
    assert_eq!(
        insert.item,
        item(
            r#"{"a":{"S":"it's"},"b":{"N":"-15"},"c":{"BOOL":true},"d":{"NULL":true},
                "e":{"L":[{"N":"1"},{"S":"x"},{"L":[]}]},"f":{"M":{"g":{"M":{}}}},"h":{"SS":["a","b"]},
                "i":{"NS":["1","2"]},"j":{"S":"one"},"k":{"N":"0.5"}}"#
        )
    );
}

#[test]
fn conditions_hold_as_those_of_expressions_do() {
    for (text, expected) in [
        ("n = 5", true),
        ("5 = n", true),
        ("n <> 5", false),
        ("n != 4", true),
        ("n < 5.1 AND n >= 5", true),
        ("n = 4 OR n = 5 AND t = 'x'", false),
        ("NOT n = 4 AND t = 'bcd'", true),
        ("NOT (n = 5 AND t = 'bcd')", false),
        ("n BETWEEN 1 AND 5 AND t BETWEEN 'b' AND 'c'", true),
        ("n NOT BETWEEN 1 AND 5", false),
        ("n IN [1, 5]", true),
        ("n IN (1, ?)", false),
        ("n NOT IN (1, 2)", true),
        ("gone IS MISSING AND n IS NOT MISSING", true),
        ("none IS NULL AND gone IS NOT NULL AND n IS NOT NULL", true),
        ("m IS TUPLE AND t IS STRING AND n IS NUMERIC", true),
        ("begins_with(t, 'bc') AND BEGINS_WITH(\"t\", 'b')", true),
        ("contains(ss, 'b') AND contains(t, 'cd')", true),
        ("attribute_type(ss, 'SS')", true),
        ("size(t) = 3 AND SIZE(ss) > 1", true),
        ("attribute_exists(m.x) AND attribute_not_exists(m.y)", true),
        ("m.l[0] = 7 AND m.x = 1", true),
        ("m = {'x': 1, 'l': [7]} AND ss = <<'b', 'a'>>", true),
        ("gone <> 1", true),
        ("gone < 1", false),
        ("attribute_exists(m.x) = true", true),
        ("attribute_exists(m.x) = false", false),
        ("true = attribute_exists(m.x)", true),
        ("attribute_exists(m.x) <> 1", true),
        ("attribute_exists(m.x) = 1", false),
        ("(n BETWEEN 0 AND 5) = true", true),
        ("(n = 4 OR t = 'x') = false", true),
        ("(attribute_exists(m.x) = true) = false", false),
        ("NOT attribute_exists(m.x) = true", false),
        ("attribute_exists(gone) IN [true, false]", true),
        ("attribute_exists(gone) = contains(t, 'x')", true),
        ("n = /* not 4 */ 5 -- nor 3\n AND t = 'b--cd'", false),
    ] {
        assert_eq!(condition(text).evaluate(Some(&item(ITEM))), expected, "{text}");
    }
}

#[test]
fn an_update_becomes_the_actions_of_an_expression() {
    let Statement::Update(update) = parse(
        "UPDATE t SET n = n + 1, m.y = ? REMOVE m.x SET l = list_append([1], [2]) SET ss = set_add(ss, <<'c'>>) \
         WHERE p = 'a' AND s = 1 AND n = 5 RETURNING MODIFIED NEW *",
    ) else {
        panic!("no UPDATE")
    };
    assert_eq!(update.returning, Some(Returning::ModifiedNew));
    let mut item = item(ITEM);
    update.update.apply(&mut item).unwrap();
    assert_eq!(
        json(&item),
        r#"{"l":{"L":[{"N":"1"},{"N":"2"}]},"m":{"M":{"l":{"L":[{"N":"7"}]},"y":{"S":"one"}}},"n":{"N":"6"},"none":{"NULL":true},"p":{"S":"a"},"s":{"N":"1"},"ss":{"SS":["a","b","c"]},"t":{"S":"bcd"}}"#
    );
    let Statement::Update(update) = parse("UPDATE t SET ss = set_delete(ss, <<'a'>>) WHERE p = 'a'") else {
        panic!("no UPDATE")
    };
    update.update.apply(&mut item).unwrap();
    assert_eq!(item["ss"], value(r#"{"SS":["b","c"]}"#));
}

#[test]
fn an_update_may_begin_with_its_table() {
    assert_eq!(
        parse("FROM t WHERE p = 'a' AND n = 5 SET n = n + 1 REMOVE m.x RETURNING ALL NEW *"),
        parse("UPDATE t SET n = n + 1 REMOVE m.x WHERE p = 'a' AND n = 5 RETURNING ALL NEW *")
    );
}

#[test]
fn deletes_return_all_old_or_nothing() {
    for (text, expected) in [("", false), (" RETURNING ALL OLD *", true)] {
        let Statement::Delete(delete) = parse(&format!("DELETE FROM t WHERE p = 'a'{text}")) else {
            panic!("no DELETE")
        };
        assert_eq!(delete.returning, expected);
    }
    assert_eq!(
        refused("DELETE FROM t WHERE p = 'a' RETURNING MODIFIED OLD *"),
        "Invalid returning clause: RETURNING MODIFIED OLD *. Only RETURNING ALL OLD * is allowed in DELETE statements."
    );
}

#[test]
fn what_is_no_partiql_is_refused_in_dynamodbs_words() {
    for (text, message) in [
        ("", "Expected data manipulation"),
        ("CREATE TABLE t", "Expected data manipulation"),
        ("SELECT", "Unexpected term"),
        ("SELECT FROM t", "Expected identifier or an expression but found unexpected keyword 'from' in a select list."),
        ("SELECT * FROM t WHERE a = 1 AND b <>;", "Missing right-hand side expression of infix operator"),
        ("INSERT INTO", "Expected identifier for simple path"),
        ("FROM t WHERE a = 1", "Expected data manipulation"),
        ("FROM t WHERE a = 1 DELETE", "Expected data manipulation"),
        ("EXISTS", "Unexpected keyword"),
        ("EXISTS (", "Unexpected term"),
        ("INSERT INTO t VALUE {'a': <<1, -?>>}", "Unexpected term"),
        ("INSERT INTO t VALUE {'a': <<1,", "Unexpected term"),
        ("SELECT * FROM", "Unexpected term"),
        ("SELECT * FROM t WHERE", "Unexpected term"),
        ("SELECT * FROM t WHERE a = 1 b", "Unexpected token after expression"),
        ("SELECT * FROM t LIMIT 5", "Unexpected token after expression"),
        ("SELECT * FROM t; SELECT * FROM t", "Unexpected token after semicolon. (Only one query is allowed.)"),
        ("SELECT * FROM t WHERE a = 'x", ""),
        ("SELECT * FROM \"t", ""),
        ("SELECT * FROM t WHERE a @ 1", "Unexpected character: '@'"),
        ("SELECT * FROM t WHERE a é 1", ""),
        ("SELECT * FROM t WHERE a = 1e", ""),
        ("SELECT * FROM t WHERE a # 1", ""),
        ("SELECT * FROM t /* a", ""),
        ("SELECT * FROM t WHERE a = 1e2147483648", ""),
        ("SELECT * FROM t WHERE a = 1.5e-2147483648", ""),
        ("INSERT INTO t x VALUE {}", "Unexpected token after expression"),
        ("FROM t SET a = 1 WHERE p = 'a'", "Unexpected token after expression"),
        ("SELECT * FROM t WHERE;", "Unexpected term"),
        ("SELECT * FROM t WHERE NOT", "Unexpected term"),
        ("SELECT * FROM t WHERE a = 1 AND", "Missing right-hand side expression of infix operator"),
        ("SELECT * FROM t WHERE a = 1 OR", "Missing right-hand side expression of infix operator"),
        ("SELECT * FROM t WHERE a BETWEEN 1 AND", "Expected expression after AND"),
        ("SELECT * FROM t WHERE ORDER BY a", "Unexpected keyword"),
        ("SELECT * FROM t WHERE IS NULL", "Unexpected operator"),
        ("SELECT * FROM t WHERE a = LIKE", "Unexpected operator"),
        ("SELECT * FROM t WHERE (a = 1", "Expected RIGHT_PAREN"),
        ("SELECT * FROM t WHERE a BETWEEN 1", "Expected AND keyword"),
        ("SELECT * FROM t WHERE a", "Expected operator after attribute path"),
        ("INSERT t", "Unexpected keyword"),
        ("INSERT INTO t VALUE {'a': 1", "Expected RIGHT_CURLY"),
        ("INSERT INTO t VALUE {'a' 1}", "Expected COLON"),
        ("UPDATE t WHERE p = 'a'", "UPDATE requires at least one SET or REMOVE clause"),
        ("UPDATE t SET a 1 WHERE p = 'a'", "Expected '='"),
        ("DELETE t", "Expected FROM after DELETE"),
        ("DELETE FROM", "Expected identifier for simple path"),
        ("UPDATE", "Expected identifier for simple path"),
        ("SELECT * FROM t WHERE a IS b", "Expected type name"),
        (
            "DELETE FROM t WHERE p = 'a' RETURNING OLD",
            "Malformed RETURNING clause; expected RETURNING <ALL|MODIFIED> <OLD|NEW> *",
        ),
    ] {
        assert_eq!(malformed(text), message, "{text}");
    }
}

#[test]
fn what_dynamodb_does_not_take_is_refused_in_its_words() {
    let many = vec!["1"; 101].join(",");
    let deep = format!("INSERT INTO t VALUE {{'a': {{'b':{}1{}}}}}", "[".repeat(31), "]".repeat(31));
    let too_deep = format!("Nesting Levels have exceeded supported limits under root.b{}", "[0]".repeat(31));
    let operators = format!("SELECT * FROM t WHERE a = 1{}", " OR a = 1".repeat(150));
    for (text, message) in [
        ("SELECT * FROM t x", "Aliasing is not supported"),
        ("SELECT a AS b FROM t", "Aliasing is not supported"),
        ("SELECT COUNT(*) FROM t", "Unexpected path component at 1:8:5"),
        (
            "SELECT * FROM t WHERE attribute_exists(m.inner)",
            "Statement wasn't well formed, can't be processed: Invalid path dot component",
        ),
        ("UPDATE t SET a = a.size", "Statement wasn't well formed, can't be processed: Invalid path dot component"),
        (
            "SELECT a.\"size\".date FROM t",
            "Statement wasn't well formed, can't be processed: Invalid path dot component",
        ),
        ("SELECT * FROM t WHERE inner = 1", "Statement wasn't well formed, can't be processed: Unexpected keyword"),
        (
            "UPDATE t SET inner = 1",
            "Statement wasn't well formed, can't be processed: Expected identifier for simple path",
        ),
        (
            "UPDATE t REMOVE inner",
            "Statement wasn't well formed, can't be processed: Expected identifier for simple path",
        ),
        ("SELECT * FROM a, b", "Only select from a single table or index is supported."),
        ("SELECT * FROM a.b.c", "A path may contain at most 2 components in the FROM clause"),
        ("SELECT * FROM \"\"", "Path component cannot be an empty string"),
        ("SELECT * FROM t WHERE EXISTS(a)", "Unrecognized function: exists at 1:23:6"),
        ("EXISTS(SELECT * FROM t)", "EXISTS can only be used in ExecuteTransaction write requests."),
        ("SELECT * FROM t WHERE foo(a)", "Unrecognized function: foo at 1:23:3"),
        (
            "SELECT * FROM t\nWHERE a IS INT",
            "Unsupported data type for IS operator: IntegerType. Supported data types are [MISSING, NULL, BOOLEAN, BLOB, \
             STRING, NUMERIC, STRUCT, TUPLE, LIST] at 2:7:1",
        ),
        (
            "SELECT * FROM t WHERE a IS NOT DOUBLE PRECISION",
            "Unsupported data type for IS operator: DoublePrecisionType. Supported data types are [MISSING, NULL, BOOLEAN, \
             BLOB, STRING, NUMERIC, STRUCT, TUPLE, LIST] at 1:23:1",
        ),
        (
            "SELECT * FROM t WHERE a IS CHARACTER VARYING",
            "Unsupported data type for IS operator: CharacterVaryingType. Supported data types are [MISSING, NULL, BOOLEAN, \
             BLOB, STRING, NUMERIC, STRUCT, TUPLE, LIST] at 1:23:1",
        ),
        (
            "SELECT * FROM t WHERE a = ? AND b = ? AND c = ? AND d = ?",
            "Number of parameters in request and statement don't match.",
        ),
        (
            "INSERT INTO t.i VALUE {}",
            "FROM clause may only contain a single table name in data manipulation statements at 1:13:1",
        ),
        ("UPDATE t.i SET a = 1", "This operation is not supported on an index"),
        (
            "INSERT INTO t VALUE {'a': set_add(<<'a'>>, <<'b'>>)}",
            "Unsupported data type: set_add under key root at 1:27:7",
        ),
        ("INSERT INTO t VALUE {'a': <<>>}", "Empty bags are not supported"),
        (
            "INSERT INTO t VALUE {'a': <<1, 'x'>>}",
            "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags",
        ),
        (
            "INSERT INTO t VALUE {'a': <<'x', 'x', 1>>}",
            "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags at 1:39:1",
        ),
        (
            "INSERT INTO t VALUE {'a': <<true, 'x'>>}",
            "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags at 1:29:4",
        ),
        (
            "INSERT INTO t VALUE {'a': <<'x', <<'y'>>>>}",
            "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags at 1:34:2",
        ),
        (
            "INSERT INTO t VALUE {'a': {'b': [<<1, null>>]}}",
            "One or more parameter values were invalid: Numeric sets may not contain null under root.b[0]",
        ),
        ("INSERT INTO t VALUE {'a': <<1, ?>>}", "Unsupported data type: Parameter under key root at 1:32:1"),
        ("INSERT INTO t VALUE {'a': {'b': <<'x', ?>>}}", "Unsupported data type: Parameter under key root.b at 1:40:1"),
        (
            "INSERT INTO t VALUE {'a': <<?>>}",
            "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags at 1:29:1",
        ),
        ("SELECT * FROM t WHERE a = MISSING", "MISSING must be compared using IS operator"),
        ("SELECT * FROM t WHERE foo(a) AND a IN [missing]", "Unrecognized function: foo at 1:23:3"),
        ("SELECT * FROM t WHERE foo(a) AND a = <<>>", "Unrecognized function: foo at 1:23:3"),
        ("SELECT * FROM t WHERE a = <<>> AND foo(a)", "Empty bags are not supported"),
        (
            "SELECT * FROM t WHERE NOT exists((select * from t where b = 1)) AND foo(a)",
            "Unsupported token in expression: SELECT at 1:35:6",
        ),
        (
            "SELECT * FROM t WHERE EXISTS(SELECT * FROM t) AND a =",
            "Statement wasn't well formed, can't be processed: Missing right-hand side expression of infix operator",
        ),
        ("SELECT * FROM t WHERE size(a)", "WHERE clause must contain an expression that resolves to a boolean"),
        (
            "SELECT * FROM t WHERE (size(a)) AND b = 1",
            "Incorrect operand type for operator or function; operator or function: AND, operand type: N",
        ),
        (
            "SELECT * FROM t WHERE b = 1 OR NOT size(a)",
            "Incorrect operand type for operator or function; operator or function: NOT, operand type: N",
        ),
        (
            "SELECT * FROM t WHERE a.b NOT IN [1, a.b]",
            "The first operand must be distinct from the remaining operands for this operator or function; operator: IN, \
             first operand: [a, b]",
        ),
        (
            "INSERT INTO t VALUE {'a': <<'x', 'x'>>}",
            "One or more parameter values were invalid: Input collection [x, x] contains duplicates.",
        ),
        (
            "SELECT * FROM t WHERE a < true",
            "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL",
        ),
        (
            "SELECT * FROM t WHERE attribute_exists(a) > false",
            "Incorrect operand type for operator or function; operator or function: >, operand type: BOOL",
        ),
        (
            "SELECT * FROM t WHERE begins_with(a)",
            "Incorrect number of operands for operator or function; operator or function: begins_with, number of operands: 1",
        ),
        (
            "UPDATE t SET a = set_add(b, <<1>>)",
            "The first argument to SET_ADD must equal the assignment value at 1:18:7",
        ),
        ("UPDATE t SET a = set_add(a, 1)", "The second argument to SET_ADD must be a value with type SET at 1:26:1"),
        (
            "UPDATE t SET a = 1 REMOVE a.b",
            "Two document paths overlap with each other; must remove or rewrite one of these \
             paths; path one: [a, b], path two: [a]",
        ),
        (
            "INSERT INTO t VALUE {'a': <<1, 1.0>>}",
            "One or more parameter values were invalid: Input collection [1, 1.0] contains duplicates! under root",
        ),
        (
            "INSERT INTO t VALUE {'a': {'b': [1, {'c': 1e999}]}}",
            "Number overflow. Attempting to store a number with magnitude larger than supported range under root.b[1].c",
        ),
        (deep.as_str(), too_deep.as_str()),
        ("UPDATE t SET a = [?]", "Unsupported data type: Parameter under key root[0] at 1:19:1"),
        ("INSERT INTO t VALUE {'a': {'k': ?}}", "Unsupported data type: Parameter under key root.k at 1:33:1"),
        ("SELECT a[-1] FROM t", "List index is not within the allowable range; index: [-1] at 1:11:1"),
        ("SELECT a[2147483648] FROM t", "List index is not within the allowable range; index: [2147483648] at 1:10:10"),
        (operators.as_str(), "The expression contains too many operators; operator count: 301"),
        (
            format!("SELECT * FROM t WHERE a IN ({many})").as_str(),
            "The IN operator is provided with too many operands; number of operands: 101",
        ),
    ] {
        assert_eq!(refused(text), message, "{text}");
    }
}

#[test]
fn a_statement_s_length_and_depth_are_bounded() {
    let long = |length: usize| format!("SELECT * FROM t WHERE a = '{}'", "é".repeat(length));
    let fits = STATEMENT_CHARS_MAX - long(0).len();
    parse(&long(fits));
    assert!(refused(&long(fits + 1)).contains("8192 characters"));
    let parens = |depth: usize| format!("SELECT * FROM t WHERE {}a = 1{}", "(".repeat(depth), ")".repeat(depth));
    parse(&parens(150));
    assert!(refused(&parens(4_000)).contains("nesting levels: 151"));
    assert!(refused(&format!("SELECT * FROM t WHERE {}", "NOT ".repeat(2_000))).contains("nesting levels: 151"));
    for (open, close) in [("[", "]"), ("{'a':", "}")] {
        let deep = refused(&format!("INSERT INTO t VALUE {{'a': {}", open.repeat(1_000)));
        assert!(deep.starts_with("Nesting Levels have exceeded supported limits under root"), "{deep}");
        let at_the_limit = format!("INSERT INTO t VALUE {{'a': {}1{}}}", open.repeat(31), close.repeat(31));
        parse(&at_the_limit);
    }
}

/// What is read of the partitions a to c, in which sort keys are 0 to 3: `a12? b3` is two keys of a, of whose items more is asked,
/// and then one of b.
fn shown(keys: &ReadKeys) -> String {
    let ReadKeys::Branches { reads, .. } = keys else { return "all".to_owned() };
    let shown = reads.iter().filter(|read| !read.is_empty()).map(|read| {
        let fits = |p: &str, s: u32| {
            let key = item(&format!(r#"{{"p":{{"S":"{p}"}},"s":{{"N":"{s}"}}}}"#));
            read.bounds().contains(&EncodedKey::new(&schema(), &key).unwrap().0)
        };
        let of = |p: &str| (0..4).filter(|s| fits(p, *s)).map(|s| s.to_string()).collect::<String>();
        let keys: String = ["a", "b", "c"]
            .map(|p| (p, of(p)))
            .iter()
            .filter(|(_, s)| !s.is_empty())
            .map(|(p, s)| format!("{p}{s}"))
            .collect();
        keys + if read.filter.is_empty() { "" } else { "?" }
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_select_reads_what_each_branch_of_its_condition_asks_for() {
    for (clauses, expected) in [
        ("", "all"),
        ("WHERE n = 1", "all"),
        ("WHERE p = 'a'", "a0123"),
        ("WHERE 'a' = p AND s > 1 AND s < 3 AND n = 1", "a2?"),
        ("WHERE p = 'a' AND 1 <= s", "a123"),
        ("WHERE p IN ['b', 'a'] AND s IN [1]", "b1 a1"),
        ("WHERE p = 'a' AND n = 1 OR p = 'b'", "a0123? b0123"),
        ("WHERE p = 'a' OR n = 1", "all"),
        ("WHERE p = 'a' AND s = 1 OR s = 2", "all"),
        ("WHERE NOT p = 'a'", "all"),
        ("WHERE s = 1", "all"),
        ("WHERE p = 'a' AND (s = 1 OR s = 2)", "a1 a2"),
        ("WHERE p = 'a' AND 1 = s AND (p = 'a' AND 1.0 = s)", "a1"),
        ("WHERE (p IN ['a']) AND p = 'a' AND s = 1", "a1"),
        ("WHERE p = 'a' AND p = 'b' AND s = 1", ""),
        ("WHERE p = 'a' AND s > 2 AND s < 2", ""),
        ("WHERE p = 'a' AND (s = 1 AND n = 1 OR s = 2 AND n = 3)", "a1? a2?"),
        ("WHERE p = 'a' AND (s = 1 AND n = 1 OR s = 2)", "a1? a2"),
        ("WHERE (p = 'a' AND s = 1) OR (p = 'b' AND s = 2)", "a1 b2"),
        ("WHERE p = 'b' AND s = 3 OR p = 'a' AND s = 2 OR p = 'b' AND s < 1", "b0 b3 a2"),
        ("WHERE (p = 'a' OR p = 'b') AND (s = 1 OR s = 3) AND n = 1", "a1? a3? b1? b3?"),
        ("WHERE p IN ['a', 'b'] AND (p = 'a' AND s = 1 OR p = 'b' AND s = 2)", "a1 b2"),
        ("WHERE p = 'a' AND s IN [3, 1, 2]", "a1 a2 a3"),
        ("WHERE p = 'a' AND s IN [3, 1, 2] ORDER BY s DESC", "a3 a2 a1"),
        ("WHERE p = 'b' AND s < 2 OR p = 'a' AND s IN [3, 1] ORDER BY p, s DESC", "a3 a1 b01"),
        ("WHERE p IN ['a', 'b'] AND (s = 2 OR 1 = s)", "a1 a2 b1 b2"),
        ("WHERE p = 'a' AND (s > 2 AND s < 1 OR s = 2)", "a2"),
        ("WHERE p = 'a' AND (n = 1 OR n = 2)", "a0123?"),
        ("WHERE p = 'a' AND s = 1 AND n = 1 AND (n = 1)", "a1?"),
    ] {
        assert_eq!(shown(&read(clauses).unwrap()), expected, "{clauses}");
    }
}

#[test]
fn reads_that_share_keys_are_one_of_which_the_whole_condition_is_asked() {
    for (clauses, expected) in [
        ("p = 'a' AND s <> 1 OR p = 'a' AND s = 2", "a0123?"),
        ("p = 'a' AND s < 2 AND NOT s = 0 OR p = 'b' OR p = 'a' AND s BETWEEN 1 AND 2", "a012? b0123"),
        ("p = 'a' AND s = 0 OR p = 'a' AND (NOT s = 1 OR n = 3) AND s > 1 OR p = 'a' AND s = 2", "a0 a23?"),
    ] {
        let keys = read(&format!("WHERE {clauses}")).unwrap();
        assert_eq!(shown(&keys), expected, "{clauses}");
        let whole = Some(condition(clauses));
        assert!(keys.filters().into_iter().any(|filter| filter.condition() == whole), "{clauses}");
    }
}

#[test]
fn one_key_of_a_table_is_one_where_a_single_branch_names_it() {
    let key = |clauses: &str| match read(&format!("WHERE {clauses}")).unwrap() {
        ReadKeys::Branches { reads, .. } => match reads.as_slice() {
            [only] => only.key(&schema()),
            _ => None,
        },
        ReadKeys::All(_) => None,
    };
    let one = Some(item(r#"{"p":{"S":"a"},"s":{"N":"1"}}"#));
    assert_eq!(key("p = 'a' AND s = 1"), one);
    assert_eq!(key("p IN ['a'] AND s = 1 AND p = 'a' AND n = 1"), one);
    for clauses in [
        "p = 'a'",
        "p = 'a' AND s > 1",
        "p = 'a' AND s IN [1, 2]",
        "p = 'a' AND s = 1 AND p = 'b'",
        "p IN ['a', 'b'] AND p = 'a' AND s = 1",
        "p = 'a' AND s = 1 OR n = 1",
    ] {
        assert_eq!(key(clauses), None, "{clauses}");
    }
}

#[test]
fn branches_that_read_one_key_twice_are_refused_in_dynamodbs_words() {
    for clauses in [
        "p = 'a' AND n = 1 OR p = 'a' AND s = 2",
        "p = 'a' AND n <> 1 OR p = 'a' AND s = 2",
        "p = 'a' OR p = 'a' AND s = 2",
        "p = 'a' AND s > 1 OR p = 'b' OR p = 'a' AND s BETWEEN 1 AND 2",
        "p = 'a' AND s IN [1, 2] OR p IN ['a', 'b'] AND s = 2",
        "p = 'a' AND s IN [1, 2, 1.0]",
        "p = 'a' AND (s > 0 OR s < 5)",
        "p = 'a' AND (s = 1 OR n = 2)",
        "p = 'a' AND (s = 1 OR s = 2) OR p = 'a' AND s = 2",
        "p = 'a' AND s = n OR p = 'a' AND s = 2",
    ] {
        let message = read(&format!("WHERE {clauses}")).unwrap_err().message;
        assert_eq!(message, "Overlapping conditions with range keys are not supported in where clause", "{clauses}");
    }
    for clauses in [
        "p = 'a' AND s = 1 OR p = 'a' AND s = 2",
        "p = 'a' AND s < 2 OR p = 'a' AND s >= 2",
        "p = 'a' AND s > 1 AND s < 3 OR p = 'a' AND s = 3",
        "p = 'a' AND n = 1 OR p = 'b' AND s = 2",
        "p = 'a' OR p = 'a' AND NOT s = 1",
        "p = 'a' AND s <> 1 OR p = 'a' AND s = 2",
        "p = 'a' AND NOT s IN [1, 3] OR p = 'a' AND s = 2",
        "p = 'a' AND (NOT s = 1 OR n = 2) OR p = 'a' AND s = 2",
        "p = 'a' AND (s = 1 OR NOT s = 1)",
        "p = 'a' AND (n = 1 OR n = 2)",
    ] {
        assert!(read(&format!("WHERE {clauses}")).is_ok(), "{clauses}");
    }
}

#[test]
fn order_by_follows_the_keys() {
    let first = |clauses: &str| match read(clauses).unwrap() {
        keys @ ReadKeys::Branches { forward, .. } => (shown(&keys).starts_with('a'), forward),
        ReadKeys::All(_) => panic!("{clauses}: all"),
    };
    assert_eq!(first("WHERE p = 'a'"), (true, true));
    assert_eq!(first("WHERE p = 'a' ORDER BY s DESC"), (true, false));
    assert_eq!(first("WHERE p IN ('b', 'a') ORDER BY p, s"), (true, true));
    assert_eq!(first("WHERE p IN ('a', 'b') ORDER BY p DESC, s"), (false, true));
    // DynamoDB's way where the sort key is not named.
    assert_eq!(first("WHERE p = 'a' ORDER BY p"), (true, false));
}

#[test]
fn keys_that_don_t_fit_a_read_are_refused_in_dynamodbs_words() {
    let many: Vec<_> = (0..51).map(|at| format!("'{at}'")).collect();
    for (clauses, message) in [
        ("WHERE p = 1", "Key attribute's data type should match its data type in table's schema: Key p"),
        ("WHERE p = 'a' AND s = 'x'", "Key attribute's data type should match its data type in table's schema: Key s"),
        ("WHERE p = 1 OR n = 1", "Key attribute's data type should match its data type in table's schema: Key p"),
        ("WHERE p = {}", "Key value must be of type S, N, or B. Key name: p, Key type: M"),
        ("WHERE p IN ['a', 'a']", "Overlapping conditions with range keys are not supported in where clause"),
        ("ORDER BY p", "Must have WHERE clause in the statement when using ORDER BY clause."),
        ("WHERE p = 'a' ORDER BY n", "Attribute n in ORDER BY clause must be part of the primary key"),
        ("WHERE p = 'a' ORDER BY n, p.n", "Attribute n in ORDER BY clause must be part of the primary key"),
        (
            "WHERE p = 'a' ORDER BY \"p\".n DESC",
            "Argument to ORDER BY must be of type VariableReference. Type: PATH at 1:40:3",
        ),
        ("WHERE p = 'a' ORDER BY 's'", "Argument to ORDER BY must be of type VariableReference. Type: s at 1:40:3"),
        (
            "WHERE p = 'a' AND p = 'b' ORDER BY s",
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
        ),
        (
            "WHERE n = 1 ORDER BY p",
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
        ),
        (
            "WHERE p IN ['a', 'b'] ORDER BY s",
            "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause.",
        ),
        (format!("WHERE p IN ({})", many.join(",")).as_str(), "Too many decomposed read operations for a given query."),
        (
            format!(
                "WHERE {}",
                many.iter().map(|value| format!("p = {value} AND s = 1")).collect::<Vec<_>>().join(" OR ")
            )
            .as_str(),
            "Too many decomposed read operations for a given query.",
        ),
        (
            format!("WHERE p IN ({}) AND s IN [1, 2]", many[..26].join(",")).as_str(),
            "Too many decomposed read operations for a given query.",
        ),
    ] {
        assert_eq!(read(clauses).unwrap_err().message, message, "{clauses}");
    }
}

#[test]
fn a_write_needs_its_whole_key_and_keeps_the_rest_as_a_condition() {
    let found = write("n = 5 AND p = 'a' AND (1 = s AND t = 'x')").unwrap();
    assert_eq!(found.key, item(r#"{"p":{"S":"a"},"s":{"N":"1"}}"#));
    assert_eq!(found.condition, Some(condition("n = 5 AND t = 'x'")));
    assert_eq!(write("p = 'a' AND s = 1").unwrap().condition, None);
    let mandatory = "Where clause does not contain a mandatory equality on all key attributes";
    for (text, message) in [
        ("p = 'a'", mandatory),
        ("p = 'a' AND s > 1", mandatory),
        ("p = 'a' AND (s = 1 OR s = 1)", mandatory),
        ("p = 'a' AND s IN [1]", mandatory),
        (
            "p = 'a' AND p = 'b' AND s = 1",
            "Multiple conditions on same key p. Only single item Update/Insert/Delete are supported",
        ),
        ("p = 1 AND s = 1", "Key attribute's data type should match its data type in table's schema: Key p"),
    ] {
        assert_eq!(write(text).unwrap_err().message, message, "{text}");
    }
}

/// Words that a statement may or may not hold, for texts that nearly parse.
const SOUP: &str = "((p|s|n|m|t|\"q\"|\"|'a'|'|1|-2|1e5|\\.5|\\?|true|null|SELECT|INSERT INTO|UPDATE|DELETE|FROM|VALUE|SET|\
    REMOVE|WHERE|ORDER BY|ASC|DESC|RETURNING|ALL|OLD|NEW|MODIFIED|AND|OR|NOT|BETWEEN|IN|IS|MISSING|NULL|EXISTS|\
    begins_with|contains|attribute_type|size|list_append|set_add|set_delete|=|<>|!=|<|<=|>|>=|<<|>>|\\+|-|\\*|\\(|\\)|\
    \\[|\\]|\\{|\\}|\\.|,|:|;|é|`|\n) ?){0,32}";

/// Whether an item is among what is read, and as is asked of it there. It is in one read at most.
fn is_read(keys: &ReadKeys, of: &Item) -> bool {
    let passes = |filter: &Filter| filter.condition().is_none_or(|filter| filter.evaluate(Some(of)));
    match keys {
        ReadKeys::All(filter) => passes(filter),
        ReadKeys::Branches { reads, .. } => {
            let key = EncodedKey::new(&schema(), of).unwrap().0;
            let found: Vec<_> = reads.iter().filter(|read| read.bounds().contains(&key)).collect();
            assert!(found.len() <= 1, "{} is read twice", json(of));
            found.iter().any(|read| passes(&read.filter))
        }
    }
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let Ok(statement) = Statement::parse(text, &parameters()) else { return Ok(()) };
    let before = item(ITEM);
    match statement {
        Statement::Select(select) => {
            if let Some(condition) = &select.condition {
                condition.evaluate(Some(&before));
                // What is read and then filtered is what the condition holds for.
                if let Ok(keys) = ReadKeys::of(select.condition.clone(), &[], &schema()) {
                    prop_assert_eq!(condition.evaluate(Some(&before)), is_read(&keys, &before));
                }
            }
        }
        Statement::Insert(insert) => {
            let _ = insert.check_key_types(&schema());
        }
        Statement::Update(update) => {
            let _ = update.update.apply(&mut before.clone());
            let _ = WriteKey::of(update.condition, &schema());
        }
        Statement::Delete(delete) => {
            let _ = WriteKey::of(delete.condition, &schema());
        }
    }
    Ok(())
}

/// Conditions on keys and others, in every combination.
fn any_condition() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(vec![
        "p = 'a'",
        "'a' = p",
        "p = 'b'",
        "p IN ('a', 'b')",
        "p IN ['c']",
        "p NOT IN ('a')",
        "p <> 'a'",
        "p > 'a'",
        "p.x = 'a'",
        "begins_with(p, 'a')",
        "size(p) = 1",
        "'a' = 'a'",
        "s = 1",
        "1 = s",
        "s < 2",
        "2 > s",
        "1 <= s",
        "s >= 2",
        "s BETWEEN 1 AND 2",
        "s NOT BETWEEN 1 AND 2",
        "s IN (1)",
        "s IN (1, 2)",
        "s IN (1, n)",
        "s NOT IN (1)",
        "s <> 1",
        "s = n",
        "n = 2",
        "n IS MISSING",
        "n < 3",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 16, 2, |inner| {
        (inner.clone(), inner, 0..6_u8).prop_map(|(one, other, how)| match how {
            0 => format!("{one} AND {other}"),
            1 => format!("({one} AND {other})"),
            2 => format!("{one} OR {other}"),
            3 => format!("({one} OR {other})"),
            4 => format!("NOT {one}"),
            _ => format!("NOT ({one}) AND {other}"),
        })
    })
}

/// Some items in and around what those conditions are about.
fn some_items() -> Vec<Item> {
    let mut items = Vec::new();
    for p in ["a", "b", "c"] {
        for s in 0..4 {
            for n in ["", r#","n":{"N":"1"}"#, r#","n":{"N":"3"}"#] {
                items.push(item(&format!(r#"{{"p":{{"S":"{p}"}},"s":{{"N":"{s}"}}{n}}}"#)));
            }
        }
    }
    items
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_read_or_written_is_what_the_clause_holds_for(text in any_condition()) {
        let whole = condition(&text);
        let read = ReadKeys::of(Some(whole.clone()), &[], &schema());
        let write = WriteKey::of(Some(whole.clone()), &schema());
        for item in some_items() {
            let holds = whole.evaluate(Some(&item));
            if let Ok(keys) = &read {
                prop_assert_eq!(holds, is_read(keys, &item), "{} of {}", text, json(&item));
            }
            if let Ok(keys) = &write {
                let named = keys.key.iter().all(|(name, value)| item[name] == *value);
                let left = keys.condition.as_ref().is_none_or(|condition| condition.evaluate(Some(&item)));
                prop_assert_eq!(holds, named && left, "{} of {}", text, json(&item));
            }
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in SOUP) {
        check(&text)?;
    }

    #[test]
    fn no_clause_makes_the_parser_panic(text in SOUP) {
        for start in [
            "SELECT * FROM t WHERE ", "SELECT ", "SELECT * FROM t WHERE p = 'a' AND ", "INSERT INTO t VALUE {'p': ",
            "UPDATE t SET n = ", "UPDATE t SET ss = set_add(ss, ", "DELETE FROM t WHERE p = 'a' AND s = 1 ",
        ] {
            check(&format!("{start}{text}"))?;
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(text in ".{0,64}") {
        check(&text)?;
        check(&format!("SELECT * FROM t WHERE a = {text}"))?;
    }

    #[test]
    fn any_string_is_written_and_read_again(text in ".{0,64}") {
        let quoted = text.replace('\'', "''");
        let Statement::Insert(insert) = parse(&format!("INSERT INTO t VALUE {{'a': '{quoted}'}}")) else {
            panic!("no INSERT")
        };
        prop_assert_eq!(&insert.item["a"], &AttributeValue::S(text));
    }
}
