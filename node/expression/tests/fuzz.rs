//! Whatever is written as an expression or a statement is parsed or refused, with little work and little memory, and what is parsed
//! can be evaluated.

#![allow(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

use cairn_expression::{
    Condition, ExpressionKind, KeyCondition, Placeholders, Projection, Update,
    partiql::{Filter, ReadKeys, Statement, WriteKey},
};
use cairn_fuzz::{Corpus, CountingAllocator, Fuzz, Limits};
use cairn_model::{
    AttributeValue, Item, KeySchema, ServiceError,
    json::JsonItem,
    table::{KeyAttribute, ScalarType},
};
use std::{collections::BTreeMap, fmt::Debug, time::Duration};

#[global_allocator]
static MEMORY: CountingAllocator = CountingAllocator;

/// Both languages' texts end at a few kilobytes.
const LIMITS: Limits = Limits {
    input_bytes_max: 12 << 10,
    memory_bytes: 256 << 10,
    memory_bytes_per_byte: 512,
    work: Duration::from_millis(250),
};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "size"];
const VALUES: &str = r#"{":s":{"S":"b"},":n":{"N":"5"},":one":{"N":"1"},":big":{"N":"9E125"},":bin":{"B":"AQI="},
    ":bool":{"BOOL":true},":null":{"NULL":true},":m":{"M":{"x":{"N":"1"}}},":l":{"L":[{"N":"1"},{"S":"b"}]},
    ":ss":{"SS":["a","b"]},":ns":{"NS":["1","2"]},":bs":{"BS":["AQ=="]},":type":{"S":"NS"}}"#;
const ITEM: &str = r#"{"h":{"S":"a"},"r":{"N":"1"},"a":{"S":"b"},"b":{"N":"5"},"c":{"N":"9E125"},"d":{"BOOL":true},"e":{"NULL":true},
    "n":{"N":"1"},"l":{"L":[{"N":"1"},{"S":"b"},{"L":[{"M":{"x":{"N":"1"}}}]}]},"m":{"M":{"x":{"M":{"y":{"SS":["a"]}}}}},
    "ss":{"SS":["a","b"]},"s":{"SS":["x"]},"ns":{"NS":["1","2"]},"bs":{"BS":["AQ=="]},"bin":{"B":"AQI="}}"#;

fn item(json: &str) -> Item {
    serde_json::from_str::<JsonItem>(json).unwrap().into_item().unwrap()
}

fn schema() -> KeySchema {
    let attribute = |name: &str, scalar_type| KeyAttribute { name: name.to_owned(), scalar_type };
    KeySchema { partition: attribute("h", ScalarType::S), sort: Some(attribute("r", ScalarType::N)) }
}

fn fuzz(folder: &str) -> Fuzz {
    let corpus = Corpus::read(format!("{}/tests/corpus/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    Fuzz::new(corpus, LIMITS, env!("CARGO_TARGET_TMPDIR"))
}

/// What came of it, in words.
fn outcome<T: Debug>(parsed: &Result<T, ServiceError>) -> String {
    match parsed {
        Ok(parsed) => format!("{parsed:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn any_text_is_an_expression_or_refused() {
    let (values, sample, schema) = (item(VALUES), item(ITEM), schema());
    let names: BTreeMap<String, String> = NAMES.iter().map(|name| (format!("#{name}"), (*name).to_owned())).collect();
    let placeholders = || Placeholders::new(Some(names.clone()), Some(values.clone())).unwrap();
    fuzz("expressions").run("expressions", |input| {
        let text = String::from_utf8_lossy(input);
        let mut outcomes = String::new();
        for kind in [ExpressionKind::Condition, ExpressionKind::Filter] {
            let parsed = Condition::parse(&text, kind, &mut placeholders());
            if let Ok(condition) = &parsed {
                condition.evaluate(Some(&sample));
                condition.evaluate(None);
                condition.for_each_path(&mut |_| ());
            }
            outcomes.push_str(&outcome(&parsed));
        }
        let update = Update::parse(&text, &mut placeholders());
        if let Ok(update) = &update {
            let mut changed = sample.clone();
            if let Ok(touched) = update.apply(&mut changed) {
                touched.project_old(&sample);
                touched.project_new(&changed);
            }
            outcomes.push_str(&outcome(&update.apply(&mut Item::new())));
            outcomes.push_str(&outcome(&update.check_key_untouched(&schema)));
        }
        outcomes.push_str(&outcome(&update));
        let projection = Projection::parse(&text, &mut placeholders());
        if let Ok(projection) = &projection {
            projection.project(&sample);
        }
        outcomes.push_str(&outcome(&projection));
        let key_condition = KeyCondition::parse(&text, schema.keys(), &mut placeholders());
        outcomes.push_str(&outcome(&key_condition));
        outcomes
    });
}

#[test]
fn any_text_is_a_statement_or_refused() {
    let (sample, schema) = (item(ITEM), schema());
    let parameters: Vec<AttributeValue> = item(VALUES).into_values().collect();
    fuzz("statements").run("statements", |input| {
        let parsed = Statement::parse(&String::from_utf8_lossy(input), &parameters);
        let mut outcomes = outcome(&parsed);
        match parsed {
            Ok(Statement::Select(select)) => {
                let keys = ReadKeys::of(select.condition, &select.order, &schema);
                for filter in keys.iter().flat_map(ReadKeys::filters).filter_map(Filter::condition) {
                    filter.evaluate(Some(&sample));
                }
                outcomes.push_str(&outcome(&keys));
            }
            Ok(Statement::Update(update)) => {
                outcomes.push_str(&outcome(&update.update.apply(&mut sample.clone())));
                outcomes.push_str(&outcome(&WriteKey::of(update.condition, &schema)));
            }
            Ok(Statement::Delete(delete)) => {
                outcomes.push_str(&outcome(&WriteKey::of(delete.condition, &schema)));
            }
            Ok(Statement::Insert(_)) | Err(_) => {}
        }
        outcomes
    });
}
