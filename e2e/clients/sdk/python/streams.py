"""The table's stream: what is changed while it is enabled, read from its first record to its end."""

import time
from decimal import Decimal

from readings import TABLE, holds, key_of, same
from table import PATIENCE
from writes import plain

VIEW = "NEW_AND_OLD_IMAGES"
WARMER = Decimal("1.5")

# What is put, put again as it is, which is no change, then updated and deleted.
STREAMED = [
    {"station": station, "hour": hour, "celsius": Decimal(0)} for station in ["moon", "sun"] for hour in range(3)
]


def update(clients, specification):
    clients.client.update_table(TableName=TABLE, StreamSpecification=specification)
    clients.client.get_waiter("table_exists").wait(TableName=TABLE, WaiterConfig=PATIENCE)
    clients.table.reload()


def enable(clients):
    wanted = {"StreamEnabled": True, "StreamViewType": VIEW}
    update(clients, wanted)
    same("the specification", clients.table.stream_specification, wanted)
    return clients.table.latest_stream_arn


def write(clients):
    for item in STREAMED + STREAMED:
        clients.table.put_item(Item=item)
    for item in STREAMED:
        values = {":warmer": WARMER}
        request = {"UpdateExpression": "SET celsius = :warmer", "ExpressionAttributeValues": values}
        clients.table.update_item(Key=key_of(item), **request)
    for item in STREAMED:
        clients.table.delete_item(Key=key_of(item))
    return f"{len(STREAMED)} items put, updated and deleted"


def disable(clients):
    """So that it has an end."""
    update(clients, {"StreamEnabled": False})
    same("the specification", clients.table.stream_specification, None)
    return "the table has none"


def read(clients):
    [stream] = clients.streams.list_streams(TableName=TABLE)["Streams"]
    records = []
    for shard in shards(clients.streams, stream["StreamArn"]):
        found = list(records_of(clients.streams, stream["StreamArn"], shard))
        numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in found]
        same("the numbers, which rise", numbers, sorted(set(numbers)))
        records += found
    for first in STREAMED:
        second = first | {"celsius": WARMER}
        own = [record for record in records if plain(record["dynamodb"]["Keys"]) == key_of(first)]
        same(
            "the changes of an item",
            [(record["eventName"], image(record, "OldImage"), image(record, "NewImage")) for record in own],
            [("INSERT", None, first), ("MODIFY", first, second), ("REMOVE", second, None)],
        )
    same("the number of records", len(records), 3 * len(STREAMED))
    same("the number of their ids", len({record["eventID"] for record in records}), len(records))
    holds("each is of the view", all(record["dynamodb"]["StreamViewType"] == VIEW for record in records))
    return f"{len(records)} records"


def shards(streams, arn):
    """Its shards, each behind the one whose place it took."""
    request = {"StreamArn": arn, "Limit": 1}
    while True:
        description = streams.describe_stream(**request)["StreamDescription"]
        yield from description["Shards"]
        if "LastEvaluatedShardId" not in description:
            return
        request["ExclusiveStartShardId"] = description["LastEvaluatedShardId"]


def records_of(streams, arn, shard):
    start = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = streams.get_shard_iterator(**start)["ShardIterator"]
    while iterator is not None:
        page = streams.get_records(ShardIterator=iterator, Limit=7)
        if not page["Records"]:
            time.sleep(0.05)
        yield from page["Records"]
        iterator = page.get("NextShardIterator")


def image(record, name):
    return plain(record["dynamodb"][name]) if name in record["dynamodb"] else None
