"""What the tests share: the servers, started once, and tables of the usual shapes."""

import unittest

from server import Server
from wire import Wire

# Set by run.py.
PROGRAM = None
PROGRAMS = None
RIVAL = None
DYNALITE = None
S3_SERVER = None
SDK_JAVASCRIPT = None
SDK_GO = None
SDK_JAVA = None
SDK_RUST = None

_servers = {}


def server(credentials=False):
    if credentials not in _servers:
        _servers[credentials] = Server(PROGRAM, credentials)
    return _servers[credentials]


def remove_servers():
    for running in _servers.values():
        running.remove()
    _servers.clear()


def definition(name, partition="S", sort=None, **more):
    """CreateTable's request for keys h and r."""
    keys = [("h", "HASH", partition)] + ([("r", "RANGE", sort)] if sort else [])
    return {
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": scalar} for key, _, scalar in keys],
        "KeySchema": [{"AttributeName": key, "KeyType": role} for key, role, _ in keys],
        "BillingMode": "PAY_PER_REQUEST",
    } | more


class Case(unittest.TestCase):
    """A test with a client, and with tables named after its class."""

    maxDiff = None
    tables = {"": ("S", None)}

    @classmethod
    def setUpClass(cls):
        cls.server = server()
        cls.client = cls.server.client()
        for suffix, (partition, sort, *more) in cls.tables.items():
            name = cls.__name__ + suffix
            cls.client.create_table(**definition(name, partition, sort, **(more[0] if more else {})))
            cls.client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})

    @classmethod
    def tearDownClass(cls):
        for suffix in cls.tables:
            cls.client.delete_table(TableName=cls.__name__ + suffix)
        cls.client.close()

    @property
    def name(self):
        return type(self).__name__

    def wire(self):
        wire = Wire(self.server.host, self.server.port)
        self.addCleanup(wire.close)
        return wire

    def refused(self, error, text, call, **request):
        """The call ends in this exception with this text."""
        with self.assertRaises(self.client.exceptions.ClientError) as raised:
            call(**request)
        self.assertEqual(raised.exception.response["Error"]["Code"], error)
        if text is not None:
            self.assertEqual(raised.exception.response["Error"]["Message"], text)
        return raised.exception.response
