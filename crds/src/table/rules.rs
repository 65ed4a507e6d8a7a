//! The CEL rules of a Table: what the API server itself refuses, in DynamoDB's words where it has them.

use crate::rules::Rule;

/// Of `spec.keySchema`.
pub(super) const KEY_SCHEMA: &[Rule] = &[
    (
        "self[0].keyType == 'HASH' && (size(self) == 1 || self[1].keyType == 'RANGE')",
        "keySchema must have one HASH element, and behind it at most one RANGE element",
    ),
    (
        "size(self) == 1 || self[0].attributeName != self[1].attributeName",
        "Both the Hash Key and the Range Key element in the KeySchema have the same name",
    ),
];

/// Of `keySchema` in each of `spec.globalSecondaryIndexes`.
pub(super) const GLOBAL_KEY_SCHEMA: &[Rule] = &[
    (
        "self[0].keyType == 'HASH' && self.map(k, k.keyType) == self.filter(k, k.keyType == 'HASH').map(k, 'HASH') + self.filter(k, k.keyType == 'RANGE').map(k, 'RANGE')",
        "keySchema of a global index must have its HASH elements first, and its RANGE elements behind them",
    ),
    (
        "self.filter(k, k.keyType == 'HASH').size() <= 4 && self.filter(k, k.keyType == 'RANGE').size() <= 4",
        "keySchema of a global index must have at most four HASH and at most four RANGE elements",
    ),
    (
        "self.all(k, self.exists_one(other, other.attributeName == k.attributeName))",
        "The KeySchema contains multiple key attributes with the same name",
    ),
];

/// Of `keySchema` in each of `spec.localSecondaryIndexes`.
pub(super) const LOCAL_KEY_SCHEMA: &[Rule] = &[(
    "size(self) == 2 && self[0].keyType == 'HASH' && self[1].keyType == 'RANGE' && self[0].attributeName != self[1].attributeName",
    "keySchema of a local index must have the table's HASH key and a RANGE key of another name",
)];

/// Of each of `spec.globalSecondaryIndexes`.
pub(super) const GLOBAL_INDEX: &[Rule] = &[(
    "self.keySchema == oldSelf.keySchema && self.projection == oldSelf.projection",
    "keySchema and projection of a global index can't change: remove the index, or add another under another indexName",
)];

/// Of `projection` in each index.
pub(super) const PROJECTION: &[Rule] = &[
    (
        "(self.projectionType == 'INCLUDE') == has(self.nonKeyAttributes)",
        "nonKeyAttributes must be specified with projectionType INCLUDE, and only then",
    ),
    (
        "!has(self.nonKeyAttributes) || self.nonKeyAttributes.all(name, self.nonKeyAttributes.exists_one(other, other == name))",
        "Duplicate element in NonKeyAttributes",
    ),
    (
        "!has(self.nonKeyAttributes) || self.nonKeyAttributes.all(name, size(bytes(name)) <= 255)",
        "an attribute's name has at most 255 bytes",
    ),
];

/// Of `attributeName` in each of `spec.attributeDefinitions`.
pub(super) const ATTRIBUTE_NAME: &[Rule] = &[("size(bytes(self)) <= 255", "an attribute's name has at most 255 bytes")];

/// Of `spec.timeToLive`.
pub(super) const TIME_TO_LIVE: &[Rule] = &[(
    "has(self.attributeName) || (has(self.enabled) && !self.enabled)",
    "timeToLive.attributeName must be given unless timeToLive.enabled is false",
)];

/// Of `spec.restoreFrom`.
pub(super) const RESTORE_FROM: &[Rule] = &[
    (
        "[has(self.table), has(self.tableId), has(self.backup), has(self.backupArn)].filter(given, given).size() == 1",
        "restoreFrom names one source: table, tableId, backup or backupArn",
    ),
    (
        "!has(self.at) || self.at.matches('^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$')",
        "restoreFrom.at must be a moment as RFC 3339 has it, such as 2026-11-21T10:00:00Z",
    ),
    ("!has(self.at) || !has(self.latest) || !self.latest", "give restoreFrom.at or restoreFrom.latest, not both"),
    (
        "!(has(self.table) || has(self.tableId)) || has(self.at) || (has(self.latest) && self.latest)",
        "a table's past has many moments: give restoreFrom.at, or restoreFrom.latest: true",
    ),
    (
        "!(has(self.backup) || has(self.backupArn)) || !(has(self.at) || (has(self.latest) && self.latest))",
        "a backup has one moment: leave out restoreFrom.at and restoreFrom.latest",
    ),
];

/// Of `status.restore`: a load that is asked for again must give the same.
pub(super) const RESTORE_STATUS: &[Rule] = &[(
    "self.sourceTableArn == oldSelf.sourceTableArn && self.restoreDateTime == oldSelf.restoreDateTime \
     && self.region == oldSelf.region && self.account == oldSelf.account \
     && has(self.sourceBackupArn) == has(oldSelf.sourceBackupArn) && (!has(self.sourceBackupArn) || self.sourceBackupArn == oldSelf.sourceBackupArn) \
     && has(self.backupId) == has(oldSelf.backupId) && (!has(self.backupId) || self.backupId == oldSelf.backupId) \
     && has(self.tableId) == has(oldSelf.tableId) && (!has(self.tableId) || self.tableId == oldSelf.tableId) \
     && has(self.at) == has(oldSelf.at) && (!has(self.at) || self.at == oldSelf.at)",
    "status.restore is written once, but for restoreInProgress and progress",
)];

/// Of each of `spec.tags`: the rules of [`cairn_model::tags`].
pub(super) const TAG: &[Rule] = &[
    (
        "self.key.matches('^[\\\\p{L}\\\\p{Z}\\\\p{N}_.:/=+@-]*$')",
        "The Tag Key provided is invalid: letters, digits, spaces and _.:/=+-@ are allowed",
    ),
    (
        "self.value.matches('^[\\\\p{L}\\\\p{Z}\\\\p{N}_.:/=+@-]*$')",
        "The Tag Value provided is invalid: letters, digits, spaces and _.:/=+-@ are allowed",
    ),
    ("!self.key.matches('^[aA][wW][sS]:')", "Tag Key cannot be prefixed with aws:"),
];

/// Of `spec.streamSpecification`.
pub(super) const STREAM: &[Rule] = &[
    (
        "self.streamEnabled == has(self.streamViewType)",
        "streamViewType is required where streamEnabled is true, and must not be specified where it is false",
    ),
    (
        "!(self.streamEnabled && oldSelf.streamEnabled) || self.streamViewType == oldSelf.streamViewType",
        "streamViewType can't change while the stream is on: disable it first, which ends the stream",
    ),
];

/// Of `spec.importFrom`.
pub(super) const IMPORT_FROM: &[Rule] = &[(
    "self.inputFormat == 'CSV' || !has(self.inputFormatOptions) || !has(self.inputFormatOptions.csv)",
    "importFrom.inputFormatOptions.csv can only be specified when importFrom.inputFormat is CSV",
)];

/// Of `status.import`.
pub(super) const IMPORT_STATUS: &[Rule] = &[(
    "self.importArn == oldSelf.importArn && (oldSelf.importStatus == 'IN_PROGRESS' || self.importStatus == oldSelf.importStatus)",
    "an import that has ended does not begin again",
)];

/// Of each of a table's maxima on demand.
pub(super) const MAX_REQUEST_UNITS: &[Rule] =
    &[("self >= 1 || self == -1", "a maximum is at least 1; -1 means that there is none")];

/// Of each member of a `warmThroughput`.
pub(super) const WARM_UNITS: &[Rule] = &[("self >= oldSelf", "decreasing WarmThroughput is not supported")];

/// Of `spec.autoScaling.read` and `.write`.
pub(super) const TARGET_TRACKING: &[Rule] =
    &[("self.minUnits <= self.maxUnits", "minUnits must not be above maxUnits")];

/// Of `spec.autoScaling`.
pub(super) const AUTO_SCALING: &[Rule] =
    &[("has(self.read) || has(self.write)", "give autoScaling.read, autoScaling.write, or both")];

/// Of `spec`.
pub(super) const SPEC: &[Rule] = &[
    (
        "self.keySchema.all(k, self.attributeDefinitions.exists(d, d.attributeName == k.attributeName))",
        "Some index key attributes are not defined in AttributeDefinitions",
    ),
    (
        "!has(self.globalSecondaryIndexes) || self.globalSecondaryIndexes.all(i, i.keySchema.all(k, self.attributeDefinitions.exists(d, d.attributeName == k.attributeName)))",
        "Some keys of globalSecondaryIndexes are not defined in attributeDefinitions",
    ),
    (
        "!has(self.globalSecondaryIndexes) || self.globalSecondaryIndexes.all(i, has(i.provisionedThroughput) == (self.billingMode == 'PROVISIONED'))",
        "each of globalSecondaryIndexes must have provisionedThroughput when billingMode is PROVISIONED, and only then",
    ),
    (
        "self.billingMode == 'PAY_PER_REQUEST' || !has(self.globalSecondaryIndexes) || self.globalSecondaryIndexes.all(i, !has(i.onDemandThroughput) \
         || ((!has(i.onDemandThroughput.maxReadRequestUnits) || i.onDemandThroughput.maxReadRequestUnits == -1) \
         && (!has(i.onDemandThroughput.maxWriteRequestUnits) || i.onDemandThroughput.maxWriteRequestUnits == -1)))",
        "OnDemandThroughput of globalSecondaryIndexes cannot be specified when the table BillingMode is PROVISIONED",
    ),
    (
        "!has(self.globalSecondaryIndexes) || !has(self.localSecondaryIndexes) || self.globalSecondaryIndexes.all(g, !self.localSecondaryIndexes.exists(l, l.indexName == g.indexName))",
        "a name is of a global index or of a local one, not of both",
    ),
    (
        "!has(self.localSecondaryIndexes) || self.localSecondaryIndexes.all(i, i.keySchema.all(k, self.attributeDefinitions.exists(d, d.attributeName == k.attributeName)))",
        "Some keys of localSecondaryIndexes are not defined in attributeDefinitions",
    ),
    (
        "!has(self.localSecondaryIndexes) || size(self.localSecondaryIndexes) == 0 || size(self.keySchema) == 2",
        "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
    ),
    (
        "!has(self.localSecondaryIndexes) || self.localSecondaryIndexes.all(i, i.keySchema[0].attributeName == self.keySchema[0].attributeName)",
        "Index KeySchema does not have the same leading hash key as table KeySchema",
    ),
    (
        "(has(self.globalSecondaryIndexes) ? self.globalSecondaryIndexes.map(i, has(i.projection.nonKeyAttributes) ? size(i.projection.nonKeyAttributes) : 0).sum() : 0) \
         + (has(self.localSecondaryIndexes) ? self.localSecondaryIndexes.map(i, has(i.projection.nonKeyAttributes) ? size(i.projection.nonKeyAttributes) : 0).sum() : 0) <= 100",
        "Number of NonKeyAttributes of all secondary indexes exceeds the per-table limit of 100",
    ),
    (
        "self.attributeDefinitions.all(d, self.keySchema.exists(k, k.attributeName == d.attributeName) \
         || (has(self.globalSecondaryIndexes) && self.globalSecondaryIndexes.exists(i, i.keySchema.exists(k, k.attributeName == d.attributeName))) \
         || (has(self.localSecondaryIndexes) && self.localSecondaryIndexes.exists(i, i.keySchema.exists(k, k.attributeName == d.attributeName))))",
        "Some AttributeDefinitions are not used in the KeySchema of the table or of an index",
    ),
    (
        "self.billingMode == 'PAY_PER_REQUEST' || has(self.provisionedThroughput)",
        "provisionedThroughput must be specified when billingMode is PROVISIONED",
    ),
    (
        "self.billingMode == 'PROVISIONED' || !has(self.provisionedThroughput)",
        "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
    ),
    (
        "self.billingMode == 'PAY_PER_REQUEST' || !has(self.onDemandThroughput) \
         || ((!has(self.onDemandThroughput.maxReadRequestUnits) || self.onDemandThroughput.maxReadRequestUnits == -1) \
         && (!has(self.onDemandThroughput.maxWriteRequestUnits) || self.onDemandThroughput.maxWriteRequestUnits == -1))",
        "OnDemandThroughput cannot be specified when the table BillingMode is PROVISIONED",
    ),
    (
        "self.billingMode == 'PROVISIONED' || !has(self.autoScaling)",
        "autoScaling is of a table whose billingMode is PROVISIONED: an on-demand table scales by itself",
    ),
    (
        "self.billingMode == 'PROVISIONED' || !has(self.globalSecondaryIndexes) || self.globalSecondaryIndexes.all(i, !has(i.autoScaling))",
        "autoScaling of globalSecondaryIndexes is of a table whose billingMode is PROVISIONED: on demand they scale by themselves",
    ),
    ("self.keySchema == oldSelf.keySchema", "keySchema can't change: make a new table and copy the items"),
    (
        "self.attributeDefinitions.all(d, oldSelf.attributeDefinitions.all(o, o.attributeName != d.attributeName || o.attributeType == d.attributeType))",
        "the type of a key attribute can't change: of a table or a local index, make a new table and copy the items; of a global index, remove the index first",
    ),
    (
        "has(self.localSecondaryIndexes) == has(oldSelf.localSecondaryIndexes) && (!has(self.localSecondaryIndexes) || self.localSecondaryIndexes == oldSelf.localSecondaryIndexes)",
        "localSecondaryIndexes can't change: make a new table and copy the items",
    ),
    (
        "has(self.restoreFrom) == has(oldSelf.restoreFrom) && (!has(self.restoreFrom) || self.restoreFrom == oldSelf.restoreFrom)",
        "restoreFrom says where the table's first data came from and can't change",
    ),
    (
        "has(self.importFrom) == has(oldSelf.importFrom) && (!has(self.importFrom) || self.importFrom == oldSelf.importFrom)",
        "importFrom says where the table's first items came from and can't change",
    ),
    (
        "!has(self.importFrom) || !has(self.restoreFrom)",
        "a table's first data comes from importFrom or from restoreFrom, not from both",
    ),
    ("self.storageGroup == oldSelf.storageGroup", "a table can't move to another storageGroup"),
];

/// Of the whole object.
pub(crate) const ROOT: &[Rule] = &[
    (
        "has(self.spec.tableName) || size(self.metadata.name) >= 3",
        "a table's name has at least 3 characters: set spec.tableName",
    ),
    (
        "(has(self.spec.tableName) ? self.spec.tableName : self.metadata.name) == (has(oldSelf.spec.tableName) ? oldSelf.spec.tableName : oldSelf.metadata.name)",
        "a table's name can't change",
    ),
    (
        "!has(oldSelf.status) || !has(oldSelf.status.placements) || (has(self.status) && has(self.status.placements) && self.status.placements == oldSelf.status.placements)",
        "status.placements is written once: after that only membership changes change members",
    ),
    (
        "!has(oldSelf.status) || !has(oldSelf.status.tableId) || (has(self.status) && has(self.status.tableId) && self.status.tableId == oldSelf.status.tableId)",
        "status.tableId is written once",
    ),
    (
        "!has(oldSelf.status) || !has(oldSelf.status.placements) || (has(self.status) && has(self.status.restore) == has(oldSelf.status.restore))",
        "status.restore is written with status.placements, or never",
    ),
];
