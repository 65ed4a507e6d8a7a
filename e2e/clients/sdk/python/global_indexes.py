"""Global indexes, on a table of their own: one from the start, and one that is added to what is there and deleted again."""

import time
from decimal import Decimal

from boto3.dynamodb.conditions import Key
from readings import READINGS, key_of, only, refused, same
from reads import items
from table import PATIENCE, key

TABLE = "stations.python"

# What all stations read at an hour, without their notes.
BY_HOUR = "by-hour"

# What a station read, as keys alone.
COLDEST_FIRST = "coldest-first"

GAUGED = [item | {"note": "not in an index"} for item in READINGS if item["hour"] < 6]
COLDEST = {"station": "east", "hour": 1, "celsius": Decimal(-40)}
GONE = {"station": "north", "hour": 1}

# As an index shows them.
LEFT = [
    COLDEST if key_of(item) == key_of(COLDEST) else only(item, "station", "hour", "celsius")
    for item in GAUGED
    if key_of(item) != GONE
]

AT_ONE = {"IndexName": BY_HOUR, "KeyConditionExpression": Key("hour").eq(1)}
EAST = {"IndexName": COLDEST_FIRST, "KeyConditionExpression": Key("station").eq("east")}

LOOKS_MOST = 400
LOOK_AGAIN_S = 0.05


def eventually(what, wanted, look):
    """An index follows its table: looks until it is as it should be. Gives the number of looks."""
    for looks in range(1, LOOKS_MOST):
        if look() == wanted:
            return looks
        time.sleep(LOOK_AGAIN_S)
    same(what, look(), wanted)
    return LOOKS_MOST


def wait_for(table, *names):
    """Waits until the table is active and has these indexes, each active."""

    def statuses():
        table.reload()
        indexes = table.global_secondary_indexes or []
        return {TABLE: table.table_status} | {index["IndexName"]: index["IndexStatus"] for index in indexes}

    return eventually("the statuses", dict.fromkeys([TABLE, *names], "ACTIVE"), statuses)


def queried(clients, request):
    pages = clients.resource.meta.client.get_paginator("query").paginate(
        TableName=TABLE, PaginationConfig={"PageSize": 2}, **request
    )
    return items(pages)


def refuse(clients, call, **request):
    error = refused(clients.client.exceptions.ClientError, call, **request)
    same("the code", error.response["Error"]["Code"], "ValidationException")


def create(clients):
    table = clients.resource.create_table(
        TableName=TABLE,
        AttributeDefinitions=[
            {"AttributeName": "hour", "AttributeType": "N"},
            {"AttributeName": "station", "AttributeType": "S"},
        ],
        KeySchema=[key("station", "HASH"), key("hour", "RANGE")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": BY_HOUR,
                "KeySchema": [key("hour", "HASH"), key("station", "RANGE")],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["celsius"]},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return f"{BY_HOUR} is ACTIVE at look {wait_for(table, BY_HOUR)}"


def query(clients):
    table = clients.resource.Table(TABLE)
    with table.batch_writer() as writer:
        for item in GAUGED:
            writer.put_item(Item=item)
    colder = {":celsius": COLDEST["celsius"]}
    table.update_item(
        Key=key_of(COLDEST), UpdateExpression="SET celsius = :celsius", ExpressionAttributeValues=colder
    )
    table.delete_item(Key=GONE)
    wanted = [item for item in LEFT if item["hour"] == 1]
    looks = eventually("the items", wanted, lambda: queried(clients, AT_ONE))
    refuse(clients, table.query, **AT_ONE, ConsistentRead=True)
    return f"as written at look {looks}, and ValidationException for a consistent read"


def add(clients):
    table = clients.resource.Table(TABLE)
    index = {
        "IndexName": COLDEST_FIRST,
        "KeySchema": [key("station", "HASH"), key("celsius", "RANGE")],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    table.update(
        AttributeDefinitions=[
            {"AttributeName": "celsius", "AttributeType": "N"},
            {"AttributeName": "station", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexUpdates=[{"Create": index}],
    )
    looks = wait_for(table, BY_HOUR, COLDEST_FIRST)
    wanted = sorted((item for item in LEFT if item["station"] == "east"), key=lambda item: item["celsius"])
    eventually("the items", wanted, lambda: queried(clients, EAST))
    return f"ACTIVE at look {looks}, and {len(wanted)} items in its order"


def delete(clients):
    table = clients.resource.Table(TABLE)
    table.update(GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": COLDEST_FIRST}}])
    looks = wait_for(table, BY_HOUR)
    refuse(clients, table.query, **EAST)
    table.delete()
    table.wait_until_not_exists(WaiterConfig=PATIENCE)
    return f"gone at look {looks}, then the table"
