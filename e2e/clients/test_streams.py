"""DynamoDB Streams, by a consumer that knows nothing of Cairn."""

import threading
import time
import unittest

import suite
from botocore.exceptions import BotoCoreError, ClientError
from server import Server
from suite import Case, definition

STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


class Consumer:
    """Reads a stream from its beginning: every shard, each after the one whose place it took."""

    def __init__(self, streams, arn):
        self.streams = streams
        self.arn = arn
        self.iterators = {}
        self.ended = set()
        self.records = []

    def shards(self):
        request = {"StreamArn": self.arn, "Limit": 100}
        while True:
            description = self.streams().describe_stream(**request)["StreamDescription"]
            yield from description["Shards"]
            last = description.get("LastEvaluatedShardId")
            if last is None:
                return
            request["ExclusiveStartShardId"] = last

    def read(self):
        """One page of every shard that is open; how many records there were."""
        for shard in self.shards():
            name, parent = shard["ShardId"], shard.get("ParentShardId")
            if name not in self.iterators and (parent is None or parent in self.ended):
                request = {"StreamArn": self.arn, "ShardId": name, "ShardIteratorType": "TRIM_HORIZON"}
                self.iterators[name] = self.streams().get_shard_iterator(**request)["ShardIterator"]
        found = 0
        for name, iterator in list(self.iterators.items()):
            if name in self.ended:
                continue
            page = self.streams().get_records(ShardIterator=iterator, Limit=37)
            self.records += page["Records"]
            found += len(page["Records"])
            if "NextShardIterator" in page:
                self.iterators[name] = page["NextShardIterator"]
            else:
                self.ended.add(name)
        return found


def enable(client, name):
    """A table with a stream; gives the stream's ARN."""
    client.create_table(**definition(name, StreamSpecification=STREAM))
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    return client.describe_table(TableName=name)["Table"]["LatestStreamArn"]


class Streams(Case):
    tables = {}

    def setUp(self):
        self.addCleanup(self.client.delete_table, TableName="changes")
        self.arn = enable(self.client, "changes")

    def test_a_life_of_an_item_is_read(self):
        key = {"h": {"S": "a"}}
        self.client.put_item(TableName="changes", Item=key | {"n": {"N": "1"}})
        self.client.put_item(TableName="changes", Item=key | {"n": {"N": "1"}})
        update = {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": {"N": "2"}}}
        self.client.update_item(TableName="changes", Key=key, **update)
        self.client.delete_item(TableName="changes", Key=key)
        consumer = Consumer(self.server.streams, self.arn)
        consumer.read()
        seen = [
            (record["eventName"], record["dynamodb"].get("OldImage"), record["dynamodb"].get("NewImage"))
            for record in consumer.records
        ]
        first, second = key | {"n": {"N": "1"}}, key | {"n": {"N": "2"}}
        self.assertEqual(seen, [("INSERT", None, first), ("MODIFY", first, second), ("REMOVE", second, None)])
        self.assertEqual([record["dynamodb"]["Keys"] for record in consumer.records], [key] * 3)

    def test_the_streams_of_an_account_are_listed_and_a_disabled_one_ends(self):
        self.client.put_item(TableName="changes", Item={"h": {"S": "a"}})
        listed = self.server.streams().list_streams(TableName="changes")["Streams"]
        self.assertEqual(listed[-1]["StreamArn"], self.arn, "behind those of the tables of this name that were deleted")
        self.client.update_table(TableName="changes", StreamSpecification={"StreamEnabled": False})
        self.client.get_waiter("table_exists").wait(TableName="changes", WaiterConfig={"Delay": 1})
        table = self.client.describe_table(TableName="changes")["Table"]
        self.assertNotIn("StreamSpecification", table)
        self.assertEqual(table["LatestStreamArn"], self.arn)
        consumer = Consumer(self.server.streams, self.arn)
        while consumer.read():
            pass
        self.assertEqual(len(consumer.records), 1)
        self.assertEqual(consumer.ended, set(consumer.iterators))
        description = self.server.streams().describe_stream(StreamArn=self.arn)["StreamDescription"]
        self.assertEqual(description["StreamStatus"], "DISABLED")

    def test_a_deleted_tables_stream_is_read_to_its_end(self):
        self.client.put_item(TableName="changes", Item={"h": {"S": "a"}})
        consumer = Consumer(self.server.streams, self.arn)
        consumer.read()
        self.client.delete_item(TableName="changes", Key={"h": {"S": "a"}})
        self.client.delete_table(TableName="changes")
        self.client.get_waiter("table_not_exists").wait(TableName="changes", WaiterConfig={"Delay": 1})
        enable(self.client, "changes")
        while consumer.read():
            pass
        self.assertEqual([record["eventName"] for record in consumer.records], ["INSERT", "REMOVE"])
        self.assertEqual(consumer.ended, set(consumer.iterators))
        description = self.server.streams().describe_stream(StreamArn=self.arn)["StreamDescription"]
        self.assertEqual(description["StreamStatus"], "DISABLED")
        self.assertIn("EndingSequenceNumber", description["Shards"][0]["SequenceNumberRange"])
        listed = self.server.streams().list_streams()["Streams"]
        self.assertIn(self.arn, [stream["StreamArn"] for stream in listed])

    def test_what_is_not_there_is_refused_with_the_services_own_exceptions(self):
        streams = self.server.streams()
        other = self.arn[:-1] + str((int(self.arn[-1]) + 1) % 10)
        with self.assertRaises(streams.exceptions.ResourceNotFoundException):
            streams.describe_stream(StreamArn=other)
        with self.assertRaises(ClientError) as refused:
            streams.get_records(ShardIterator="none")
        self.assertEqual(refused.exception.response["Error"]["Code"], "ValidationException")


class Busy(unittest.TestCase):
    """A table that is written to while its only replica is killed again and again."""

    WRITERS = 4
    WRITES = 150
    KILLS = 3

    def setUp(self):
        self.server = Server(suite.PROGRAM)
        self.addCleanup(self.server.remove)
        self.alive = threading.Event()
        self.alive.set()
        self.errors = []

    def write(self, writer):
        """Numbers that rise by one; one that was perhaps written is written again, which changes nothing then."""
        try:
            number = 1
            while number <= self.WRITES:
                self.alive.wait(60)
                try:
                    client = self.server.client()
                    while number <= self.WRITES:
                        item = {"h": {"S": f"item-{writer}"}, "n": {"N": str(number)}}
                        client.put_item(TableName="busy", Item=item)
                        number += 1
                        time.sleep(0.005)
                except (BotoCoreError, ClientError):
                    time.sleep(0.05)
        except Exception as error:  # noqa: BLE001: told by the test
            self.errors.append(error)

    def test_a_consumer_meets_every_change_once_and_in_order(self):
        arn = enable(self.server.client(), "busy")
        consumer = Consumer(self.server.streams, arn)
        writers = [threading.Thread(target=self.write, args=(writer,)) for writer in range(self.WRITERS)]
        for writer in writers:
            writer.start()
        expected, kills = self.WRITERS * self.WRITES, 0
        deadline = time.monotonic() + 120
        while len(consumer.records) < expected and time.monotonic() < deadline and not self.errors:
            if kills < self.KILLS and len(consumer.records) > (kills + 1) * expected // (self.KILLS + 2):
                self.alive.clear()
                self.server.kill()
                self.server.start()
                self.alive.set()
                kills += 1
            try:
                consumer.read()
            except (BotoCoreError, ClientError):
                time.sleep(0.05)
        for writer in writers:
            writer.join(60)
        self.assertEqual((self.errors, kills), ([], self.KILLS))
        consumer.read()
        numbers = {}
        for record in consumer.records:
            image = record["dynamodb"]["NewImage"]
            numbers.setdefault(image["h"]["S"], []).append(int(image["n"]["N"]))
        every = list(range(1, self.WRITES + 1))
        self.assertEqual(numbers, {f"item-{writer}": every for writer in range(self.WRITERS)})
        self.assertEqual(len({record["eventID"] for record in consumer.records}), expected)
