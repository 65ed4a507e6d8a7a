"""What a region's indexes and stream say of a table, against its items, through an unmodified boto3.

Arguments: the table's name, whether its items expire in this region, and the names of its indexes."""
import boto3, sys, time
dynamodb = boto3.client("dynamodb")
streams = boto3.client("dynamodbstreams")
NAME, EXPIRES, INDEXES = sys.argv[1], sys.argv[2] == "expires", sys.argv[3:]
SERVICE = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}


def within(seconds, what, condition):
    end = time.monotonic() + seconds
    while (found := condition()) is not True:
        assert time.monotonic() < end, f"{what}: {found}"
        time.sleep(0.2)


def scan(**more):
    pages = dynamodb.get_paginator("scan").paginate(TableName=NAME, **more)
    items = [item for page in pages for item in page["Items"]]
    found = {item["Id"]["S"]: item for item in items}
    assert len(found) == len(items), "an item is there twice"
    return found


def differ(found, wanted):
    differing = [key for key in sorted(found.keys() | wanted.keys()) if found.get(key) != wanted.get(key)]
    return not differing or f"{len(differing)} differ, such as {[(found.get(k), wanted.get(k)) for k in differing[:3]]}"


table = dynamodb.describe_table(TableName=NAME)["Table"]
indexes = table["GlobalSecondaryIndexes"] + table["LocalSecondaryIndexes"]
assert sorted(index["IndexName"] for index in indexes) == sorted(INDEXES), indexes
within(60, "what has expired is gone", lambda: not any("ends" in item for item in scan(ConsistentRead=True).values()))
items = scan(ConsistentRead=True)
assert len(items) == dynamodb.describe_table(TableName=NAME)["Table"]["ItemCount"], len(items)

for index in indexes:
    keys = {key["AttributeName"] for key in index["KeySchema"]}
    is_local = index in table["LocalSecondaryIndexes"]
    shown = {"Id", "At"} | keys
    wanted = {id: item if index["Projection"]["ProjectionType"] == "ALL" else {k: v for k, v in item.items() if k in shown}
              for id, item in items.items() if keys <= item.keys()}
    assert wanted, f"{index['IndexName']} has nothing to show"
    within(60, index["IndexName"], lambda: differ(scan(IndexName=index["IndexName"], ConsistentRead=is_local), wanted))

# Every change once, each on top of the one before, and the last as the item is.
description = streams.describe_stream(StreamArn=table["LatestStreamArn"])["StreamDescription"]
assert len(description["Shards"]) == 1, description
iterator = streams.get_shard_iterator(
    StreamArn=table["LatestStreamArn"], ShardId=description["Shards"][0]["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
told, number, by_service = {}, 0, 0


def read():
    global iterator, number, by_service
    page = streams.get_records(ShardIterator=iterator)
    for record in page["Records"]:
        change, key = record["dynamodb"], record["dynamodb"]["Keys"]["Id"]["S"]
        assert int(change["SequenceNumber"]) > number, record
        number = int(change["SequenceNumber"])
        assert told.get(key) == change.get("OldImage") != change.get("NewImage"), (told.get(key), record)
        told[key] = change.get("NewImage")
        if "userIdentity" in record:
            assert record["userIdentity"] == SERVICE and record["eventName"] == "REMOVE", record
            assert "ends" in change["OldImage"], record
            by_service += 1
    iterator = page["NextShardIterator"]
    return differ({key: item for key, item in told.items() if item}, items)


within(60, "the stream", read)
assert (by_service > 0) == EXPIRES, f"{by_service} deletions are the service's"
print(len(items), number > 0 and len(told))
