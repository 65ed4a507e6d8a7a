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
        "!has(self.localSecondaryIndexes) || self.localSecondaryIndexes.all(i, i.keySchema.all(k, self.attributeDefinitions.exists(d, d.attributeName == k.attributeName)))",
        "Some keys of localSecondaryIndexes are not defined in attributeDefinitions",
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
    ("self.keySchema == oldSelf.keySchema", "keySchema can't change: make a new table and copy the items"),
    (
        "oldSelf.keySchema.all(k, oldSelf.attributeDefinitions.all(o, o.attributeName != k.attributeName \
         || self.attributeDefinitions.exists(d, d.attributeName == o.attributeName && d.attributeType == o.attributeType)))",
        "the type of a key attribute can't change: make a new table and copy the items",
    ),
    (
        "has(self.localSecondaryIndexes) == has(oldSelf.localSecondaryIndexes) && (!has(self.localSecondaryIndexes) || self.localSecondaryIndexes == oldSelf.localSecondaryIndexes)",
        "localSecondaryIndexes can't change: make a new table and copy the items",
    ),
    (
        "has(self.restoreFrom) == has(oldSelf.restoreFrom) && (!has(self.restoreFrom) || self.restoreFrom == oldSelf.restoreFrom)",
        "restoreFrom says where the table's first data came from and can't change",
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
];
