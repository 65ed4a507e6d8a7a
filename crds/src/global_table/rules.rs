//! The CEL rules of a GlobalTable.

use crate::rules::Rule;

/// Of an entry's `endpoint`: a name, an IPv4 address, or an IPv6 address in brackets; and a port.
pub(super) const ENDPOINT: &[Rule] = &[(
    "self.matches('^https://([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?|\\\\[[0-9a-fA-F:.]+\\\\]):[1-9][0-9]{0,4}$')",
    "endpoint has the form https://HOST:PORT",
)];

/// Of the whole object.
pub(crate) const ROOT: &[Rule] = &[
    (
        "has(self.spec.tableName) || size(self.metadata.name) >= 3",
        "a table's name has at least 3 characters: set spec.tableName",
    ),
    (
        "(has(self.spec.tableName) ? self.spec.tableName : self.metadata.name) == (has(oldSelf.spec.tableName) ? oldSelf.spec.tableName : oldSelf.metadata.name)",
        "tableName can't change: make a new GlobalTable",
    ),
];
