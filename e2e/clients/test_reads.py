"""Query, Scan, batches, and what they cost."""

from boto3.dynamodb.conditions import Key
from suite import Case


def text(value):
    return {"S": value}


def number(value):
    return {"N": str(value)}


class Queries(Case):
    tables = {"": ("S", "N"), "Text": ("S", "S"), "Bytes": ("S", "B")}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.numbers = ["-1e125", "-5", "-4.5", "-1e-130", "0", "1e-130", "0.1", "1", "2", "10", "100", "1e125"]
        for position, value in enumerate(cls.numbers):
            for partition in "ab":
                item = {"h": text(partition), "r": number(value), "even": {"BOOL": position % 2 == 0}}
                cls.client.put_item(TableName=cls.__name__, Item=item)
        cls.texts = ["A", "Z", "a", "ab", "abc", "b", "é", "😀"]
        for value in cls.texts:
            cls.client.put_item(TableName=cls.__name__ + "Text", Item={"h": text("a"), "r": text(value)})
        cls.bytes = [b"\x00", b"\x00\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"\xff\xff"]
        for value in cls.bytes:
            cls.client.put_item(TableName=cls.__name__ + "Bytes", Item={"h": text("a"), "r": {"B": value}})

    def query(self, condition="h = :h", table="", **more):
        values = {":h": text("a")} | more.pop("values", {})
        request = {"KeyConditionExpression": condition, "ExpressionAttributeValues": values} | more
        return self.client.query(TableName=self.name + table, **request)

    def positions(self, page):
        """Where in `numbers` the items found are."""
        order = {float(value): at for at, value in enumerate(self.numbers)}
        return [order[float(item["r"]["N"])] for item in page["Items"]]

    def test_items_come_in_the_order_of_their_keys(self):
        everything = list(range(len(self.numbers)))
        self.assertEqual(self.positions(self.query()), everything)
        self.assertEqual(self.positions(self.query(ScanIndexForward=False)), everything[::-1])
        self.assertEqual([item["r"]["S"] for item in self.query(table="Text")["Items"]], self.texts)
        self.assertEqual([item["r"]["B"] for item in self.query(table="Bytes")["Items"]], self.bytes)

    def test_conditions_of_the_sort_key(self):
        one, ten = {":v": number(1)}, {":v": number(1), ":w": number(10)}
        for condition, values, positions in [
            ("r = :v", one, [7]),
            ("r < :v", one, [0, 1, 2, 3, 4, 5, 6]),
            ("r <= :v", one, [0, 1, 2, 3, 4, 5, 6, 7]),
            ("r > :v", one, [8, 9, 10, 11]),
            (":v <= r", one, [7, 8, 9, 10, 11]),
            ("r BETWEEN :v AND :w", ten, [7, 8, 9]),
        ]:
            with self.subTest(condition):
                self.assertEqual(self.positions(self.query(f"h = :h AND {condition}", values=values)), positions)
                down = self.query(f"{condition} AND h = :h", values=values, ScanIndexForward=False)
                self.assertEqual(self.positions(down), positions[::-1])
        begins = self.query("h = :h AND begins_with(r, :v)", "Text", values={":v": text("a")})
        self.assertEqual([item["r"]["S"] for item in begins["Items"]], ["a", "ab", "abc"])
        begins = self.query("h = :h AND begins_with(r, :v)", "Bytes", values={":v": {"B": b"\xff"}})
        self.assertEqual([item["r"]["B"] for item in begins["Items"]], [b"\xff", b"\xff\xff"])

    def test_pages_meet_without_a_gap_whatever_their_size(self):
        for limit in [1, 3, 11, 12, 13]:
            for forward in [True, False]:
                for filtered in [{}, {"FilterExpression": "even = :yes", "values": {":yes": {"BOOL": True}}}]:
                    found, scanned, start = [], 0, {}
                    while True:
                        page = self.query(Limit=limit, ScanIndexForward=forward, **start, **dict(filtered))
                        found += self.positions(page)
                        scanned += page["ScannedCount"]
                        self.assertLessEqual(page["ScannedCount"], limit)
                        if "LastEvaluatedKey" not in page:
                            break
                        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
                    expected = list(range(0, 12, 2 if filtered else 1))
                    self.assertEqual(found, expected if forward else expected[::-1])
                    self.assertEqual(scanned, 12)
        # A page that ends with the last item says where it ended all the same.
        self.assertIn("LastEvaluatedKey", self.query(Limit=12))
        self.assertNotIn("LastEvaluatedKey", self.query(Limit=13))

    def test_select_and_projections(self):
        counted = self.query(Select="COUNT")
        self.assertEqual((counted["Count"], "Items" in counted), (12, False))
        projected = self.query(
            "h = :h AND r = :v", values={":v": number(1)}, ProjectionExpression="#e", ExpressionAttributeNames={"#e": "even"}
        )
        self.assertEqual(projected["Items"], [{"even": {"BOOL": False}}])
        table = self.server.resource().Table(self.name)
        self.assertEqual(table.query(KeyConditionExpression=Key("h").eq("b") & Key("r").between(1, 10))["Count"], 3)

    def test_starting_keys_that_fit_nothing_are_refused(self):
        for start, message in [
            ({"h": text("b"), "r": number(1)}, "The provided starting key is outside query boundaries based on provided conditions"),
            ({"h": text("a")}, "The provided starting key is invalid"),
            ({"h": text("a"), "r": text("x")}, "The provided starting key is invalid"),
        ]:
            with self.assertRaises(self.client.exceptions.ClientError) as raised:
                self.query(ExclusiveStartKey=start)
            self.assertEqual(raised.exception.response["Error"]["Message"], message)


class Scans(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for value in range(100):
            cls.client.put_item(TableName=cls.__name__, Item={"h": text(f"key-{value}"), "v": number(value)})

    def test_segments_part_the_table(self):
        for total in [1, 2, 7, 1_000_000]:
            segments = range(total) if total < 10 else [0, 499_999, 999_999]
            found = []
            for segment in segments:
                pages = self.client.get_paginator("scan").paginate(
                    TableName=self.name, Segment=segment, TotalSegments=total, PaginationConfig={"PageSize": 9}
                )
                found += [item["h"]["S"] for page in pages for item in page["Items"]]
            self.assertEqual(len(found), len(set(found)))
            if total < 10:
                self.assertEqual(len(found), 100)

    def test_a_page_holds_a_megabyte_before_the_filter(self):
        big = [f"big-{value}" for value in range(8)]
        for key in big:
            self.client.put_item(TableName=self.name, Item={"h": text(key), "d": text("x" * 300_000)})
        pages = list(
            self.client.get_paginator("scan").paginate(
                TableName=self.name,
                FilterExpression="attribute_exists(d)",
                ProjectionExpression="h",
                ReturnConsumedCapacity="TOTAL",
                ConsistentRead=True,
            )
        )
        self.assertGreaterEqual(len(pages), 2)
        self.assertEqual(sorted(item["h"]["S"] for page in pages for item in page["Items"]), big)
        self.assertTrue(all(page["ConsumedCapacity"]["CapacityUnits"] <= (1 << 20) / 4096 + 76 for page in pages))
        for key in big:
            self.client.delete_item(TableName=self.name, Key={"h": text(key)})


class Batches(Case):
    tables = {"": ("S", None), "Other": ("N", None)}

    def test_writes_and_reads_across_tables(self):
        other = self.name + "Other"
        puts = [{"PutRequest": {"Item": {"h": text(str(value))}}} for value in range(20)]
        written = self.client.batch_write_item(
            RequestItems={
                self.name: puts + [{"DeleteRequest": {"Key": {"h": text("absent")}}}],
                other: [{"PutRequest": {"Item": {"h": number(1), "v": text("x")}}}],
            },
            ReturnConsumedCapacity="TOTAL",
        )
        self.assertEqual(written["UnprocessedItems"], {})
        units = {table["TableName"]: table["CapacityUnits"] for table in written["ConsumedCapacity"]}
        self.assertEqual(units, {self.name: 21, other: 1})
        keys = [{"h": text(str(value))} for value in range(30)]
        read = self.client.batch_get_item(
            RequestItems={
                self.name: {"Keys": keys, "ConsistentRead": True},
                other: {"Keys": [{"h": number("1.0")}], "ProjectionExpression": "v"},
            },
            ReturnConsumedCapacity="TOTAL",
        )
        self.assertEqual(len(read["Responses"][self.name]), 20)
        self.assertEqual(read["Responses"][other], [{"v": text("x")}])
        units = {table["TableName"]: table["CapacityUnits"] for table in read["ConsumedCapacity"]}
        self.assertEqual(units, {self.name: 30, other: 0.5})

    def test_sixteen_megabytes_and_the_rest_unprocessed(self):
        keys = [{"h": text(f"big-{value}")} for value in range(50)]
        with self.server.resource().Table(self.name).batch_writer() as writer:
            for key in keys:
                writer.put_item(Item={"h": key["h"]["S"], "d": "x" * 390_000})
        found, asked, rounds = [], {self.name: {"Keys": keys, "ConsistentRead": True}}, 0
        while asked:
            answer = self.client.batch_get_item(RequestItems=asked)
            found += [item["h"]["S"] for item in answer["Responses"][self.name]]
            asked = answer["UnprocessedKeys"]
            if asked:
                self.assertTrue(asked[self.name]["ConsistentRead"])
            rounds += 1
        self.assertEqual(sorted(found), sorted(key["h"]["S"] for key in keys))
        self.assertEqual(rounds, 2)
        with self.server.resource().Table(self.name).batch_writer() as writer:
            for key in keys:
                writer.delete_item(Key={"h": key["h"]["S"]})

    def test_limits(self):
        put = {"PutRequest": {"Item": {"h": text("a")}}}
        self.refused(
            "ValidationException",
            "Provided list of item keys contains duplicates",
            self.client.batch_write_item,
            RequestItems={self.name: [put, {"DeleteRequest": {"Key": {"h": text("a")}}}]},
        )
        self.refused(
            "ValidationException",
            "Provided list of item keys contains duplicates",
            self.client.batch_get_item,
            RequestItems={self.name: {"Keys": [{"h": text("a")}] * 2}},
        )
        keys = [{"h": text(str(value))} for value in range(101)]
        self.refused(
            "ValidationException", None, self.client.batch_get_item, RequestItems={self.name: {"Keys": keys}}
        )
        puts = [{"PutRequest": {"Item": key}} for key in keys[:26]]
        self.refused("ValidationException", None, self.client.batch_write_item, RequestItems={self.name: puts})
        self.refused(
            "ResourceNotFoundException",
            "Requested resource not found",
            self.client.batch_get_item,
            RequestItems={"absent": {"Keys": keys[:1]}},
        )


class Capacity(Case):
    def test_units_of_items_of_every_size(self):
        for size, writes, reads in [
            (10, 1, 1),
            (1_024, 1, 1),
            (1_025, 2, 1),
            (4_096, 4, 1),
            (4_097, 5, 2),
            (100_000, 98, 25),
            (409_600, 400, 100),
        ]:
            key = {"h": text("c")}
            item = key | {"d": text("x" * (size - 3))}
            total = {"TableName": self.name, "ReturnConsumedCapacity": "TOTAL"}
            units = lambda answer: answer["ConsumedCapacity"]["CapacityUnits"]  # noqa: E731
            self.assertEqual(units(self.client.put_item(Item=item, **total)), writes)
            self.assertEqual(units(self.client.get_item(Key=key, ConsistentRead=True, **total)), reads)
            self.assertEqual(units(self.client.get_item(Key=key, **total)), reads / 2)
            query = {"KeyConditionExpression": "h = :h", "ExpressionAttributeValues": {":h": text("c")}}
            self.assertEqual(units(self.client.query(ConsistentRead=True, **query, **total)), reads)
            self.assertEqual(units(self.client.scan(Select="COUNT", **total)), reads / 2)
            # The larger of before and after.
            self.assertEqual(units(self.client.put_item(Item=key, **total)), writes)
            self.client.put_item(TableName=self.name, Item=item)
            indexes = self.client.delete_item(TableName=self.name, Key=key, ReturnConsumedCapacity="INDEXES")
            self.assertEqual(indexes["ConsumedCapacity"]["Table"]["CapacityUnits"], writes)
