//! What a Query, a Scan or a SELECT reads: a table, or one of its indexes. Those of a local one lie with the table's items, those
//! of a global one in partitions of their own.

use crate::{
    TableView,
    capacity::Charged,
    errors,
    validation::{java, select::Select},
};
use bytes::Bytes;
use cairn_expression::{Condition, Path, Projection, partiql::Filter};
use cairn_model::{
    Item, ServiceError, TableDefinition,
    index::{GlobalIndex, LocalIndex, ProjectionType},
    index_keys::check_index_key_type,
    key::EncodedKey,
    keys::Keys,
    table::TableStatus,
};
use cairn_replication::operation::IndexRead;
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadTarget<'t> {
    view: &'t TableView,
    index: Option<ReadIndex<'t>>,
}

#[derive(Clone, Copy, Debug)]
enum ReadIndex<'t> {
    Local(&'t LocalIndex),
    Global(&'t GlobalIndex),
}

impl<'t> ReadIndex<'t> {
    fn name(self) -> &'t str {
        match self {
            Self::Local(index) => &index.index_name,
            Self::Global(index) => &index.index_name,
        }
    }
}

impl<'t> ReadTarget<'t> {
    /// The table, or its index of this name; none if it has no such index.
    pub(crate) fn of(view: &'t TableView, index_name: Option<&str>) -> Option<Self> {
        let Some(name) = index_name else { return Some(Self { view, index: None }) };
        let definition = &view.definition;
        let local = definition.local_indexes.iter().find(|index| index.index_name == name).map(ReadIndex::Local);
        let global = || definition.global_indexes.iter().find(|index| index.index_name == name).map(ReadIndex::Global);
        Some(Self { view, index: Some(local.or_else(global)?) })
    }

    pub(crate) fn table(self) -> &'t TableDefinition {
        &self.view.definition
    }

    /// Whose partitions are read, as those of a table; `Err` while what was in the table before the index is not all in it.
    pub(crate) fn partitions(self) -> Result<&'t TableView, ServiceError> {
        let Some(ReadIndex::Global(index)) = self.index else { return Ok(self.view) };
        let shown = self.view.global_indexes.iter().find(|shown| shown.table.definition.table_id == index.index_id);
        shown
            .map(|shown| shown.table.as_ref())
            .filter(|table| matches!(table.status, TableStatus::Active | TableStatus::Updating))
            .ok_or_else(|| errors::index_backfilling(&index.index_name))
    }

    /// The keys in whose order it is read.
    pub(crate) fn keys(self) -> Keys<'t> {
        let table = &self.view.definition.key_schema;
        match self.index {
            None => table.keys(),
            Some(ReadIndex::Local(index)) => index.keys(table),
            Some(ReadIndex::Global(index)) => index.key_schema.keys(),
        }
    }

    /// Who pays for what is read.
    pub(crate) fn charged(self) -> Charged<'t> {
        match self.index {
            None => Charged::Table,
            Some(ReadIndex::Local(index)) => Charged::LocalIndex(&index.index_name),
            Some(ReadIndex::Global(index)) => Charged::GlobalIndex(&index.index_name),
        }
    }

    pub(crate) fn is_index(self) -> bool {
        self.index.is_some()
    }

    pub(crate) fn is_global_index(self) -> bool {
        matches!(self.index, Some(ReadIndex::Global(_)))
    }

    /// Where an item lies in it, by its key attributes: the table's, and the index's.
    pub(crate) fn encoded_key(self, key_attributes: &Item) -> Result<Bytes, ServiceError> {
        let schema = &self.table().key_schema;
        match self.index {
            None => Ok(EncodedKey::from_key(schema, key_attributes)?.0),
            Some(ReadIndex::Local(index)) => index.key_of(schema, key_attributes),
            Some(ReadIndex::Global(index)) => Ok(index.key_of_attributes(schema, key_attributes)?.0),
        }
    }

    /// How a read of a local index is asked for. Attributes that the index lacks are fetched with the whole items.
    pub(crate) fn index_read(self, select: Select, projection: Option<&Projection>) -> Option<IndexRead> {
        let Some(ReadIndex::Local(index)) = self.index else { return None };
        let lacks = |projection: &Projection| projection.paths().iter().any(|path| !self.projects(path));
        let whole_items = index.projection.projection_type != ProjectionType::All
            && (select == Select::WholeItems || projection.is_some_and(lacks));
        Some(IndexRead { index_name: index.index_name.clone(), whole_items })
    }

    /// Refuses ALL_ATTRIBUTES of a global index that doesn't have them: nothing is fetched for one.
    pub(crate) fn check_select(self, select: Select) -> Result<(), ServiceError> {
        match self.index {
            Some(ReadIndex::Global(index))
                if select == Select::WholeItems && index.projection.projection_type != ProjectionType::All =>
            {
                Err(ServiceError::validation(format!(
                    "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global \
                     secondary index {} because its projection type is not ALL",
                    index.index_name
                )))
            }
            _ => Ok(()),
        }
    }

    /// Refuses attributes that a global index doesn't show.
    pub(crate) fn check_projection(self, projection: Option<&Projection>) -> Result<(), ServiceError> {
        let (Some(ReadIndex::Global(index)), Some(projection)) = (self.index, projection) else { return Ok(()) };
        let lacking: BTreeSet<&str> =
            projection.paths().iter().filter(|path| !self.projects(path)).map(Path::name).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        Err(ServiceError::validation(format!(
            "One or more parameter values were invalid: Global secondary index {} does not project [{}]",
            index.index_name,
            Vec::from_iter(lacking).join(", ")
        )))
    }

    /// Refuses the branches of a condition where each of them asks for what the index doesn't show: DynamoDB looks for one that
    /// does not, and tells of the last.
    pub(crate) fn check_filters(self, filters: &[&Filter]) -> Result<(), ServiceError> {
        let mut refused = Ok(());
        for filter in filters {
            refused = self.check_asked(|visit| filter.for_each_path(visit));
            if refused.is_ok() {
                break;
            }
        }
        refused
    }

    /// Refuses a filter that asks for what the index doesn't show: nothing is fetched for one.
    pub(crate) fn check_filter(self, filter: &Condition) -> Result<(), ServiceError> {
        self.check_asked(|visit| filter.for_each_path(visit))
    }

    fn check_asked<'f>(self, for_each_path: impl FnOnce(&mut dyn FnMut(&'f Path))) -> Result<(), ServiceError> {
        let Some(index) = self.index else { return Ok(()) };
        let mut lacking = Vec::new();
        for_each_path(&mut |path| {
            if !self.projects(path) {
                lacking.push(path.name());
            }
        });
        if lacking.is_empty() {
            return Ok(());
        }
        Err(ServiceError::validation(format!(
            "One or more parameter values were invalid: Secondary index {} does not project one or more filter \
             attributes: [{}]",
            index.name(),
            java::set_order(&lacking).join(", ")
        )))
    }

    /// Refuses key attributes of another type in the words of a Scan of a table that has indexes: it tells of the one that
    /// is read, or else of the table's first.
    pub(crate) fn check_scan_start(self, key_attributes: &Item) -> Result<(), ServiceError> {
        let mut of_indexes = self.table().index_keys();
        let first = || of_indexes.next().map(|key| key.index_name);
        let Some(named) = self.index.map(ReadIndex::name).or_else(first) else { return Ok(()) };
        let of_indexes = self.table().index_keys().map(|key| key.attribute);
        let mut attributes = self.table().key_schema.attributes().chain(of_indexes);
        attributes.try_for_each(|attribute| match key_attributes.get(&attribute.name) {
            Some(value) => check_index_key_type(attribute, value, named),
            None => Ok(()),
        })
    }

    fn projects(self, path: &Path) -> bool {
        let schema = &self.table().key_schema;
        match self.index {
            None => true,
            Some(ReadIndex::Local(index)) => index.projects(schema, path.name()),
            Some(ReadIndex::Global(index)) => index.projects(schema, path.name()),
        }
    }
}
