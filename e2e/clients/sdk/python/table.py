"""The table itself."""

from datetime import datetime, timedelta, timezone

import boto3
from readings import LOCAL_INDEX, TABLE, holds, refused, same

PATIENCE = {"Delay": 1, "MaxAttempts": 20}


def key(name, role):
    return {"AttributeName": name, "KeyType": role}


DEFINITION = {
    "TableName": TABLE,
    "AttributeDefinitions": [
        {"AttributeName": "celsius", "AttributeType": "N"},
        {"AttributeName": "hour", "AttributeType": "N"},
        {"AttributeName": "station", "AttributeType": "S"},
    ],
    "KeySchema": [key("station", "HASH"), key("hour", "RANGE")],
    "LocalSecondaryIndexes": [
        {
            "IndexName": LOCAL_INDEX,
            "KeySchema": [key("station", "HASH"), key("celsius", "RANGE")],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
}


def refuse_strangers(clients):
    stranger = boto3.client("dynamodb", aws_secret_access_key="not the secret", aws_access_key_id=access_key())
    error = refused(clients.client.exceptions.ClientError, stranger.list_tables)
    same("the code", error.response["Error"]["Code"], "InvalidSignatureException")
    return error.response["Error"]["Code"]


def access_key():
    return boto3.Session().get_credentials().access_key


def create(clients):
    created = clients.resource.create_table(**DEFINITION)
    same("the status", created.table_status, "CREATING")
    created.wait_until_exists(WaiterConfig=PATIENCE)
    created.reload()
    return created.table_status


def create_again(clients):
    error = refused(clients.client.exceptions.ResourceInUseException, clients.client.create_table, **DEFINITION)
    return error.response["Error"]["Message"]


def list_and_describe(clients):
    pages = clients.client.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 1})
    listed = [name for page in pages for name in page["TableNames"]]
    holds(f"{TABLE} is not among {listed}", TABLE in listed)
    table = clients.client.describe_table(TableName=TABLE)["Table"]
    same("the key schema", table["KeySchema"], DEFINITION["KeySchema"])
    attributes = sorted(table["AttributeDefinitions"], key=lambda attribute: attribute["AttributeName"])
    same("the attributes", attributes, DEFINITION["AttributeDefinitions"])
    [wanted] = DEFINITION["LocalSecondaryIndexes"]
    indexes = [{name: index[name] for name in wanted} for index in table["LocalSecondaryIndexes"]]
    same("the local indexes", indexes, [wanted])
    same("the billing mode", table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST")
    age = datetime.now(timezone.utc) - table["CreationDateTime"]
    holds(f"a table made just now is {age} old", timedelta(seconds=-1) < age < timedelta(seconds=61))
    return table["TableArn"]


def set_time_to_live(clients):
    describe = lambda: clients.client.describe_time_to_live(TableName=TABLE)["TimeToLiveDescription"]  # noqa: E731
    same("before", describe(), {"TimeToLiveStatus": "DISABLED"})
    wanted = {"AttributeName": "expires", "Enabled": True}
    updated = clients.client.update_time_to_live(TableName=TABLE, TimeToLiveSpecification=wanted)
    same("the specification", updated["TimeToLiveSpecification"], wanted)
    after = describe()
    same("the attribute", after["AttributeName"], "expires")
    holds(f"{after} is not what was asked for", after["TimeToLiveStatus"] in ["ENABLING", "ENABLED"])
    return f"by expires, {after['TimeToLiveStatus']}"


def delete(clients):
    clients.table.delete()
    clients.table.wait_until_not_exists(WaiterConfig=PATIENCE)
    error = refused(clients.client.exceptions.ResourceNotFoundException, clients.table.reload)
    return error.response["Error"]["Message"]
