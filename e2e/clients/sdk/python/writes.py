"""Changes of items."""

from decimal import Decimal

import boto3
from boto3.dynamodb.conditions import Attr
from boto3.dynamodb.types import TypeDeserializer
from botocore.config import Config
from readings import READINGS, TABLE, holds, key_of, refused, same
from table import PATIENCE

# What the table has unused when it is throttled lasts for fewer.
PUTS_MOST = 200


def put_one(clients):
    def put(item):
        return clients.table.put_item(Item=item, ReturnValues="ALL_OLD", ReturnConsumedCapacity="TOTAL")

    earlier = READINGS[0] | {"celsius": Decimal(-100)}
    first = put(earlier)
    holds("there was no item before the first", "Attributes" not in first)
    holds("a put consumes write units", first["ConsumedCapacity"]["CapacityUnits"] >= 1)
    same("the item before the second", put(READINGS[0])["Attributes"], earlier)
    return "the second gave the first"


def batch_write(clients):
    """The writer itself sends again what is unprocessed."""
    with clients.table.batch_writer() as writer:
        for item in READINGS[1:]:
            writer.put_item(Item=item)
    return f"{len(READINGS) - 1} items"


def update(clients):
    updated = clients.table.update_item(
        Key=key_of(READINGS[0]),
        UpdateExpression="SET celsius = celsius + :warmer, #log = list_append(if_not_exists(#log, :none), :entry)"
        " ADD changes :one REMOVE note",
        ConditionExpression=Attr("station").exists() & Attr("celsius").lt(0),
        ExpressionAttributeNames={"#log": "log"},
        ExpressionAttributeValues={":warmer": Decimal("1.25"), ":none": [], ":entry": ["warmer"], ":one": 1},
        ReturnValues="UPDATED_NEW",
    )
    wanted = {"celsius": READINGS[0]["celsius"] + Decimal("1.25"), "log": ["warmer"], "changes": 1}
    same("the updated attributes", updated["Attributes"], wanted)
    return ", ".join(wanted)


def fail_conditions(clients):
    """Of a put, an update and a delete; the exception has the item, if asked."""
    item = READINGS[1]
    condition = {
        "ConditionExpression": Attr("station").not_exists(),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    calls = [
        (clients.table.put_item, {"Item": item}),
        (clients.table.update_item, {"Key": key_of(item), "UpdateExpression": "REMOVE note"}),
        (clients.table.delete_item, {"Key": key_of(item)}),
    ]
    for call, request in calls:
        failed = refused(clients.client.exceptions.ConditionalCheckFailedException, call, **request, **condition)
        same("the exception's item", plain(failed.response["Item"]), item)
    return failed.response["Error"]["Message"]


def plain(attributes):
    """What an exception or a stream has of an item, as the resource would give it."""
    return {name: TypeDeserializer().deserialize(value) for name, value in attributes.items()}


def delete_one(clients):
    def remove():
        return clients.table.delete_item(Key=key_of(READINGS[-1]), ReturnValues="ALL_OLD").get("Attributes")

    same("the deleted item", remove(), READINGS[-1])
    same("the second time", remove(), None)
    return "gave the item, then nothing"


def put_throttled(clients):
    """A client that tries once is refused; one that tries again, as they all do if left alone, gets through."""
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    clients.client.update_table(TableName=TABLE, BillingMode="PROVISIONED", ProvisionedThroughput=units)
    clients.client.get_waiter("table_exists").wait(TableName=TABLE, WaiterConfig=PATIENCE)
    item = {"station": "busy", "hour": 0, "note": "5 units, " * 500}

    def trying(attempts):
        retries = {"total_max_attempts": attempts, "mode": "standard"}
        return boto3.resource("dynamodb", config=Config(retries=retries)).Table(TABLE)

    def exhaust():
        impatient = trying(1)
        for _ in range(PUTS_MOST):
            impatient.put_item(Item=item)

    throttled = refused(clients.client.exceptions.ProvisionedThroughputExceededException, exhaust)
    [reason] = throttled.response["ThrottlingReasons"]
    same("the reason", reason["reason"], "TableWriteProvisionedThroughputExceeded")
    put = trying(10).put_item(Item=item)
    holds("it was tried again", put["ResponseMetadata"]["RetryAttempts"] > 0)
    return f"{throttled.response['Error']['Code']}, then retried"
