//! What a Query, a Scan or a SELECT reads: a table, or one of its local indexes.

use crate::validation::select::Select;
use bytes::Bytes;
use cairn_expression::{Condition, Path, Projection};
use cairn_model::{
    Item, KeySchema, ServiceError, TableDefinition,
    index::{LocalIndex, ProjectionType},
    index_keys::check_index_key_type,
    key::EncodedKey,
};
use cairn_replication::operation::IndexRead;
use std::{borrow::Cow, collections::BTreeSet};

#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadTarget<'t> {
    pub(crate) table: &'t TableDefinition,
    pub(crate) index: Option<&'t LocalIndex>,
}

impl<'t> ReadTarget<'t> {
    /// The table, or its index of this name; none if it has no such index.
    pub(crate) fn of(table: &'t TableDefinition, index_name: Option<&str>) -> Option<Self> {
        let Some(name) = index_name else { return Some(Self { table, index: None }) };
        let index = table.local_indexes.iter().find(|index| index.index_name == name)?;
        Some(Self { table, index: Some(index) })
    }

    /// The keys in whose order it is read.
    pub(crate) fn key_schema(self) -> Cow<'t, KeySchema> {
        match self.index {
            None => Cow::Borrowed(&self.table.key_schema),
            Some(index) => Cow::Owned(index.key_schema(&self.table.key_schema)),
        }
    }

    pub(crate) fn index_name(self) -> Option<&'t str> {
        self.index.map(|index| index.index_name.as_str())
    }

    /// Where an item lies in it, by its key attributes: the table's, and the index's.
    pub(crate) fn encoded_key(self, key_attributes: &Item) -> Result<Bytes, ServiceError> {
        match self.index {
            None => Ok(EncodedKey::from_key(&self.table.key_schema, key_attributes)?.0),
            Some(index) => index.key_of(&self.table.key_schema, key_attributes),
        }
    }

    /// How a read of an index is asked for. Attributes that the index lacks are fetched with the whole items.
    pub(crate) fn index_read(self, select: Select, projection: Option<&Projection>) -> Option<IndexRead> {
        let index = self.index?;
        let lacks = |projection: &Projection| projection.paths().iter().any(|path| !self.projects(path));
        let whole_items = index.projection.projection_type != ProjectionType::All
            && (select == Select::WholeItems || projection.is_some_and(lacks));
        Some(IndexRead { index_name: index.index_name.clone(), whole_items })
    }

    /// Refuses a filter that asks for what the index doesn't show: nothing is fetched for one.
    pub(crate) fn check_filter(self, filter: &Condition) -> Result<(), ServiceError> {
        let Some(index) = self.index else { return Ok(()) };
        let mut lacking = BTreeSet::new();
        filter.for_each_path(&mut |path| {
            if !self.projects(path) {
                lacking.insert(path.name());
            }
        });
        if lacking.is_empty() {
            return Ok(());
        }
        Err(ServiceError::validation(format!(
            "One or more parameter values were invalid: Secondary index {} does not project one or more filter \
             attributes: [{}]",
            index.index_name,
            Vec::from_iter(lacking).join(", ")
        )))
    }

    /// Refuses key attributes of another type in the words of a Scan of a table that has indexes: it tells of the one that
    /// is read, or else of the table's first.
    pub(crate) fn check_scan_start(self, key_attributes: &Item) -> Result<(), ServiceError> {
        let Some(named) = self.index.or(self.table.local_indexes.first()) else { return Ok(()) };
        let schema = &self.table.key_schema;
        let of_indexes = self.table.local_indexes.iter().map(|index| &index.sort);
        let mut attributes = std::iter::once(&schema.partition).chain(&schema.sort).chain(of_indexes);
        attributes.try_for_each(|attribute| match key_attributes.get(&attribute.name) {
            Some(value) => check_index_key_type(attribute, value, &named.index_name),
            None => Ok(()),
        })
    }

    fn projects(self, path: &Path) -> bool {
        self.index.is_none_or(|index| index.projects(&self.table.key_schema, path.name()))
    }
}
