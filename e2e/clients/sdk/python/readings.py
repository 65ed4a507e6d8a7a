"""What the table holds: more than one page of 1 MB, in 4 partition keys."""

from decimal import Decimal
from typing import Any, NamedTuple
from unittest import TestCase

TABLE = "readings.python"

# By celsius; it has the keys alone.
LOCAL_INDEX = "by-celsius"

HOURS = 30


class Clients(NamedTuple):
    """What the steps share."""

    client: Any
    resource: Any
    table: Any
    streams: Any


def celsius_at(hour):
    """No two of a station's are alike, and their order is not that of its hours: an index by them has an order of its own."""
    return Decimal(hour * 7 % HOURS) / 4 - 3


READINGS = [
    {"station": station, "hour": hour, "celsius": celsius_at(hour), "note": f"{station} {hour}, " * 1200}
    for station in ["east", "north", "south", "west"]
    for hour in range(HOURS)
]


def only(item, *names):
    return {name: item[name] for name in names}


def key_of(item):
    return only(item, "station", "hour")


def same(what, found, wanted):
    TestCase().assertEqual(found, wanted, what)


def same_readings(items, wanted=None):
    """That these items are the readings, in whatever order."""
    found = sorted(items, key=lambda item: (item["station"], item["hour"]))
    same("the readings", found, READINGS if wanted is None else wanted)


def holds(what, held):
    TestCase().assertTrue(held, what)


def refused(error, call, **request):
    """The exception of this type, and no other, that the call ends in."""
    with TestCase().assertRaises(error) as raised:
        call(**request)
    return raised.exception
