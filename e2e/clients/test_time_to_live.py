"""Items that expire, with a server that looks for them often."""

import time

import suite
from server import Server
from suite import Case, definition

NAME = "Expiring"
ANOTHER = "TimeToLive is active on a different AttributeName: current AttributeName is ends"


def seconds_from_now(seconds):
    return {"N": str(int(time.time()) + seconds)}


class TimeToLive(Case):
    tables = {}

    @classmethod
    def setUpClass(cls):
        cls.server = Server(suite.PROGRAM, arguments=["--ttl-interval-ms", "50"])
        cls.client = cls.server.client()

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.remove()

    def setUp(self):
        self.client.create_table(**definition(NAME))
        self.client.get_waiter("table_exists").wait(TableName=NAME, WaiterConfig={"Delay": 1})
        self.addCleanup(self.client.delete_table, TableName=NAME)

    def turn(self, enabled, attribute="ends"):
        specification = {"AttributeName": attribute, "Enabled": enabled}
        answer = self.client.update_time_to_live(TableName=NAME, TimeToLiveSpecification=specification)
        self.assertEqual(answer["TimeToLiveSpecification"], specification)
        self.eventually(lambda: self.described()["TimeToLiveStatus"] == ("ENABLED" if enabled else "DISABLED"))

    def described(self):
        return self.client.describe_time_to_live(TableName=NAME)["TimeToLiveDescription"]

    def put(self, key, ends):
        self.client.put_item(TableName=NAME, Item={"h": {"S": key}, "ends": ends})

    def keys(self):
        return {item["h"]["S"] for item in self.client.scan(TableName=NAME, ConsistentRead=True)["Items"]}

    def eventually(self, is_so):
        for _ in range(400):
            if is_so():
                return
            time.sleep(0.025)
        self.fail("waited in vain")

    def test_items_go_when_their_time_has_come_and_not_before(self):
        self.put("before", seconds_from_now(-10))
        self.put("ancient", {"N": "1000"})
        self.put("text", {"S": str(int(time.time()) - 10)})
        self.put("later", seconds_from_now(3_600))
        self.turn(True)
        self.put("extended", seconds_from_now(2))
        self.put("soon", seconds_from_now(2))
        self.assertLessEqual({"extended", "soon"}, self.keys())
        self.client.update_item(
            TableName=NAME,
            Key={"h": {"S": "extended"}},
            UpdateExpression="SET ends = :later",
            ExpressionAttributeValues={":later": seconds_from_now(3_600)},
        )
        left = {"ancient", "text", "later", "extended"}
        self.eventually(lambda: self.keys() == left)
        self.assertEqual(self.client.describe_table(TableName=NAME)["Table"]["ItemCount"], len(left))

    def test_many_go_within_a_moment(self):
        self.turn(True)
        ended = seconds_from_now(-10)
        for first in range(0, 500, 25):
            puts = [{"PutRequest": {"Item": {"h": {"S": str(n)}, "ends": ended}}} for n in range(first, first + 25)]
            self.client.batch_write_item(RequestItems={NAME: puts})
        self.eventually(lambda: not self.keys())

    def test_settings_are_told_and_what_is_so_already_is_refused(self):
        self.assertEqual(self.described(), {"TimeToLiveStatus": "DISABLED"})
        update = self.client.update_time_to_live

        def refused(text, attribute, enabled):
            specification = {"AttributeName": attribute, "Enabled": enabled}
            self.refused("ValidationException", text, update, TableName=NAME, TimeToLiveSpecification=specification)

        refused("TimeToLive is already disabled", "ends", False)
        self.turn(True)
        self.assertEqual(self.described(), {"TimeToLiveStatus": "ENABLED", "AttributeName": "ends"})
        refused("TimeToLive is already enabled", "ends", True)
        refused(ANOTHER, "other", True)
        refused(ANOTHER, "other", False)
        self.turn(False)
        self.turn(True, "other")
        self.refused(
            "ResourceNotFoundException",
            "Requested resource not found: Table: missing not found",
            self.client.describe_time_to_live,
            TableName="missing",
        )
