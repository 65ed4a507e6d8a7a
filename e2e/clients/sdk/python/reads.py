"""Reads of items."""

from concurrent.futures import ThreadPoolExecutor

from boto3.dynamodb.conditions import Attr, Key
from readings import LOCAL_INDEX, READINGS, TABLE, holds, key_of, only, same, same_readings

SEGMENTS = 4
ATTEMPTS_MOST = 8


def get(clients):
    for consistent in [True, False]:
        got = clients.table.get_item(Key=key_of(READINGS[0]), ConsistentRead=consistent)
        same("the item", got["Item"], READINGS[0])
    missing = clients.table.get_item(Key={"station": "nowhere", "hour": 0})
    holds("there is no item", "Item" not in missing)
    return "the item twice, and none where there is none"


def batch_get(clients):
    wanted, found = READINGS[:100], []
    left = {TABLE: {"Keys": [key_of(item) for item in wanted], "ConsistentRead": True}}
    for _ in range(ATTEMPTS_MOST):
        got = clients.resource.batch_get_item(RequestItems=left)
        found += got["Responses"][TABLE]
        left = got["UnprocessedKeys"]
        if not left:
            break
    same_readings(found, wanted)
    return f"{len(found)} items"


def paged(clients, operation, page_size=None, **request):
    """The paginator of the resource's client, which knows its types."""
    paginator = clients.resource.meta.client.get_paginator(operation)
    return list(paginator.paginate(TableName=TABLE, PaginationConfig={"PageSize": page_size}, **request))


def items(pages):
    return [item for page in pages for item in page["Items"]]


def query(clients):
    pages = paged(
        clients,
        "query",
        page_size=8,
        KeyConditionExpression=Key("station").eq("north") & Key("hour").between(3, 22),
        FilterExpression=Attr("celsius").ne(0) & Attr("note").begins_with("north "),
        ProjectionExpression="#hour, celsius",
        ExpressionAttributeNames={"#hour": "hour"},
        ScanIndexForward=False,
    )
    wanted = [
        only(item, "hour", "celsius")
        for item in reversed(READINGS)
        if item["station"] == "north" and 3 <= item["hour"] <= 22 and item["celsius"] != 0
    ]
    same("the items, backward", items(pages), wanted)
    same("what was read of each page", [page["ScannedCount"] for page in pages], [8, 8, 4])
    return f"{len(wanted)} items in pages of {[page['Count'] for page in pages]}"


def query_local_index(clients):
    """In the index's order, with what the index has; asked for all attributes, with those of the table."""
    request = {
        "IndexName": LOCAL_INDEX,
        "KeyConditionExpression": Key("station").eq("south") & Key("celsius").gte(0),
        "ScanIndexForward": False,
        "ConsistentRead": True,
    }
    wanted = [item for item in READINGS if item["station"] == "south" and item["celsius"] >= 0]
    wanted.sort(key=lambda item: item["celsius"], reverse=True)
    found = items(paged(clients, "query", page_size=5, **request))
    same("the items", found, [only(item, "station", "hour", "celsius") for item in wanted])
    warmest = clients.table.query(**request, Select="ALL_ATTRIBUTES", Limit=2)
    same("the warmest, whole", warmest["Items"], wanted[:2])
    return f"{len(found)} items from {found[0]['celsius']} °C down"


def scan(clients):
    pages = paged(clients, "scan")
    same_readings(items(pages))
    holds("more than 1 MB came in one page", len(pages) > 1)
    return f"{len(items(pages))} items in {len(pages)} pages"


def scan_segments(clients):
    def scanned(segment):
        request = {"Segment": segment, "TotalSegments": SEGMENTS, "ConsistentRead": True}
        return items(paged(clients, "scan", page_size=10, **request))

    with ThreadPoolExecutor(SEGMENTS) as pool:
        found = [item for segment in pool.map(scanned, range(SEGMENTS)) for item in segment]
    same_readings(found)
    return f"{len(found)} items in {SEGMENTS} segments"


def execute_statement(clients):
    selected = clients.resource.meta.client.execute_statement(
        Statement=f'SELECT * FROM "{TABLE}" WHERE station = ? AND "hour" >= ?', Parameters=["west", 28]
    )
    same_readings(selected["Items"], READINGS[-2:])
    return f"{len(selected['Items'])} items"
