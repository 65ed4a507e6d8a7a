"""All ten types, read back as they were written."""

from decimal import Decimal

from boto3.dynamodb.types import Binary
from readings import TABLE, key_of, only, same

DIGITS_38 = "-1234567890.1234567890123456789012345678"
TEXT = "ä, 語 and 🜁"


def read_as_written(clients):
    item = {
        "station": "types",
        "hour": 0,
        "text": TEXT,
        "number": Decimal(DIGITS_38),
        "binary": Binary(b"\x00\xff\x80"),
        "yes": True,
        "nothing": None,
        "list": ["a", Decimal("1.5"), [], None, False],
        "map": {"deep": {"a b.c[0]": 2}, "none": ""},
        "texts": {"", "a", "b"},
        "numbers": {Decimal(-1), Decimal("0.5"), Decimal(10)},
        "binaries": {Binary(b"\x00"), Binary(b"\x01\x02")},
    }
    clients.table.put_item(Item=item)
    got = clients.table.get_item(Key=key_of(item), ConsistentRead=True)
    same("the item", got["Item"], item)
    return "as written"


def read_below(clients):
    item = {
        "station": {"S": "types"},
        "hour": {"N": "1"},
        "text": {"S": TEXT},
        "number": {"N": DIGITS_38},
        "binary": {"B": b"\x00\xff\x80"},
        "yes": {"BOOL": True},
        "nothing": {"NULL": True},
        "list": {"L": [{"S": "a"}, {"N": "1.5"}, {"L": []}, {"NULL": True}, {"BOOL": False}]},
        "map": {"M": {"deep": {"M": {"a b.c[0]": {"N": "2"}}}, "none": {"S": ""}}},
        "texts": {"SS": ["", "a", "b"]},
        "numbers": {"NS": ["-1", "0.5", "10"]},
        "binaries": {"BS": [b"\x00", b"\x01\x02"]},
    }
    clients.client.put_item(TableName=TABLE, Item=item)
    found = clients.client.get_item(TableName=TABLE, Key=only(item, "station", "hour"), ConsistentRead=True)["Item"]
    # Sets have no order.
    found["texts"]["SS"].sort()
    found["numbers"]["NS"].sort(key=Decimal)
    found["binaries"]["BS"].sort()
    same("the item", found, item)
    return "as written"
