use super::*;
use crate::{
    Placeholders,
    testing::{SOUP, item, placeholders},
};
use cairn_model::json::write_item;
use proptest::prelude::*;

fn update(text: &str) -> Update {
    Update::parse(text, &mut placeholders()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    let error = Update::parse(text, &mut placeholders()).unwrap_err();
    error.message.strip_prefix("Invalid UpdateExpression: ").unwrap().to_owned()
}

fn json(item: &Item) -> String {
    let mut out = Vec::new();
    write_item(item, &mut out);
    String::from_utf8(out).unwrap()
}

/// What an update makes of an item, as JSON.
fn applied(text: &str, before: &str) -> String {
    let mut item = item(before);
    update(text).apply(&mut item).unwrap_or_else(|error| panic!("{text}: {error}"));
    json(&item)
}

fn fails(text: &str, before: &str) -> String {
    update(text).apply(&mut item(before)).unwrap_err().message
}

#[test]
fn set_computes_from_the_item_as_it_was() {
    assert_eq!(applied("SET a = :n, b = a", r#"{"a":{"N":"1"}}"#), r#"{"a":{"N":"5"},"b":{"N":"1"}}"#);
    assert_eq!(applied("SET a = b, b = a", r#"{"a":{"N":"1"},"b":{"N":"2"}}"#), r#"{"a":{"N":"2"},"b":{"N":"1"}}"#);
    assert_eq!(applied("SET a = a + :n", r#"{"a":{"N":"0.5"}}"#), r#"{"a":{"N":"5.5"}}"#);
    assert_eq!(applied("SET a = (:n - (a))", r#"{"a":{"N":"3"}}"#), r#"{"a":{"N":"2"}}"#);
    assert_eq!(applied("SET a = if_not_exists(a, :n) + :one", "{}"), r#"{"a":{"N":"6"}}"#);
    assert_eq!(
        applied("SET a = list_append(if_not_exists(a, :l), :l)", r#"{"a":{"L":[]}}"#),
        r#"{"a":{"L":[{"N":"1"},{"S":"b"}]}}"#
    );
    assert_eq!(
        applied("SET a.x.y = :n", r#"{"a":{"M":{"x":{"M":{}}}}}"#),
        r#"{"a":{"M":{"x":{"M":{"y":{"N":"5"}}}}}}"#
    );
}

#[test]
fn indexes_mean_what_they_meant_before() {
    let list = r#"{"a":{"L":[{"N":"0"},{"N":"1"},{"N":"2"}]}}"#;
    assert_eq!(applied("REMOVE a[0], a[1]", list), r#"{"a":{"L":[{"N":"2"}]}}"#);
    assert_eq!(applied("SET a[2] = :n REMOVE a[0]", list), r#"{"a":{"L":[{"N":"1"},{"N":"5"}]}}"#);
    assert_eq!(
        applied("SET a[9] = :s, a[7] = :n", list),
        r#"{"a":{"L":[{"N":"0"},{"N":"1"},{"N":"2"},{"N":"5"},{"S":"b"}]}}"#
    );
    assert_eq!(applied("SET a[9] = :n REMOVE a[3]", r#"{"a":{"L":[]}}"#), r#"{"a":{"L":[{"N":"5"}]}}"#);
}

#[test]
fn add_and_delete_change_numbers_and_sets() {
    assert_eq!(applied("ADD a :n", "{}"), r#"{"a":{"N":"5"}}"#);
    assert_eq!(applied("ADD a :n", r#"{"a":{"N":"-7"}}"#), r#"{"a":{"N":"-2"}}"#);
    assert_eq!(applied("ADD a :ss", r#"{"a":{"SS":["aa","b"]}}"#), r#"{"a":{"SS":["a","aa","b"]}}"#);
    assert_eq!(applied("ADD a.b :ns", r#"{"a":{"M":{}}}"#), r#"{"a":{"M":{"b":{"NS":["1","2"]}}}}"#);
    assert_eq!(applied("DELETE a :ss", r#"{"a":{"SS":["b","c"]}}"#), r#"{"a":{"SS":["c"]}}"#);
    assert_eq!(applied("DELETE a :ss, b :ns", r#"{"a":{"SS":["b"]}}"#), "{}");
    assert_eq!(applied("REMOVE a, b", r#"{"a":{"S":"x"}}"#), "{}");
}

#[test]
fn what_does_not_fit_the_item_is_refused_in_dynamodbs_words() {
    let path = "The document path provided in the update expression is invalid for update";
    let missing = "The provided expression refers to an attribute that does not exist in the item";
    let operand = "An operand in the update expression has an incorrect data type";
    for (text, before, message) in [
        ("SET a.b = :n", "{}", path),
        ("SET a.b = :n", r#"{"a":{"L":[]}}"#, path),
        ("SET a[0] = :n", r#"{"a":{"M":{}}}"#, path),
        ("SET a[3].b = :n", r#"{"a":{"L":[]}}"#, path),
        ("REMOVE a.b", r#"{"a":{"S":"x"}}"#, path),
        ("DELETE a.b :ss", "{}", path),
        ("ADD a.b :n", "{}", path),
        ("SET a = b", "{}", missing),
        ("SET a = b + :n", "{}", missing),
        ("SET a = b + :n", r#"{"b":{"S":"x"}}"#, operand),
        ("SET a = list_append(b, :l)", r#"{"b":{"S":"x"}}"#, operand),
        ("ADD a :n", r#"{"a":{"S":"x"}}"#, operand),
        ("ADD a :ss", r#"{"a":{"NS":["1"]}}"#, operand),
        ("DELETE a :ss", r#"{"a":{"NS":["1"]}}"#, operand),
        (
            "ADD a :big",
            r#"{"a":{"N":"9E125"}}"#,
            "Number overflow. Attempting to store a number with magnitude larger than supported range",
        ),
    ] {
        assert_eq!(fails(text, before), message, "{text} on {before}");
    }
}

const NUMBER: &str = "Number overflow. Attempting to store a number with magnitude larger than supported range";

#[test]
fn of_several_faults_an_operand_is_told_before_a_path_and_a_number_last() {
    let path = "The document path provided in the update expression is invalid for update";
    let missing = "The provided expression refers to an attribute that does not exist in the item";
    for (text, message) in
        [("REMOVE c.a SET b = d - :n", missing), ("SET d = d + :n, e.x = :n", path), ("SET d = d + :n", NUMBER)]
    {
        let before = match message == missing {
            true => "{}".to_owned(),
            false => format!(r#"{{"d":{{"N":"{}"}}}}"#, "9".repeat(37) + "E80"),
        };
        assert_eq!(fails(text, &before), message, "{text}");
    }
}

#[test]
fn an_item_can_t_grow_past_its_limits() {
    let half = format!(r#"{{"a":{{"S":"{}"}}}}"#, "x".repeat(250 * 1024));
    assert_eq!(fails("SET b = a", &half), "Item size to update has exceeded the maximum allowed size");
    let deep = format!(r#"{{"a":{{"L":[{}{{"NULL":true}}{}]}}}}"#, r#"{"L":["#.repeat(30), "]}".repeat(30));
    assert_eq!(applied("SET b = :n", &deep).len(), deep.len() + r#","b":{"N":"5"}"#.len());
    let into_the_deepest = format!("SET a{} = :l", "[0]".repeat(31));
    assert_eq!(fails(&into_the_deepest, &deep), "Nesting Levels have exceeded supported limits");
}

#[test]
fn a_fault_is_told_before_an_item_is_too_large() {
    let list =
        format!(r#"{{"l":{{"L":[{}{{"NULL":true}}]}},"n":{{"N":"9E125"}}}}"#, r#"{"NULL":true},"#.repeat(150_000));
    let twice = "list_append(l, l)";
    for (text, message) in [
        (format!("SET a = {twice}"), "Item size to update has exceeded the maximum allowed size"),
        (format!("SET a = {twice}, b = l"), "Item size to update has exceeded the maximum allowed size"),
        (
            format!("SET a = {twice}, b = gone"),
            "The provided expression refers to an attribute that does not exist in the item",
        ),
        (format!("SET a = {twice}, b = l + :n"), "An operand in the update expression has an incorrect data type"),
        (
            format!("SET a = {twice}, b = list_append(n, l)"),
            "An operand in the update expression has an incorrect data type",
        ),
        (
            format!("SET a = {twice} REMOVE n.x"),
            "The document path provided in the update expression is invalid for update",
        ),
        (
            format!("SET a = {twice}, b = n + :big"),
            "Number overflow. Attempting to store a number with magnitude larger than supported range",
        ),
    ] {
        assert_eq!(fails(&text, &list), message, "{text}");
    }
}

/// The most memory this process has had, in MiB.
#[cfg(target_os = "linux")]
fn memory_peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[cfg(target_os = "linux")]
#[test]
fn a_large_value_named_many_times_is_not_copied_as_often() {
    let list = item(&format!(r#"{{"l":{{"L":[{}{{"NULL":true}}]}}}}"#, r#"{"NULL":true},"#.repeat(190_000)));
    let before = memory_peak();
    let copies: Vec<_> = (0..80).map(|at| format!("x{at} = l")).collect();
    let lists: Vec<_> = (0..80).map(|at| format!("x{at} = list_append(l, :l)")).collect();
    for text in [copies.join(","), lists.join(","), "x = list_append(l, l)".to_owned()] {
        let error = update(&format!("SET {text}")).apply(&mut list.clone()).unwrap_err();
        assert_eq!(error.message, "Item size to update has exceeded the maximum allowed size");
    }
    assert!(memory_peak() - before < 100, "from {before} to {} MiB", memory_peak());
}

#[test]
fn faults_are_told_in_dynamodbs_words() {
    for (text, message) in [
        ("", "The expression can not be empty;"),
        ("a = :n", "Syntax error; token: \"a\", near: \"a =\""),
        ("SET a = :n,", "Syntax error; token: \"<EOF>\", near: \",\""),
        ("SET a = :n SET b = :n", "The \"SET\" section can only be used once in an update expression;"),
        ("SET a = foo(:n)", "Invalid function name; function: foo"),
        ("SET a = size(b)", "The function is not allowed in an update expression; function: size"),
        (
            "SET a = list_append(list_append(a, :l), :l)",
            "The function is not allowed to be used this way in an expression; function: list_append",
        ),
        (
            "SET a = if_not_exists(a, list_append(b, :l))",
            "The function is not allowed to be used this way in an expression; function: list_append",
        ),
        (
            "SET a = list_append(b, :l) + :n",
            "The function is not allowed to be used this way in an expression; function: list_append",
        ),
        ("SET a = if_not_exists(a, :n + :n)", "Syntax error; token: \"+\", near: \":n + :n\""),
        ("SET a = :n + (b + c)", "Syntax error; token: \"+\", near: \"b + c\""),
        ("SET a = (b + c) + :n", "Syntax error; token: \"+\", near: \") + :n\""),
        ("SET a = ((b + c))", "The expression has redundant parentheses;"),
        ("SET a = if_not_exists(a, ((:n)))", "The expression has redundant parentheses;"),
        ("SET _abc = :n", "Syntax error; token: \"_\", near: \"SET _abc\""),
        ("SET _123 = :n", "Syntax error; token: \"_\", near: \"SET _123\""),
        ("SET 123 = :n", "Syntax error; token: \"123\", near: \"SET 123 =\""),
        ("SET Set = :n", "Syntax error; token: \"Set\", near: \"SET Set =\""),
        ("SET a.in = :n", "Syntax error; token: \"in\", near: \".in =\""),
        ("SET size = :n", "Attribute name is a reserved keyword; reserved keyword: size"),
        (
            "SET a = :undefined",
            "An expression attribute value used in expression is not defined; attribute value: :undefined",
        ),
        (
            "SET a = :n REMOVE a.b",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path \
             two: [a, b]",
        ),
        (
            "SET a.b = :n, a[1] = :n",
            "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], \
             path two: [a, [1]]",
        ),
        (
            "ADD a :s",
            "Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: \
             ALLOWED_FOR_ADD_OPERAND",
        ),
        (
            "DELETE a :n",
            "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, typeSet: \
             ALLOWED_FOR_ADD_OPERAND",
        ),
        (
            "SET a = :s + :n",
            "Incorrect operand type for operator or function; operator or function: +, operand type: S",
        ),
        (
            "SET a = list_append(:n, :l)",
            "Incorrect operand type for operator or function; operator or function: list_append, operand type: N",
        ),
        (
            "SET a = if_not_exists(a)",
            "Incorrect number of operands for operator or function; operator or function: if_not_exists, number of \
             operands: 1",
        ),
        (
            "SET a = if_not_exists(:n, :n)",
            "Operator or function requires a document path; operator or function: if_not_exists",
        ),
    ] {
        assert_eq!(refused(text), message, "{text}");
    }
}

#[test]
fn keys_can_t_be_updated() {
    let schema: KeySchema =
        serde_json::from_str(r#"{"partition":{"name":"a","scalarType":"S"},"sort":{"name":"b","scalarType":"N"}}"#)
            .unwrap();
    assert!(update("SET c = a REMOVE d").check_key_untouched(&schema).is_ok());
    assert_eq!(
        update("SET c = a REMOVE b").check_key_untouched(&schema).unwrap_err().message,
        "One or more parameter values were invalid: Cannot update attribute b. This attribute is part of the key"
    );
}

#[test]
fn touched_paths_show_what_was_there_and_what_is_there_now() {
    let before =
        r#"{"a":{"L":[{"N":"0"},{"N":"1"}]},"b":{"M":{"x":{"N":"1"},"y":{"N":"2"}}},"c":{"S":"x"},"d":{"S":"z"}}"#;
    let old = item(before);
    let mut new = old.clone();
    let touched = update("SET a[9] = :n, b.x = :s REMOVE a[0], c ADD e :ss").apply(&mut new).unwrap();
    assert_eq!(json(&touched.project_old(&old)), r#"{"a":{"L":[{"N":"0"}]},"b":{"M":{"x":{"N":"1"}}},"c":{"S":"x"}}"#);
    assert_eq!(
        json(&touched.project_new(&new)),
        r#"{"a":{"L":[{"N":"1"}]},"b":{"M":{"x":{"S":"b"}}},"e":{"SS":["a","b"]}}"#
    );
}

#[test]
fn touched_paths_mean_the_same_before_and_after() {
    let new = |expression: &str| {
        let mut item = item(r#"{"a":{"M":{"c":{"L":[{"N":"1"},{"N":"2"},{"N":"3"}]}}}}"#);
        let touched = update(expression).apply(&mut item).unwrap();
        json(&touched.project_new(&item))
    };
    // What was set past the end lies elsewhere, and where an element was taken out the next one lies now.
    assert_eq!(new("SET a.c[100] = :n"), "{}");
    assert_eq!(new("REMOVE a.c[1]"), r#"{"a":{"M":{"c":{"L":[{"N":"3"}]}}}}"#);
    assert_eq!(new("REMOVE a.c[2]"), "{}");
    assert_eq!(new("SET a.c[0] = :n"), r#"{"a":{"M":{"c":{"L":[{"N":"5"}]}}}}"#);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_the_parser_panic_and_what_parses_applies_and_travels(text in SOUP) {
        if let Ok(update) = Update::parse(&text, &mut placeholders()) {
            let before = item(r#"{"a":{"L":[{"N":"0"},{"M":{}}]},"b":{"M":{"a":{"SS":["b"]}}}}"#);
            let mut item = before.clone();
            if let Ok(touched) = update.apply(&mut item) {
                let _ = (touched.project_old(&before), touched.project_new(&item));
            }
            let bytes = postcard::to_stdvec(&update).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Update>(&bytes).unwrap(), update);
        }
    }

    #[test]
    fn a_section_of_any_words_does_not_make_the_parser_panic(text in SOUP) {
        for section in ["SET ", "REMOVE ", "ADD ", "DELETE ", "SET a = ", "SET a = list_append("] {
            let _ = Update::parse(&format!("{section}{text}"), &mut Placeholders::default());
        }
    }
}
