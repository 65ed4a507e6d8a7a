//! Global secondary indexes: what Query, Scan and SELECT read of them, and what is refused.

use crate::{
    client::Service,
    global_indexes::{definition, index, with},
};
use cairn_model::table::TableStatus;
use serde_json::{Value, json};

/// The table `scores` (User, At) with the indexes `all` (Team, Rank), `keys` (Team) and `some` (Rank; Team, Name).
async fn indexed() -> Service {
    let service = Service::start().await;
    let some = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": ["Team", "Name"]});
    let indexes = [
        index("all", &["Team", "Rank"], json!({"ProjectionType": "ALL"})),
        index("keys", &["Team"], json!({"ProjectionType": "KEYS_ONLY"})),
        index("some", &["Rank"], some),
    ];
    service.ok("CreateTable", definition(&[("Team", "S"), ("Rank", "N")], &indexes)).await;
    service
}

/// Of four users, two in each of the teams red and blue, and of one in none.
async fn with_scores() -> Service {
    let service = indexed().await;
    for (user, team, rank) in [("anna", "red", 7), ("ben", "red", -3), ("carl", "blue", 7), ("dora", "blue", 1)] {
        put(&service, score(user, team, rank)).await;
    }
    put(&service, json!({"User": {"S": "emil"}, "At": {"N": "1"}, "Rank": {"N": "2"}})).await;
    service
}

fn score(user: &str, team: &str, rank: i32) -> Value {
    json!({
        "User": {"S": user}, "At": {"N": "1"}, "Team": {"S": team}, "Rank": {"N": rank.to_string()},
        "Name": {"S": "x"}, "More": {"S": "y"}
    })
}

async fn put(service: &Service, item: Value) {
    service.ok("PutItem", json!({"TableName": "scores", "Item": item})).await;
}

fn query(index: &str, condition: &str, values: Value) -> Value {
    json!({
        "TableName": "scores", "IndexName": index, "KeyConditionExpression": condition, "ExpressionAttributeValues": values
    })
}

fn reds(index: &str) -> Value {
    query(index, "Team = :t", json!({":t": {"S": "red"}}))
}

fn scan(index: &str) -> Value {
    json!({"TableName": "scores", "IndexName": index})
}

fn users(answer: &Value) -> Vec<&str> {
    answer["Items"].as_array().unwrap().iter().map(|item| item["User"]["S"].as_str().unwrap()).collect()
}

/// All pages of a request, as the users in them.
async fn paged(service: &Service, operation: &str, mut request: Value) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let answer = service.ok(operation, request.clone()).await;
        found.extend(users(&answer).into_iter().map(str::to_owned));
        match answer.get("LastEvaluatedKey") {
            Some(last) => request["ExclusiveStartKey"] = last.clone(),
            None => return found,
        }
    }
}

#[tokio::test]
async fn a_query_of_an_index_reads_the_items_of_its_partition_key_in_the_order_of_its_sort_key() {
    let service = with_scores().await;
    assert_eq!(users(&service.ok("Query", reds("all")).await), ["ben", "anna"]);
    let backward = with(reds("all"), json!({"ScanIndexForward": false}));
    assert_eq!(users(&service.ok("Query", backward).await), ["anna", "ben"]);
    let sevens = query("some", "#r = :r", json!({":r": {"N": "7"}}));
    let sevens = with(sevens, json!({"ExpressionAttributeNames": {"#r": "Rank"}}));
    let mut found = service.ok("Query", sevens).await;
    found["Items"].as_array_mut().unwrap().sort_by_key(|item| item["User"]["S"].as_str().unwrap().to_owned());
    assert_eq!(users(&found), ["anna", "carl"]);
}

#[tokio::test]
async fn a_condition_on_an_indexs_sort_key_takes_a_part_of_the_partition() {
    let service = with_scores().await;
    let values = json!({":t": {"S": "red"}, ":r": {"N": "0"}});
    for (condition, expected) in [("Team = :t AND #r < :r", ["ben"]), ("Team = :t AND #r > :r", ["anna"])] {
        let names = json!({"ExpressionAttributeNames": {"#r": "Rank"}});
        let answer = service.ok("Query", with(query("all", condition, values.clone()), names)).await;
        assert_eq!(users(&answer), expected);
    }
}

#[tokio::test]
async fn an_index_shows_what_it_projects_and_no_items_without_its_keys() {
    let service = with_scores().await;
    let answer = service.ok("Query", reds("keys")).await;
    let keys = json!({"User": {"S": "anna"}, "At": {"N": "1"}, "Team": {"S": "red"}});
    assert!(answer["Items"].as_array().unwrap().contains(&keys), "{answer}");
    for (index, count) in [("all", 4), ("keys", 4), ("some", 5)] {
        assert_eq!(service.ok("Scan", scan(index)).await["Count"], count, "{index}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_by_the_keys_of_index_and_table() {
    let service = with_scores().await;
    for user in ["fay", "gus", "hal"] {
        put(&service, score(user, "red", 7)).await;
    }
    let mut expected = service.ok("Query", reds("all")).await;
    let expected = users(&expected.take()).into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(paged(&service, "Query", with(reds("all"), json!({"Limit": 1}))).await, expected);
    let mut found = paged(&service, "Scan", with(scan("keys"), json!({"Limit": 2}))).await;
    found.sort();
    assert_eq!(found, ["anna", "ben", "carl", "dora", "fay", "gus", "hal"]);
    let last = service.ok("Query", with(reds("all"), json!({"Limit": 1}))).await["LastEvaluatedKey"].clone();
    assert_eq!(last, json!({"User": {"S": "ben"}, "At": {"N": "1"}, "Team": {"S": "red"}, "Rank": {"N": "-3"}}));
}

#[tokio::test]
async fn segments_of_an_index_are_all_of_it() {
    let service = with_scores().await;
    let mut found = Vec::new();
    for segment in 0..3 {
        let request = with(scan("some"), json!({"Segment": segment, "TotalSegments": 3, "Limit": 1}));
        found.extend(paged(&service, "Scan", request).await);
    }
    found.sort();
    assert_eq!(found, ["anna", "ben", "carl", "dora", "emil"]);
}

#[tokio::test]
async fn a_starting_key_that_is_none_of_the_index_is_refused() {
    let service = with_scores().await;
    let whole = json!({"User": {"S": "anna"}, "At": {"N": "1"}, "Team": {"S": "red"}, "Rank": {"N": "7"}});
    let without = |name: &str| {
        let mut key = whole.clone();
        key.as_object_mut().unwrap().remove(name);
        key
    };
    for key in [without("Team"), without("User"), with(whole.clone(), json!({"More": {"S": "y"}}))] {
        let request = with(reds("all"), json!({"ExclusiveStartKey": key}));
        assert_eq!(service.invalid("Query", request).await, "The provided starting key is invalid");
    }
    for (key, expected) in [
        (
            json!({"Team": {"S": "blue"}}),
            "The provided starting key is outside query boundaries based on provided conditions",
        ),
        (
            json!({"Team": {"S": ""}}),
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty \
             string value. Key: Team",
        ),
    ] {
        let request = with(reds("all"), json!({"ExclusiveStartKey": with(whole.clone(), key)}));
        assert_eq!(service.invalid("Query", request).await, expected);
    }
    let wrong = with(whole, json!({"Rank": {"S": "7"}}));
    assert_eq!(
        service.invalid("Scan", with(scan("all"), json!({"ExclusiveStartKey": wrong}))).await,
        "One or more parameter values were invalid: Type mismatch for Index Key Rank Expected: N Actual: S IndexName: all"
    );
}

#[tokio::test]
async fn consistent_reads_of_an_index_are_refused() {
    let service = with_scores().await;
    for (operation, request) in [("Query", reds("all")), ("Scan", scan("all"))] {
        assert_eq!(
            service.invalid(operation, with(request, json!({"ConsistentRead": true}))).await,
            "Consistent reads are not supported on global secondary indexes"
        );
    }
    let statement = json!({"Statement": "SELECT * FROM scores.keys", "ConsistentRead": true});
    assert_eq!(
        service.invalid("ExecuteStatement", statement).await,
        "Strongly consistent read is not supported on Global Secondary Indexes"
    );
}

#[tokio::test]
async fn an_index_that_is_being_made_is_not_read() {
    let service = with_scores().await;
    service.catalog.set_index_status("scores", "all", TableStatus::Creating, true);
    let expected = "Cannot read from backfilling global secondary index: all";
    assert_eq!(service.invalid("Query", reds("all")).await, expected);
    assert_eq!(service.invalid("Scan", scan("all")).await, expected);
    let statement = json!({"Statement": "SELECT * FROM scores.\"all\""});
    assert_eq!(service.invalid("ExecuteStatement", statement).await, expected);
    service.catalog.set_index_status("scores", "all", TableStatus::Updating, false);
    service.ok("Scan", scan("all")).await;
}

#[tokio::test]
async fn what_an_index_does_not_show_can_not_be_asked_of_it() {
    let service = with_scores().await;
    for (operation, request) in [("Query", reds("keys")), ("Scan", scan("keys"))] {
        assert_eq!(
            service.invalid(operation, with(request.clone(), json!({"Select": "ALL_ATTRIBUTES"}))).await,
            "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary \
             index keys because its projection type is not ALL"
        );
        assert_eq!(
            service.invalid(operation, with(request, json!({"ProjectionExpression": "More, Team"}))).await,
            "One or more parameter values were invalid: Global secondary index keys does not project [More]"
        );
    }
    let filtered = with(reds("keys"), json!({"FilterExpression": "More = :t"}));
    assert_eq!(
        service.invalid("Query", filtered).await,
        "One or more parameter values were invalid: Secondary index keys does not project one or more filter attributes: \
         [More]"
    );
    let whole = with(reds("all"), json!({"Select": "ALL_ATTRIBUTES", "FilterExpression": "More = :t"}));
    assert_eq!(service.ok("Query", whole).await["Count"], 0);
    let key = with(reds("all"), json!({"FilterExpression": "#r = :t", "ExpressionAttributeNames": {"#r": "Rank"}}));
    assert_eq!(
        service.invalid("Query", key).await,
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: Rank"
    );
    let within =
        with(reds("keys"), json!({"FilterExpression": "#r.x = :t", "ExpressionAttributeNames": {"#r": "Rank"}}));
    assert_eq!(
        service.invalid("Query", within).await,
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: Rank"
    );
}

#[tokio::test]
async fn a_select_reads_an_index_page_by_page() {
    let service = with_scores().await;
    let statement = "SELECT * FROM scores.\"all\" WHERE Team = 'red'";
    let mut request = json!({"Statement": statement, "Limit": 1});
    let mut found = Vec::new();
    loop {
        let answer = service.ok("ExecuteStatement", request.clone()).await;
        found.extend(users(&answer).into_iter().map(str::to_owned));
        let Some(next) = answer.get("NextToken") else { break };
        request["NextToken"] = next.clone();
    }
    assert_eq!(found, ["ben", "anna"]);
    for (statement, expected) in [
        ("SELECT More FROM scores.keys", "Global secondary index keys does not project [More]"),
        (
            "SELECT * FROM scores.keys WHERE Team = 'red' AND More = 'y'",
            "Secondary index keys does not project one or more filter attributes: [More]",
        ),
        (
            // As Java has what it collected in a hash set.
            "SELECT * FROM scores.keys WHERE Team = 'red' AND (zz = '1' OR aa = '2' OR mm = '3')",
            "Secondary index keys does not project one or more filter attributes: [zz, aa, mm]",
        ),
    ] {
        assert_eq!(
            service.invalid("ExecuteStatement", json!({"Statement": statement})).await,
            format!("One or more parameter values were invalid: {expected}")
        );
    }
}

#[tokio::test]
async fn an_index_that_shows_what_one_branch_of_a_condition_asks_for_is_read() {
    let service = with_scores().await;
    let select = |clause: &str| json!({"Statement": format!("SELECT * FROM scores.keys WHERE {clause}")});
    for (clause, lacking) in [
        ("(Team = 'red' OR Team = 'blue') AND zz = '1'", "zz"),
        ("(Team = 'b' AND u1 = '1') OR (Team = 'q' AND u2 = '1')", "u2"),
        ("(Team = 'q' AND u1 = '1') OR (Team = 'b' AND u2 = '1')", "u1"),
    ] {
        assert_eq!(
            service.invalid("ExecuteStatement", select(clause)).await,
            format!(
                "One or more parameter values were invalid: Secondary index keys does not project one or more filter \
                 attributes: [{lacking}]"
            ),
            "{clause}"
        );
    }
    for clause in [
        "(Team = 'y' AND \"User\" = '1') OR (Team = 'z' AND aa = '1')",
        "(Team = 'y' AND aa = '1') OR Team = 'z'",
        "Team > 'a' AND zz = '1'",
        "Team = 'y' AND (Team = 'z' OR zz = '1')",
        "(Team = 'y' AND zz = '1') OR aa = '1'",
    ] {
        assert_eq!(service.ok("ExecuteStatement", select(clause)).await, json!({"Items": []}), "{clause}");
    }
    let shown = service.ok("ExecuteStatement", select("(Team = 'red' AND \"Rank\" = 7) OR Team = 'blue'")).await;
    let mut of_blue = users(&shown);
    of_blue.sort_unstable();
    assert_eq!(of_blue, ["carl", "dora"]);
}

#[tokio::test]
async fn a_read_of_an_index_is_charged_to_the_index() {
    let service = with_scores().await;
    let indexes = json!({"ReturnConsumedCapacity": "INDEXES"});
    let expected = json!({
        "CapacityUnits": 0.5, "Table": {"CapacityUnits": 0.0},
        "GlobalSecondaryIndexes": {"all": {"CapacityUnits": 0.5}}, "TableName": "scores"
    });
    for (operation, request) in [("Query", reds("all")), ("Scan", scan("all"))] {
        assert_eq!(service.ok(operation, with(request, indexes.clone())).await["ConsumedCapacity"], expected);
    }
    let statement = with(json!({"Statement": "SELECT * FROM scores.\"all\""}), indexes);
    assert_eq!(service.ok("ExecuteStatement", statement).await["ConsumedCapacity"], expected);
}

#[tokio::test]
async fn a_description_counts_what_the_index_holds() {
    let service = with_scores().await;
    let table = service.ok("DescribeTable", json!({"TableName": "scores"})).await["Table"].clone();
    let count = |at: usize| table["GlobalSecondaryIndexes"][at]["ItemCount"].clone();
    assert_eq!((count(0), count(1), count(2)), (json!(4), json!(4), json!(5)));
    assert!(table["GlobalSecondaryIndexes"][0]["IndexSizeBytes"].as_u64().unwrap() > 0);
}
