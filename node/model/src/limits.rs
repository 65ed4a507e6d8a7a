//! DynamoDB's limits, each with its source: "quotas" is the developer guide's page "Quotas in Amazon DynamoDB",
//! "reference" the API reference as it ships in botocore.

/// An item with its attributes' names (quotas, items).
pub const ITEM_BYTES_MAX: usize = 400 * 1024;
/// Lists and maps within each other, the attribute itself counted (quotas, nested attribute depth).
pub const NESTING_DEPTH_MAX: usize = 32;

/// A partition key's value (quotas, partition key length).
pub const PARTITION_KEY_BYTES_MAX: usize = 2048;
/// A sort key's value (quotas, sort key length).
pub const SORT_KEY_BYTES_MAX: usize = 1024;
/// The name of a key attribute (quotas, attribute names).
pub const KEY_NAME_BYTES_MAX: usize = 255;
/// The name of any other attribute (quotas, attribute names).
pub const ATTRIBUTE_NAME_BYTES_MAX: usize = 64 * 1024 - 1;

/// Significant digits of a number (quotas, data types).
pub const NUMBER_DIGITS_MAX: u32 = 38;
/// Power of ten of the first digit of the largest number, 9.9…E+125 (quotas, data types).
pub const NUMBER_EXPONENT_MAX: i16 = 125;
/// Power of ten of the first digit of the smallest number above 0, 1E-130 (quotas, data types).
pub const NUMBER_EXPONENT_MIN: i16 = -130;

/// Items read by a page of Query or Scan, before filter and projection (reference, Query).
pub const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// `TotalSegments` of Scan (reference, Scan).
pub const SEGMENTS_MAX: u32 = 1_000_000;

/// Keys of a BatchGetItem (reference).
pub const BATCH_GET_KEYS_MAX: usize = 100;
/// Items of a BatchGetItem's answer together (reference).
pub const BATCH_GET_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Requests of a BatchWriteItem (reference).
pub const BATCH_WRITE_REQUESTS_MAX: usize = 25;
/// The body of any request (reference, BatchWriteItem; the front end refuses larger ones).
pub const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Actions of a TransactWriteItems or TransactGetItems, statements of an ExecuteTransaction (reference).
pub const TRANSACTION_ACTIONS_MAX: usize = 100;
/// Items of a transaction together (reference, TransactWriteItems).
pub const TRANSACTION_BYTES_MAX: usize = 4 * 1024 * 1024;
/// `ClientRequestToken`, in characters (reference, TransactWriteItems).
pub const CLIENT_TOKEN_CHARS_MAX: usize = 36;

/// A PartiQL statement's characters (reference, PartiQLStatement).
pub const STATEMENT_CHARS_MAX: usize = 8192;
/// Statements of a BatchExecuteStatement (reference, PartiQLBatchRequest).
pub const BATCH_STATEMENTS_MAX: usize = 25;
/// Reads that a SELECT can be by what its IN and OR say of keys: partition keys times what is listed of sort keys (developer guide,
/// PartiQL: IN, has it of partition keys; measured of both).
pub const STATEMENT_READS_MAX: usize = 50;

/// An expression's text (quotas, expression parameters).
pub const EXPRESSION_BYTES_MAX: usize = 4096;
/// Operators and functions of an expression (quotas, expression parameters).
pub const EXPRESSION_OPERATORS_MAX: usize = 300;
/// Operands of IN (quotas, expression parameters).
pub const IN_OPERANDS_MAX: usize = 100;
/// A placeholder with its `#` or `:` (quotas, expression parameters).
pub const PLACEHOLDER_BYTES_MAX: usize = 255;
/// All of ExpressionAttributeNames and ExpressionAttributeValues together (quotas, expression parameters).
pub const SUBSTITUTION_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A table's name (quotas, table names).
pub const TABLE_NAME_BYTES_MIN: usize = 3;
/// A table's name (quotas, table names).
pub const TABLE_NAME_BYTES_MAX: usize = 255;
/// Tables of an account (quotas, tables).
pub const TABLES_PER_ACCOUNT_MAX: usize = 2500;
/// Names a page of ListTables (reference).
pub const LIST_TABLES_MAX: usize = 100;

/// An item collection of a table with local indexes, with what the indexes show of it (quotas, item collections).
pub const ITEM_COLLECTION_BYTES_MAX: u64 = 10 << 30;

/// Tags of a table (reference, Tag).
pub const TAGS_MAX: usize = 50;
/// A tag's key, in characters (reference, Tag).
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// A tag's value, in characters (reference, Tag).
pub const TAG_VALUE_CHARS_MAX: usize = 256;

/// Bytes a read unit covers (developer guide, read and write capacity).
pub const READ_UNIT_BYTES: usize = 4096;
/// Bytes a write unit covers (developer guide, read and write capacity).
pub const WRITE_UNIT_BYTES: usize = 1024;
/// What a throughput setting can be at most (reference, ProvisionedThroughput is a positive long).
pub const CAPACITY_UNITS_MAX: u64 = i64::MAX as u64;
