//! Key schemas of tables and indexes, as a Table writes them and as nodes keep them.

use super::{AttributeDefinition, KeySchemaElement, KeyType, definition::DefinitionError, index::is_attribute_name};
use cairn_model::{
    KeySchema,
    keys::{IndexKeySchema, Keys},
    table::KeyAttribute,
};

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

/// The keys of a global index: of either kind several elements, those of the partition key first.
pub(super) fn index_keys_of(
    elements: &[KeySchemaElement],
    attributes: &[AttributeDefinition],
) -> Result<IndexKeySchema, DefinitionError> {
    let hashes = elements.iter().take_while(|element| element.key_type == KeyType::Hash).count();
    let (partition, sort) = elements.split_at(hashes);
    let is_named_twice = |(at, element): (usize, &KeySchemaElement)| {
        elements[..at].iter().any(|before| before.attribute_name == element.attribute_name)
    };
    if sort.iter().any(|element| element.key_type == KeyType::Hash) || elements.iter().enumerate().any(is_named_twice) {
        return Err(DefinitionError::KeySchema);
    }
    let typed = |elements: &[KeySchemaElement]| {
        elements.iter().map(|element| key_attribute(element, attributes)).collect::<Result<Vec<_>, _>>()
    };
    IndexKeySchema::new(typed(partition)?, typed(sort)?).ok_or(DefinitionError::KeySchema)
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
pub(super) fn elements(keys: Keys<'_>) -> Vec<KeySchemaElement> {
    let element = |key: &KeyAttribute, key_type| KeySchemaElement { attribute_name: key.name.clone(), key_type };
    let partition = keys.partition.iter().map(|key| element(key, KeyType::Hash));
    partition.chain(keys.sort.iter().map(|key| element(key, KeyType::Range))).collect()
}

pub(super) fn attribute(key: &KeyAttribute) -> AttributeDefinition {
    AttributeDefinition { attribute_name: key.name.clone(), attribute_type: key.scalar_type }
}
