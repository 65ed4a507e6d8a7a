//! Manifests against the generated rules, as an API server would evaluate them.

use kube::core::cel::Validator;
use serde_json::Value;

/// The schema in the generated definition of the kind.
pub(crate) fn schema(plural: &str) -> Value {
    let files = cairn_crds::schema::definitions().unwrap();
    let file = files.iter().find(|file| file.definition.spec.names.plural == plural).unwrap();
    serde_json::to_value(file.definition.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap())
        .unwrap()
}

/// What the rules say against the manifest (YAML), or against the change from the older one.
pub(crate) fn errors(schema: &Value, manifest: &str, older: Option<&str>) -> Vec<String> {
    let parse = |text: &str| serde_yaml_ng::from_str::<Value>(text).unwrap();
    let older = older.map(parse);
    match Validator::new().validate(schema, &parse(manifest), older.as_ref()) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(|error| error.message.clone()).collect(),
    }
}
