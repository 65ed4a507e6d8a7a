"""Several changes or none of them, and several items as of one moment."""

import uuid

from readings import READINGS, TABLE, holds, key_of, only, refused, same
from writes import plain

CHECKED = READINGS[2]
COUNTER = {"station": "tally", "hour": 0}
LOGGED = {"station": "tally", "hour": 1, "text": "counted"}

# Written by an earlier step.
REMOVED = {"station": "types", "hour": 0}


def transaction(condition):
    """One change of each kind, and all of it only if the condition holds."""
    update = {
        "Key": COUNTER,
        "UpdateExpression": "ADD transactions :one",
        "ExpressionAttributeValues": {":one": 1},
    }
    check = {
        "Key": key_of(CHECKED),
        "ConditionExpression": condition,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    delete = {"Key": REMOVED, "ConditionExpression": "attribute_exists(station)"}
    actions = {"Update": update, "ConditionCheck": check, "Put": {"Item": LOGGED}, "Delete": delete}
    return [{kind: {"TableName": TABLE} | action} for kind, action in actions.items()]


def counted(clients):
    """How often a transaction has counted; nothing if there is no item."""
    return clients.table.get_item(Key=COUNTER, ConsistentRead=True).get("Item", {}).get("transactions")


def cancel(clients):
    """The SDK's own exception has the reasons, and in them the item, if asked."""
    canceled = refused(
        clients.client.exceptions.TransactionCanceledException,
        clients.resource.meta.client.transact_write_items,
        TransactItems=transaction("attribute_not_exists(station)"),
    )
    reasons = canceled.response["CancellationReasons"]
    same("the codes", [reason["Code"] for reason in reasons], ["None", "ConditionalCheckFailed", "None", "None"])
    same("the reason", reasons[1]["Message"], "The conditional request failed")
    same("the reason's item", plain(reasons[1]["Item"]), CHECKED)
    same("what was counted", counted(clients), None)
    return canceled.response["Error"]["Message"]


def write(clients):
    send, token = clients.resource.meta.client.transact_write_items, str(uuid.uuid4())
    request = {"TransactItems": transaction("attribute_exists(station)"), "ReturnConsumedCapacity": "TOTAL"}
    for _ in range(2):
        [consumed] = send(**request, ClientRequestToken=token)["ConsumedCapacity"]
        holds("a transaction consumes twice the units of its changes", consumed["CapacityUnits"] >= 8)
    same("what was counted", counted(clients), 1)
    refused(
        clients.client.exceptions.IdempotentParameterMismatchException,
        send,
        TransactItems=transaction("attribute_not_exists(station)"),
        ClientRequestToken=token,
    )
    return "done once, and IdempotentParameterMismatchException for another with its token"


def get(clients):
    gets = [
        {"Key": COUNTER},
        {"Key": key_of(LOGGED)},
        {"Key": key_of(CHECKED), "ProjectionExpression": "celsius"},
        {"Key": REMOVED},
    ]
    request = [{"Get": {"TableName": TABLE} | get} for get in gets]
    responses = clients.resource.meta.client.transact_get_items(TransactItems=request)["Responses"]
    wanted = [COUNTER | {"transactions": 1}, LOGGED, only(CHECKED, "celsius"), None]
    same("the items", [response.get("Item") for response in responses], wanted)
    return "three items, and none where it was deleted"
