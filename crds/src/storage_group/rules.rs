//! The CEL rules of a StorageGroup.

use crate::rules::Rule;

/// Of `spec`.
pub(super) const SPEC: &[Rule] = &[
    ("!has(self.zoneCount) || !has(self.zoneNames)", "give zoneCount or zoneNames, not both"),
    (
        "(has(self.zoneNames) ? size(self.zoneNames) : (has(self.zoneCount) ? self.zoneCount : 3)) \
         >= (has(oldSelf.zoneNames) ? size(oldSelf.zoneNames) : (has(oldSelf.zoneCount) ? oldSelf.zoneCount : 3))",
        "a group can't give up zones: move its tables to another group",
    ),
    (
        "!has(oldSelf.zoneNames) || (has(self.zoneNames) && oldSelf.zoneNames.all(z, z in self.zoneNames))",
        "a group can't give up a zone: move its tables to another group",
    ),
    (
        "self.nodesPerZone >= oldSelf.nodesPerZone",
        "nodesPerZone can't shrink: move the group's tables to another group",
    ),
];

/// Of `spec.volume`.
pub(super) const VOLUME: &[Rule] = &[
    (
        "!isQuantity(self.size) || !isQuantity(oldSelf.size) || quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0",
        "a volume can't shrink",
    ),
    (
        "has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
        "the storage class of a group's volumes can't change: move its tables to another group",
    ),
];

/// Of `spec.archive`. All of it may change, and go: what lies in a bucket stays there.
pub(super) const ARCHIVE: &[Rule] = &[
    (
        "!has(self.endpoint) || (isURL(self.endpoint) && (url(self.endpoint).getPort() == '' || int(url(self.endpoint).getPort()) <= 65535))",
        "the endpoint must be https://HOST:PORT or http://HOST:PORT, with a port of at most 65535",
    ),
    (
        "!has(self.ca) || !has(self.endpoint) || self.endpoint.startsWith('https://')",
        "ca is for an endpoint that begins with https://",
    ),
];

/// Of the whole object.
pub(crate) const ROOT: &[Rule] = &[(
    "size(self.metadata.name) <= 36 && !self.metadata.name.contains('.')",
    "a group's name has at most 36 characters and no dots: the names of its pods are made from it",
)];
