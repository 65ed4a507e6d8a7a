//! Key schemas of tables and indexes, as a Table writes them and as nodes keep them.

use super::{AttributeDefinition, KeySchemaElement, KeyType, definition::DefinitionError, index::is_attribute_name};
use cairn_model::{KeySchema, table::KeyAttribute};

/// The keys that the elements name, with their types.
pub(super) fn keys_of(
    elements: &[KeySchemaElement],
    attributes: &[AttributeDefinition],
) -> Result<KeySchema, DefinitionError> {
    let (partition, sort) = match elements {
        [hash] if hash.key_type == KeyType::Hash => (hash, None),
        [hash, range]
            if hash.key_type == KeyType::Hash
                && range.key_type == KeyType::Range
                && hash.attribute_name != range.attribute_name =>
        {
            (hash, Some(range))
        }
        _ => return Err(DefinitionError::KeySchema),
    };
    let typed = |element| key_attribute(element, attributes);
    Ok(KeySchema { partition: typed(partition)?, sort: sort.map(typed).transpose()? })
}

/// With its type.
pub(super) fn key_attribute(
    element: &KeySchemaElement,
    attributes: &[AttributeDefinition],
) -> Result<KeyAttribute, DefinitionError> {
    let name = &element.attribute_name;
    let defined = attributes.iter().find(|attribute| attribute.attribute_name == *name);
    let defined = defined.ok_or_else(|| DefinitionError::AttributeUndefined { attribute: name.clone() })?;
    if !is_attribute_name(name) {
        return Err(DefinitionError::AttributeName { attribute: name.clone() });
    }
    Ok(KeyAttribute { name: name.clone(), scalar_type: defined.attribute_type })
}

/// As a Table names keys.
pub(super) fn elements(keys: &KeySchema) -> Vec<KeySchemaElement> {
    let element = |key: &KeyAttribute, key_type| KeySchemaElement { attribute_name: key.name.clone(), key_type };
    let hash = std::iter::once(element(&keys.partition, KeyType::Hash));
    hash.chain(keys.sort.iter().map(|sort| element(sort, KeyType::Range))).collect()
}

pub(super) fn attribute(key: &KeyAttribute) -> AttributeDefinition {
    AttributeDefinition { attribute_name: key.name.clone(), attribute_type: key.scalar_type }
}
