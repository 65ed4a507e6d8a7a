//! DynamoDB's limits, each with its source.
