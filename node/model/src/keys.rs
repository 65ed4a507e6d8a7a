//! The attributes that make up a key: of a table, or of one of its indexes.

use crate::table::{KeyAttribute, KeySchema};
use serde::{Deserialize, Serialize};

/// Attributes of the partition key of a global index, and as many of its sort key (reference, CreateGlobalSecondaryIndexAction).
pub const KEYS_OF_A_KIND_MAX: usize = 4;

/// The keys in whose order a table, or an index, is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys<'k> {
    /// Of the partition key: one, or in a global index up to [`KEYS_OF_A_KIND_MAX`].
    pub partition: &'k [KeyAttribute],
    /// Of the sort key, in the order in which they sort; none, one, or in a global index up to [`KEYS_OF_A_KIND_MAX`].
    pub sort: &'k [KeyAttribute],
}

impl<'k> Keys<'k> {
    /// Those of the partition key, and behind them those of the sort key.
    pub fn attributes(self) -> impl Iterator<Item = &'k KeyAttribute> {
        self.partition.iter().chain(self.sort)
    }

    pub fn count(self) -> usize {
        self.partition.len() + self.sort.len()
    }

    pub fn has(self, attribute: &str) -> bool {
        self.attributes().any(|key| key.name == attribute)
    }

    /// Whether there is more than one attribute of a kind, as only a global index can have.
    pub fn are_several(self) -> bool {
        self.partition.len() > 1 || self.sort.len() > 1
    }

    /// As a schema of one partition key and at most one sort key; none where there are several attributes of a kind.
    pub fn one_of_each(self) -> Option<KeySchema> {
        match (self.partition, self.sort) {
            ([partition], []) => Some(KeySchema { partition: partition.clone(), sort: None }),
            ([partition], [sort]) => Some(KeySchema { partition: partition.clone(), sort: Some(sort.clone()) }),
            _ => None,
        }
    }
}

impl KeySchema {
    pub fn keys(&self) -> Keys<'_> {
        Keys { partition: std::slice::from_ref(&self.partition), sort: self.sort.as_slice() }
    }
}

/// The keys of a global index. Written, one attribute of a kind stands for itself, as in a [`KeySchema`], and several are a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct IndexKeySchema {
    partition: Vec<KeyAttribute>,
    sort: Vec<KeyAttribute>,
}

impl IndexKeySchema {
    /// None where there are too few of the partition key, or too many of either.
    pub fn new(partition: Vec<KeyAttribute>, sort: Vec<KeyAttribute>) -> Option<Self> {
        let fits = (1..=KEYS_OF_A_KIND_MAX).contains(&partition.len()) && sort.len() <= KEYS_OF_A_KIND_MAX;
        fits.then_some(Self { partition, sort })
    }

    pub fn keys(&self) -> Keys<'_> {
        Keys { partition: &self.partition, sort: &self.sort }
    }

    /// The first of the partition key and the first of the sort key: all, unless there are several.
    pub fn first(&self) -> KeySchema {
        KeySchema { partition: self.partition[0].clone(), sort: self.sort.first().cloned() }
    }
}

impl From<KeySchema> for IndexKeySchema {
    fn from(schema: KeySchema) -> Self {
        Self { partition: vec![schema.partition], sort: Vec::from_iter(schema.sort) }
    }
}

#[derive(Serialize, Deserialize)]
struct Written {
    partition: OneOrSeveral,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sort: Option<OneOrSeveral>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrSeveral {
    One(KeyAttribute),
    Several(Vec<KeyAttribute>),
}

impl OneOrSeveral {
    fn of(mut attributes: Vec<KeyAttribute>) -> Option<Self> {
        match attributes.len() {
            0 | 1 => attributes.pop().map(Self::One),
            _ => Some(Self::Several(attributes)),
        }
    }

    fn attributes(self) -> Vec<KeyAttribute> {
        match self {
            Self::One(attribute) => vec![attribute],
            Self::Several(attributes) => attributes,
        }
    }
}

impl From<IndexKeySchema> for Written {
    fn from(schema: IndexKeySchema) -> Self {
        let partition = OneOrSeveral::of(schema.partition).unwrap_or(OneOrSeveral::Several(Vec::new()));
        Self { partition, sort: OneOrSeveral::of(schema.sort) }
    }
}

impl TryFrom<Written> for IndexKeySchema {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let sort = written.sort.map(OneOrSeveral::attributes).unwrap_or_default();
        Self::new(written.partition.attributes(), sort).ok_or("the keys of an index are too few or too many")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::ScalarType;

    fn attributes(names: &[&str]) -> Vec<KeyAttribute> {
        names.iter().map(|name| KeyAttribute { name: (*name).into(), scalar_type: ScalarType::S }).collect()
    }

    fn read(written: &str) -> Result<IndexKeySchema, serde_json::Error> {
        serde_json::from_str(written)
    }

    #[test]
    fn one_attribute_of_a_kind_is_written_as_a_key_schema_has_it() {
        for sort in [None, attributes(&["b"]).pop()] {
            let plain = KeySchema { partition: attributes(&["a"]).remove(0), sort };
            let schema = IndexKeySchema::from(plain.clone());
            let written = serde_json::to_string(&schema).unwrap();
            assert_eq!(written, serde_json::to_string(&plain).unwrap());
            assert_eq!(read(&written).unwrap(), schema);
            assert_eq!((schema.first(), schema.keys()), (plain.clone(), plain.keys()));
            assert!(!schema.keys().are_several());
            assert_eq!(schema.keys().one_of_each(), Some(plain));
        }
    }

    #[test]
    fn several_attributes_of_a_kind_are_written_as_lists() {
        let names = ["a", "b", "c", "d"];
        for (partition, sort) in [(2, 0), (1, 2), (2, 1), (4, 4)] {
            let schema = IndexKeySchema::new(attributes(&names[..partition]), attributes(&names[..sort])).unwrap();
            let written = serde_json::to_value(&schema).unwrap();
            assert_eq!((written["partition"].is_array(), written["sort"].is_array()), (partition > 1, sort > 1));
            assert_eq!(read(&written.to_string()).unwrap(), schema);
            assert!(schema.keys().are_several());
            assert_eq!(schema.keys().one_of_each(), None);
        }
    }

    #[test]
    fn keys_that_no_index_has_are_not_read() {
        let one = r#"{"name":"a","scalarType":"S"}"#;
        let five = [one; 5].join(",");
        for written in [
            r#"{"partition":[]}"#.to_owned(),
            format!(r#"{{"sort":{one}}}"#),
            format!(r#"{{"partition":[{five}]}}"#),
            format!(r#"{{"partition":{one},"sort":[{five}]}}"#),
        ] {
            assert!(read(&written).is_err(), "{written}");
        }
    }
}
