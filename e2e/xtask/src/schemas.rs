//! JSON schemas for kubeconform, made from the description of the API that Kubernetes' own source carries.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, fs, path::Path};

const PREFIX: &str = "#/definitions/";

/// The kinds that a chart of ours can hold; `group` as kubeconform abbreviates it.
const KINDS: &[(&str, &str, &str)] = &[
    ("", "v1", "ConfigMap"),
    ("", "v1", "Service"),
    ("", "v1", "ServiceAccount"),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding"),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
    ("apps", "v1", "Deployment"),
    ("batch", "v1", "Job"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", "v1", "Role"),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding"),
];

/// Writes a schema for each kind into `folder`, named as kubeconform asks for it, and gives the location to tell it.
pub(crate) fn write(openapi: &Path, folder: &Path) -> Result<String> {
    let text = fs::read_to_string(openapi).with_context(|| format!("failed to read {}", openapi.display()))?;
    let description: Value = serde_json::from_str(&text)?;
    let definitions = description["definitions"].as_object().context("no definitions in the API's description")?;
    fs::create_dir_all(folder)?;
    for (group, version, kind) in KINDS {
        let name = find(definitions, group, version, kind).with_context(|| format!("the API has no {kind}"))?;
        let mut needed = BTreeSet::new();
        collect(definitions, name, &mut needed);
        let closure: Map<String, Value> =
            needed.iter().map(|name| ((*name).to_owned(), strict(&definitions[*name]))).collect();
        let schema = json!({"$ref": format!("{PREFIX}{name}"), "definitions": closure});
        let group = group.split('.').next().filter(|group| !group.is_empty()).map(|group| format!("-{group}"));
        let file = format!("{}{}-{version}.json", kind.to_lowercase(), group.unwrap_or_default());
        fs::write(folder.join(file), serde_json::to_vec(&schema)?)?;
    }
    Ok(format!("{}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json", folder.display()))
}

fn find<'a>(definitions: &'a Map<String, Value>, group: &str, version: &str, kind: &str) -> Option<&'a str> {
    let wanted = json!({"group": group, "version": version, "kind": kind});
    definitions
        .iter()
        .find(|(_, definition)| {
            definition["x-kubernetes-group-version-kind"].as_array().is_some_and(|kinds| kinds.contains(&wanted))
        })
        .map(|(name, _)| name.as_str())
}

fn collect<'a>(definitions: &'a Map<String, Value>, name: &'a str, needed: &mut BTreeSet<&'a str>) {
    if let Some(definition) = definitions.get(name)
        && needed.insert(name)
    {
        let mut references = Vec::new();
        references_in(definition, &mut references);
        references.into_iter().for_each(|reference| collect(definitions, reference, needed));
    }
}

fn references_in<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix(PREFIX)));
            fields.values().for_each(|value| references_in(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references_in(value, found)),
        _ => {}
    }
}

/// The definition, with what the description leaves to its readers: fields it doesn't name are wrong, and quantities
/// and numbers-or-strings may be numbers.
fn strict(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Map<String, Value> =
                fields.iter().map(|(name, value)| (name.clone(), strict(value))).collect();
            let is_quantity =
                fields.get("description").and_then(Value::as_str).is_some_and(|text| text.starts_with("Quantity is"));
            if fields.get("format").is_some_and(|format| format == "int-or-string") || is_quantity {
                fields.insert("type".to_owned(), json!(["string", "number"]));
            }
            if fields.get("properties").is_some_and(Value::is_object)
                && fields.get("type").is_some_and(|kind| kind == "object")
            {
                fields.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            // Formats such as int32 are not JSON schema's; a property of that name is an object.
            if fields.get("format").is_some_and(Value::is_string) {
                fields.remove("format");
            }
            Value::Object(fields)
        }
        Value::Array(values) => Value::Array(values.iter().map(strict).collect()),
        other => other.clone(),
    }
}
