"""The AWS CLI, with nothing set but what `cairn dev` says to set."""

import json
import os
import subprocess

import suite
from suite import Case


class CommandLine(Case):
    tables = {}

    def aws(self, *arguments, service="dynamodb"):
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment = inherited | self.server.environment | {"AWS_MAX_ATTEMPTS": "1", "AWS_CONFIG_FILE": os.devnull}
        program = os.path.join(suite.PROGRAMS, "aws")
        command = [program, service, *arguments, "--output", "json"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    def done(self, *arguments, service="dynamodb"):
        ended = self.aws(*arguments, service=service)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return json.loads(ended.stdout) if ended.stdout else None

    def test_a_tables_life(self):
        table = ["--table-name", "cli"]
        self.done(
            "create-table",
            *table,
            *["--attribute-definitions", "AttributeName=h,AttributeType=S"],
            *["--key-schema", "AttributeName=h,KeyType=HASH"],
            *["--billing-mode", "PAY_PER_REQUEST"],
        )
        self.done("wait", "table-exists", *table)
        self.done("put-item", *table, "--item", '{"h": {"S": "ä"}, "l": {"L": [{"NULL": true}]}}')
        key = ["--key", '{"h": {"S": "ä"}}']
        self.assertEqual(self.done("get-item", *table, *key)["Item"]["l"], {"L": [{"NULL": True}]})
        update = ["--update-expression", "SET n = :n", "--expression-attribute-values", '{":n": {"N": "1.50"}}']
        updated = self.done("update-item", *table, *key, *update, "--return-values", "UPDATED_NEW")
        self.assertEqual(updated["Attributes"], {"n": {"N": "1.5"}})
        self.assertEqual(self.done("scan", *table)["Count"], 1)
        failed = self.aws("put-item", *table, "--item", '{"x": {"S": "y"}}')
        self.assertGreaterEqual(failed.returncode, 254)
        self.assertIn("(ValidationException) when calling the PutItem operation", failed.stderr)
        self.assertIn("cli", self.done("list-tables")["TableNames"])
        self.done("delete-table", *table)
        self.done("wait", "table-not-exists", *table)

    def test_indexes_transactions_and_a_stream(self):
        name, table = "cli.readings", ["--table-name", "cli.readings"]
        names = {"station": "S", "hour": "N", "celsius": "N"}
        keys = lambda sort: [  # noqa: E731
            {"AttributeName": "station", "KeyType": "HASH"},
            {"AttributeName": sort, "KeyType": "RANGE"},
        ]
        index = {"IndexName": "by-celsius", "KeySchema": keys("celsius"), "Projection": {"ProjectionType": "KEYS_ONLY"}}
        self.done(
            "create-table",
            *table,
            *["--attribute-definitions", *[f"AttributeName={key},AttributeType={kind}" for key, kind in names.items()]],
            *["--key-schema", json.dumps(keys("hour"))],
            *["--local-secondary-indexes", json.dumps([index])],
            *["--stream-specification", "StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES"],
            *["--billing-mode", "PAY_PER_REQUEST"],
        )
        self.addCleanup(self.done, "delete-table", *table)
        self.done("wait", "table-exists", *table)

        reading = lambda hour, celsius, note="": {  # noqa: E731
            "station": {"S": "east"},
            "hour": {"N": str(hour)},
            "celsius": {"N": str(celsius)},
            "note": {"S": note},
        }
        without = lambda item, *left: {name: value for name, value in item.items() if name not in left}  # noqa: E731
        cold, warm, mild = reading(0, -3.5), reading(1, 20), reading(2, 9)
        puts = [{"PutRequest": {"Item": item}} for item in [cold, warm, mild]]
        self.done("batch-write-item", "--request-items", json.dumps({name: puts}))
        found = self.done(
            "query",
            *table,
            *["--index-name", "by-celsius", "--no-scan-index-forward", "--page-size", "1"],
            *["--key-condition-expression", "station = :station"],
            *["--expression-attribute-values", '{":station": {"S": "east"}}'],
        )
        self.assertEqual(found["Items"], [without(item, "note") for item in [warm, mild, cold]])

        delete = {"TableName": name, "Key": without(mild, "celsius", "note")}
        put = {"TableName": name, "Item": cold | {"note": {"S": "frost"}}, "ConditionExpression": "attribute_not_exists(station)"}
        actions = lambda: json.dumps([{"Delete": delete}, {"Put": put}])  # noqa: E731
        canceled = self.aws("transact-write-items", "--transact-items", actions())
        self.assertGreaterEqual(canceled.returncode, 254)
        self.assertIn("(TransactionCanceledException) when calling the TransactWriteItems operation", canceled.stderr)
        self.assertIn("[None, ConditionalCheckFailed]", canceled.stderr)
        # What the first changes would let the second fail.
        put["ConditionExpression"] = "note = :none"
        put["ExpressionAttributeValues"] = {":none": {"S": ""}}
        for _ in range(2):
            self.done("transact-write-items", "--transact-items", actions(), "--client-request-token", "cli")
        gets = [{"Get": {"TableName": name, "Key": without(item, "celsius", "note")}} for item in [cold, mild]]
        responses = self.done("transact-get-items", "--transact-items", json.dumps(gets))["Responses"]
        self.assertEqual(responses, [{"Item": put["Item"]}, {}])

        self.done("update-time-to-live", *table, "--time-to-live-specification", "Enabled=true,AttributeName=expires")
        description = self.done("describe-time-to-live", *table)["TimeToLiveDescription"]
        self.assertEqual(description["AttributeName"], "expires")

        streams = lambda *arguments: self.done(*arguments, service="dynamodbstreams")  # noqa: E731
        [stream] = streams("list-streams", *table)["Streams"]
        arn = ["--stream-arn", stream["StreamArn"]]
        [shard] = streams("describe-stream", *arn)["StreamDescription"]["Shards"]
        start = ["--shard-id", shard["ShardId"], "--shard-iterator-type", "TRIM_HORIZON"]
        iterator = streams("get-shard-iterator", *arn, *start)["ShardIterator"]
        records = streams("get-records", "--shard-iterator", iterator)["Records"]
        seen = [
            (record["eventName"], record["dynamodb"].get("OldImage"), record["dynamodb"].get("NewImage"))
            for record in records
        ]
        inserted = [("INSERT", None, item) for item in [cold, warm, mild]]
        changed = [("MODIFY", cold, put["Item"]), ("REMOVE", mild, None)]
        # Those of one batch, and those of one transaction, are in any order.
        self.assertCountEqual(seen[:3], inserted)
        self.assertCountEqual(seen[3:], changed)
