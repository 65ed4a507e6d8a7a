//! The bytes an item is found under. Format version 1, frozen: keys carry no version of their own, the data folder does.
//!
//! ```text
//! key       = hash component [component]     partition key, and sort key where the table has one
//! hash      = u64         XXH3-64, seed 0, of the partition key's component, or components; big-endian
//! component = 10 number   N
//!           | 20 string   S, its UTF-8 bytes
//!           | 30 string   B
//! string    = its bytes, each 00 as 00 ff, then 00 01
//! number    = 01                             0
//!           | 02 exponent pair… 00           above 0
//!           | 00 ~exponent ~pair… ff         below 0, every byte of the positive form inverted
//! exponent  = one byte: the power of ten of the first digit, plus 130
//! pair      = one byte: two decimal digits, from the first on, as 1 to 100; an odd last digit counts ten times;
//!             trailing zeros are left out
//! ```
//!
//! Bytes in ascending order are keys in ascending order: numbers by value, strings and binaries by unsigned bytes. No
//! component is the beginning of another, so what follows one can't disturb the order.

mod number;

use crate::{
    AttributeValue, Item, KeySchema, ServiceError,
    codec::{CodecError, Reader},
    keys::Keys,
    limits::{PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX},
    size,
    table::{KeyAttribute, ScalarType},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::ops::Bound;
use xxhash_rust::xxh3::xxh3_64;

const TAG_N: u8 = 0x10;
const TAG_S: u8 = 0x20;
const TAG_B: u8 = 0x30;
/// What every encoded key begins with: the hash of its partition key.
pub const HASH_BYTES: usize = 8;

/// The key of one item: hash, partition key, sort key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EncodedKey(pub Bytes);

/// What a Query asks of the sort key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SortCondition {
    Equal(AttributeValue),
    Less(AttributeValue),
    LessOrEqual(AttributeValue),
    Greater(AttributeValue),
    GreaterOrEqual(AttributeValue),
    Between(AttributeValue, AttributeValue),
    BeginsWith(AttributeValue),
}

impl SortCondition {
    /// What the sort key is compared with.
    pub fn values(&self) -> impl Iterator<Item = &AttributeValue> {
        let (first, second) = match self {
            Self::Between(low, high) => (low, Some(high)),
            Self::Equal(value)
            | Self::Less(value)
            | Self::LessOrEqual(value)
            | Self::Greater(value)
            | Self::GreaterOrEqual(value)
            | Self::BeginsWith(value) => (value, None),
        };
        std::iter::once(first).chain(second)
    }
}

/// A range of encoded keys.
pub type KeyBounds = (Bound<Bytes>, Bound<Bytes>);

impl EncodedKey {
    /// The key of a whole item (PutItem): other attributes may be there too.
    pub fn new(schema: &KeySchema, item: &Item) -> Result<Self, ServiceError> {
        Self::build(schema, item, |attribute, found| match found {
            None => {
                format!("One or more parameter values were invalid: Missing the key {} in the item", attribute.name)
            }
            Some(value) => format!(
                "One or more parameter values were invalid: Type mismatch for key {} expected: {} actual: {}",
                attribute.name,
                attribute.scalar_type.name(),
                value.type_name()
            ),
        })
    }

    /// The key from a `Key` parameter (GetItem, UpdateItem, DeleteItem, batches): just the key attributes.
    pub fn from_key(schema: &KeySchema, key: &Item) -> Result<Self, ServiceError> {
        const MISMATCH: &str = "The provided key element does not match the schema";
        if key.len() != 1 + usize::from(schema.sort.is_some()) {
            return Err(ServiceError::validation(MISMATCH));
        }
        Self::build(schema, key, |_, _| MISMATCH.to_owned())
    }

    /// Whether a partition key's value is neither empty nor too long.
    pub fn check_partition(attribute: &KeyAttribute, value: &AttributeValue) -> Result<(), ServiceError> {
        check_value(&attribute.name, value, partition_key_too_long)
    }

    /// As [`Self::check_partition`], of a sort key's value: the table's or an index's.
    pub fn check_sort(attribute: &KeyAttribute, value: &AttributeValue) -> Result<(), ServiceError> {
        check_value(&attribute.name, value, sort_key_too_long)
    }

    /// The key attributes again.
    pub fn decode(&self, schema: &KeySchema) -> Result<Item, CodecError> {
        let mut reader = Reader::new(&self.0);
        reader.slice(HASH_BYTES)?;
        let mut item = Item::new();
        for attribute in std::iter::once(&schema.partition).chain(&schema.sort) {
            item.insert(attribute.name.clone(), read_component(&mut reader)?);
        }
        reader.finish()?;
        Ok(item)
    }

    /// How many bytes of an encoded key, or of one in a local index, are its partition key's, the hash counted.
    pub fn partition_bytes(key: &[u8]) -> Result<usize, CodecError> {
        let mut reader = Reader::new(key);
        reader.slice(HASH_BYTES)?;
        skip_component(&mut reader)?;
        Ok(key.len() - reader.rest().len())
    }

    /// Where the item lies in a local index in which its sort key is `sort`.
    pub(crate) fn in_local_index(&self, sort: &AttributeValue) -> Result<Bytes, ServiceError> {
        let (partition, own_sort) = self.0.split_at(Self::partition_bytes(&self.0)?);
        let mut out = Vec::with_capacity(self.0.len() + 4 + size::value_size(sort));
        out.extend_from_slice(partition);
        write_component(sort, &mut out)?;
        out.extend_from_slice(own_sort);
        Ok(out.into())
    }

    /// Where the item lies in a global index in which its partition key and its sort key have these values.
    pub(crate) fn in_global_index(
        &self,
        partition: &[AttributeValue],
        sort: &[AttributeValue],
    ) -> Result<Self, ServiceError> {
        let mut out = Vec::with_capacity(self.0.len() + encoded_size(partition) + encoded_size(sort));
        write_partition(partition, &mut out)?;
        sort.iter().try_for_each(|value| write_component(value, &mut out))?;
        out.extend_from_slice(self.0.get(HASH_BYTES..).unwrap_or_default());
        Ok(Self(out.into()))
    }

    /// The item's own key, from where it lies in a global index with so many key attributes.
    pub(crate) fn out_of_global_index(&self, key_attributes: usize) -> Result<Self, CodecError> {
        let mut reader = Reader::new(&self.0);
        reader.slice(HASH_BYTES)?;
        (0..key_attributes).try_for_each(|_| skip_component(&mut reader))?;
        let own = reader.rest();
        skip_component(&mut reader)?;
        let partition = &own[..own.len() - reader.rest().len()];
        let mut out = Vec::with_capacity(HASH_BYTES + own.len());
        out.extend_from_slice(&xxh3_64(partition).to_be_bytes());
        out.extend_from_slice(own);
        Ok(Self(out.into()))
    }

    /// The key attributes of an item in a global index: the index's and the table's.
    pub fn decode_in_global_index(&self, index: Keys<'_>, table: &KeySchema) -> Result<Item, CodecError> {
        let mut reader = Reader::new(&self.0);
        reader.slice(HASH_BYTES)?;
        let mut item = Item::new();
        for attribute in index.attributes().chain(table.attributes()) {
            item.insert(attribute.name.clone(), read_component(&mut reader)?);
        }
        reader.finish()?;
        Ok(item)
    }

    /// The item's own key, from where it lies in a local index.
    pub(crate) fn from_local_index(in_index: &Bytes) -> Result<Self, CodecError> {
        let partition = Self::partition_bytes(in_index)?;
        let mut reader = Reader::new(&in_index[partition..]);
        skip_component(&mut reader)?;
        let own_sort = reader.rest();
        let mut out = Vec::with_capacity(partition + own_sort.len());
        out.extend_from_slice(&in_index[..partition]);
        out.extend_from_slice(own_sort);
        Ok(Self(out.into()))
    }

    fn build(
        schema: &KeySchema,
        item: &Item,
        mismatch: impl Fn(&KeyAttribute, Option<&AttributeValue>) -> String,
    ) -> Result<Self, ServiceError> {
        let find = |attribute: &KeyAttribute, too_long: fn(usize) -> Option<&'static str>| {
            let found = item.get(&attribute.name);
            match found.filter(|value| attribute.scalar_type.is_type_of(value)) {
                None => Err(ServiceError::validation(mismatch(attribute, found))),
                Some(value) => check_value(&attribute.name, value, too_long).map(|()| value),
            }
        };
        let partition = find(&schema.partition, partition_key_too_long)?;
        let sort = schema.sort.as_ref().map(|attribute| find(attribute, sort_key_too_long)).transpose()?;

        let mut out = Vec::with_capacity(HASH_BYTES + 2 * 4 + size::item_size(item).min(256));
        write_partition(std::slice::from_ref(partition), &mut out)?;
        sort.map_or(Ok(()), |value| write_component(value, &mut out))?;
        Ok(Self(out.into()))
    }
}

/// The bytes with which every key begins whose partition key has these values, and the first attributes of whose sort key have
/// those.
pub fn key_prefix(partition: &[AttributeValue], sort: &[AttributeValue]) -> Result<Bytes, ServiceError> {
    let mut out = Vec::with_capacity(HASH_BYTES + encoded_size(partition) + encoded_size(sort));
    write_partition(partition, &mut out)?;
    sort.iter().try_for_each(|value| write_component(value, &mut out))?;
    Ok(out.into())
}

/// As [`key_bounds`], where keys are of one attribute each.
pub fn sort_bounds(partition: &AttributeValue, sort: Option<&SortCondition>) -> Result<KeyBounds, ServiceError> {
    key_bounds(std::slice::from_ref(partition), &[], sort)
}

/// The keys of one partition key value that equal these in the first attributes of the sort key, and that a condition allows on
/// the next; all of them without one. They are of a table, or of an index, in which other components follow: a bound holds or
/// leaves out whatever goes on behind its component.
pub fn key_bounds(
    partition: &[AttributeValue],
    equal: &[AttributeValue],
    sort: Option<&SortCondition>,
) -> Result<KeyBounds, ServiceError> {
    let prefix = key_prefix(partition, equal)?;
    let key = |value: &AttributeValue| -> Result<Bytes, ServiceError> {
        let mut out = prefix.to_vec();
        write_component(value, &mut out)?;
        Ok(out.into())
    };
    let start = || Bound::Included(prefix.clone());
    let end = || below(after_prefix(&prefix));
    Ok(match sort {
        None => (start(), end()),
        Some(SortCondition::Equal(value)) => {
            let key = key(value)?;
            let upper = below(after_prefix(&key));
            (Bound::Included(key), upper)
        }
        Some(SortCondition::Less(value)) => (start(), Bound::Excluded(key(value)?)),
        Some(SortCondition::LessOrEqual(value)) => (start(), below(after_prefix(&key(value)?))),
        Some(SortCondition::Greater(value)) => {
            let key = key(value)?;
            (after_prefix(&key).map_or(Bound::Excluded(key), Bound::Included), end())
        }
        Some(SortCondition::GreaterOrEqual(value)) => (Bound::Included(key(value)?), end()),
        Some(SortCondition::Between(low, high)) => (Bound::Included(key(low)?), below(after_prefix(&key(high)?))),
        Some(SortCondition::BeginsWith(value)) => {
            let (tag, bytes) = match value {
                AttributeValue::S(text) => (TAG_S, text.as_bytes()),
                AttributeValue::B(bytes) => (TAG_B, bytes.as_ref()),
                other => return Err(not_a_key(other)),
            };
            let mut out = prefix.to_vec();
            out.push(tag);
            write_escaped(bytes, &mut out);
            let upper = below(after_prefix(&out));
            (Bound::Included(out.into()), upper)
        }
    })
}

/// The one key that can lie between two bounds of a table's keys; none where none or several can.
pub fn only_key(lower: &Bound<Bytes>, upper: &Bound<Bytes>, schema: &KeySchema) -> Option<EncodedKey> {
    let (Bound::Included(key), Bound::Excluded(end)) = (lower, upper) else { return None };
    // What begins with a whole key is that key.
    (after_prefix(key).as_ref() == Some(end) && is_whole(key, schema)).then(|| EncodedKey(key.clone()))
}

fn is_whole(key: &[u8], schema: &KeySchema) -> bool {
    let mut reader = Reader::new(key);
    let mut components = std::iter::once(&schema.partition).chain(&schema.sort);
    reader.slice(HASH_BYTES).is_ok()
        && components.all(|_| skip_component(&mut reader).is_ok())
        && reader.rest().is_empty()
}

/// The keys of one of a Scan's `total` segments, counted from 0: equal shares of the hashes.
pub fn segment_bounds(segment: u32, total: u32) -> KeyBounds {
    let total = total.max(1);
    let segment = segment.min(total - 1);
    let edge = |segment: u32| {
        let hash = (u128::from(segment) << 64).div_ceil(u128::from(total));
        u64::try_from(hash).ok().map(|hash| Bytes::copy_from_slice(&hash.to_be_bytes()))
    };
    let lower = if segment == 0 { None } else { edge(segment) };
    (lower.map_or(Bound::Unbounded, Bound::Included), edge(segment + 1).map_or(Bound::Unbounded, Bound::Excluded))
}

/// The least above all that begins with `prefix`; none where there is nothing above.
fn after_prefix(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut out = prefix[..=last].to_vec();
    out[last] += 1;
    Some(out.into())
}

fn below(end: Option<Bytes>) -> Bound<Bytes> {
    end.map_or(Bound::Unbounded, Bound::Excluded)
}

pub(crate) fn partition_key_too_long(bytes: usize) -> Option<&'static str> {
    (bytes > PARTITION_KEY_BYTES_MAX).then_some("Size of hashkey has exceeded the maximum size limit of2048 bytes")
}

pub(crate) fn sort_key_too_long(bytes: usize) -> Option<&'static str> {
    (bytes > SORT_KEY_BYTES_MAX)
        .then_some("Aggregated size of all range keys has exceeded the size limit of 1024 bytes")
}

fn check_value(
    name: &str,
    value: &AttributeValue,
    too_long: fn(usize) -> Option<&'static str>,
) -> Result<(), ServiceError> {
    if let Some(kind) = empty_kind(value) {
        return Err(ServiceError::validation(format!(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an \
             empty {kind} value. Key: {name}"
        )));
    }
    match too_long(size::value_size(value)) {
        Some(problem) => Err(ServiceError::validation(format!("One or more parameter values were invalid: {problem}"))),
        None => Ok(()),
    }
}

/// What an empty value is called; none where it is not empty.
pub(crate) fn empty_kind(value: &AttributeValue) -> Option<&'static str> {
    match value {
        AttributeValue::S(text) if text.is_empty() => Some("string"),
        AttributeValue::B(bytes) if bytes.is_empty() => Some("binary"),
        _ => None,
    }
}

fn not_a_key(value: &AttributeValue) -> ServiceError {
    ServiceError::validation(format!(
        "One or more parameter values were invalid: A key attribute can't be of type {}",
        value.type_name()
    ))
}

/// About as many bytes as components of these values have.
fn encoded_size(values: &[AttributeValue]) -> usize {
    values.iter().map(|value| 4 + size::value_size(value)).sum()
}

fn write_partition(partition: &[AttributeValue], out: &mut Vec<u8>) -> Result<(), ServiceError> {
    out.extend_from_slice(&[0; HASH_BYTES]);
    partition.iter().try_for_each(|value| write_component(value, out))?;
    let hash = xxh3_64(&out[HASH_BYTES..]);
    out[..HASH_BYTES].copy_from_slice(&hash.to_be_bytes());
    Ok(())
}

fn write_component(value: &AttributeValue, out: &mut Vec<u8>) -> Result<(), ServiceError> {
    match value {
        AttributeValue::S(text) => write_string(TAG_S, text.as_bytes(), out),
        AttributeValue::B(bytes) => write_string(TAG_B, bytes, out),
        AttributeValue::N(value) => {
            out.push(TAG_N);
            number::write(value, out);
        }
        other => return Err(not_a_key(other)),
    }
    Ok(())
}

fn write_string(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    write_escaped(bytes, out);
    out.extend_from_slice(&[0, 1]);
}

fn write_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for (at, part) in bytes.split(|&byte| byte == 0).enumerate() {
        if at > 0 {
            out.extend_from_slice(&[0, 0xff]);
        }
        out.extend_from_slice(part);
    }
}

fn read_component(reader: &mut Reader<'_>) -> Result<AttributeValue, CodecError> {
    match reader.byte()? {
        TAG_N => number::read(reader).map(AttributeValue::N),
        TAG_S => String::from_utf8(read_string(reader)?)
            .map(AttributeValue::S)
            .map_err(|_| CodecError::Damaged("a key's string that is not UTF-8")),
        TAG_B => Ok(AttributeValue::B(read_string(reader)?.into())),
        _ => Err(CodecError::Damaged("an unknown type of key")),
    }
}

/// Past one component, whatever its type.
fn skip_component(reader: &mut Reader<'_>) -> Result<(), CodecError> {
    read_component(reader).map(drop)
}

fn read_string(reader: &mut Reader<'_>) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    loop {
        match reader.byte()? {
            0 => match reader.byte()? {
                0xff => out.push(0),
                1 => return Ok(out),
                _ => return Err(CodecError::Damaged("an unknown escape in a key")),
            },
            byte => out.push(byte),
        }
    }
}

impl ScalarType {
    /// DynamoDB's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
        }
    }

    /// Whether the value is of this type.
    pub fn is_type_of(self, value: &AttributeValue) -> bool {
        matches!(
            (self, value),
            (Self::S, AttributeValue::S(_)) | (Self::N, AttributeValue::N(_)) | (Self::B, AttributeValue::B(_))
        )
    }
}

#[cfg(test)]
mod tests;
