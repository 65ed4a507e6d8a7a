"""All ten types, every everyday operation and pagination through an unmodified boto3."""
import boto3
from boto3.dynamodb.conditions import Attr, Key
from decimal import Decimal
dynamodb = boto3.resource("dynamodb")
table = dynamodb.create_table(
    TableName="boto", BillingMode="PAY_PER_REQUEST",
    AttributeDefinitions=[{"AttributeName": "Id", "AttributeType": "S"}, {"AttributeName": "At", "AttributeType": "N"}],
    KeySchema=[{"AttributeName": "Id", "KeyType": "HASH"}, {"AttributeName": "At", "KeyType": "RANGE"}])
table.wait_until_exists()
everything = {"Id": "all", "At": 1, "S": "text", "N": Decimal("1.5"), "B": b"\x00\xff", "BOOL": True, "NULL": None,
              "SS": {"a", "b"}, "NS": {1, 2}, "BS": {b"x"}, "L": [1, "two", [3]], "M": {"nested": {"deep": Decimal("-1E-130")}}}
table.put_item(Item=everything)
item = table.get_item(Key={"Id": "all", "At": 1}, ConsistentRead=True)["Item"]
item["B"], item["BS"] = item["B"].value, {binary.value for binary in item["BS"]}
assert item == everything, item
with table.batch_writer() as batch:
    for at in range(1, 121):
        batch.put_item(Item={"Id": "many", "At": at, "Even": at % 2 == 0})
pages = dynamodb.meta.client.get_paginator("query").paginate(
    TableName="boto", KeyConditionExpression=Key("Id").eq("many") & Key("At").between(11, 110),
    FilterExpression=Attr("Even").eq(True), PaginationConfig={"PageSize": 7})
found = [item["At"] for page in pages for item in page["Items"]]
assert found == list(range(12, 111, 2)), found
answer = table.update_item(Key={"Id": "many", "At": 7}, UpdateExpression="SET #l = list_append(if_not_exists(#l, :empty), :x) REMOVE Even",
    ExpressionAttributeNames={"#l": "List"}, ExpressionAttributeValues={":empty": [], ":x": ["y"]}, ReturnValues="ALL_NEW")
assert answer["Attributes"] == {"Id": "many", "At": 7, "List": ["y"]}, answer
try:
    table.delete_item(Key={"Id": "many", "At": 7}, ConditionExpression=Attr("List").contains("z"))
    raise SystemExit("a failed condition passed")
except dynamodb.meta.client.exceptions.ConditionalCheckFailedException:
    pass
counts = [dynamodb.meta.client.scan(TableName="boto", Segment=n, TotalSegments=4, Select="COUNT", ConsistentRead=True)["Count"] for n in range(4)]
assert sum(counts) == 121, counts
batch = dynamodb.batch_get_item(RequestItems={"boto": {"Keys": [{"Id": "many", "At": at} for at in range(1, 101)], "ConsistentRead": True}})
assert len(batch["Responses"]["boto"]) == 100
table.delete()
table.wait_until_not_exists()
print("fine")
