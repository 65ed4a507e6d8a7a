"""Values, and the operations on single items."""

from decimal import Decimal

from boto3.dynamodb.conditions import Attr
from boto3.dynamodb.types import Binary
from suite import Case

LIMIT = 409_600


class Values(Case):
    def test_all_ten_types_come_back_as_they_went(self):
        item = {
            "h": {"S": "types"},
            "text": {"S": "ä€😀\u0000\"\\"},
            "empty": {"S": ""},
            "number": {"N": "-12345.678901234567890123456789"},
            "binary": {"B": bytes(range(256))},
            "yes": {"BOOL": True},
            "no": {"BOOL": False},
            "nothing": {"NULL": True},
            "texts": {"SS": ["a", "b", ""]},
            "numbers": {"NS": ["-1", "0.5", "100000000000000000000"]},
            "binaries": {"BS": [b"", b"\x00", b"\xff"]},
            "list": {"L": [{"S": "x"}, {"L": []}, {"M": {"deep": {"L": [{"N": "1"}]}}}]},
            "map": {"M": {"k.e[y]": {"M": {}}}},
        }
        self.client.put_item(TableName=self.name, Item=item)
        found = self.client.get_item(TableName=self.name, Key={"h": {"S": "types"}})["Item"]
        for sets in ["texts", "numbers", "binaries"]:
            for value in (item, found):
                value[sets] = {kind: sorted(members) for kind, members in value[sets].items()}
        self.assertEqual(found, item)

    def test_boto3s_resource_reads_what_it_wrote(self):
        table = self.server.resource().Table(self.name)
        item = {
            "h": "resource",
            "n": Decimal("1.5"),
            "b": Binary(b"\x00\x01"),
            "set": {Decimal(1), Decimal(2)},
            "nested": [{"a": None, "b": [True, {"c": "d"}]}],
        }
        table.put_item(Item=item)
        self.assertEqual(table.get_item(Key={"h": "resource"})["Item"], item)
        found = table.scan(FilterExpression=Attr("n").between(1, 2) & Attr("nested[0].b[1].c").eq("d"))
        self.assertEqual(found["Count"], 1)

    def test_numbers_are_normalised_and_bounded(self):
        for given, stored in [
            ("0", "0"),
            ("-0", "0"),
            ("007.500", "7.5"),
            ("1e5", "100000"),
            ("+1", "1"),
            (".5", "0.5"),
            ("9" * 38, "9" * 38),
            ("1E-130", "0." + "0" * 129 + "1"),
            ("9." + "9" * 37 + "E+125", "9" * 38 + "0" * 88),
            ("-9." + "9" * 37 + "E+125", "-" + "9" * 38 + "0" * 88),
        ]:
            self.client.put_item(TableName=self.name, Item={"h": {"S": "n"}, "v": {"N": given}})
            found = self.client.get_item(TableName=self.name, Key={"h": {"S": "n"}})["Item"]["v"]["N"]
            self.assertEqual(found, stored, given)
        prefix = "1 validation error detected: "
        for given, text in [
            ("1E126", "Number overflow. Attempting to store a number with magnitude larger than supported range"),
            ("1E-131", "Number underflow. Attempting to store a number with magnitude smaller than supported range"),
            ("9" * 39, "Attempting to store more than 38 significant digits in a Number"),
            ("", "The parameter cannot be converted to a numeric value: "),
            ("NaN", "The parameter cannot be converted to a numeric value: NaN"),
            ("0x10", "The parameter cannot be converted to a numeric value: 0x10"),
            ("1 ", "The parameter cannot be converted to a numeric value: 1 "),
        ]:
            item = {"h": {"S": "n"}, "v": {"N": given}}
            self.refused("ValidationException", prefix + text, self.client.put_item, TableName=self.name, Item=item)

    def test_an_item_of_the_largest_size_is_stored_and_none_larger(self):
        def item(size):
            return {"h": {"S": "big"}, "d": {"S": "x" * (size - 5)}}

        self.client.put_item(TableName=self.name, Item=item(LIMIT))
        got = self.client.get_item(TableName=self.name, Key={"h": {"S": "big"}}, ReturnConsumedCapacity="TOTAL")
        self.assertEqual(len(got["Item"]["d"]["S"]), LIMIT - 5)
        self.assertEqual(got["ConsumedCapacity"]["CapacityUnits"], 50)
        self.refused(
            "ValidationException",
            "Item size has exceeded the maximum allowed size",
            self.client.put_item,
            TableName=self.name,
            Item=item(LIMIT + 1),
        )
        self.refused(
            "ValidationException",
            "Item size to update has exceeded the maximum allowed size",
            self.client.update_item,
            TableName=self.name,
            Key={"h": {"S": "big"}},
            UpdateExpression="SET v = :v",
            ExpressionAttributeValues={":v": {"NULL": True}},
        )
        self.client.delete_item(TableName=self.name, Key={"h": {"S": "big"}})


class Writes(Case):
    def setUp(self):
        self.item = {"h": {"S": "w"}, "n": {"N": "1"}}
        self.client.put_item(TableName=self.name, Item=self.item)
        self.key = {"h": {"S": "w"}}

    def test_put_and_delete_return_what_was_there(self):
        new = {"h": {"S": "w"}, "n": {"N": "2"}}
        put = self.client.put_item(TableName=self.name, Item=new, ReturnValues="ALL_OLD")
        self.assertEqual(put["Attributes"], self.item)
        gone = self.client.delete_item(TableName=self.name, Key=self.key, ReturnValues="ALL_OLD")
        self.assertEqual(gone["Attributes"], new)
        again = self.client.delete_item(TableName=self.name, Key=self.key, ReturnValues="ALL_OLD")
        self.assertNotIn("Attributes", again)
        fresh = self.client.put_item(TableName=self.name, Item=new, ReturnValues="ALL_OLD")
        self.assertNotIn("Attributes", fresh)

    def test_a_failed_condition_changes_nothing_and_can_show_the_item(self):
        requests = [
            (self.client.put_item, {"Item": {"h": {"S": "w"}, "n": {"N": "9"}}}),
            (self.client.delete_item, {"Key": self.key}),
            (self.client.update_item, {"Key": self.key, "UpdateExpression": "REMOVE n"}),
        ]
        for call, request in requests:
            for asked in ["ALL_OLD", "NONE"]:
                answer = self.refused(
                    "ConditionalCheckFailedException",
                    "The conditional request failed",
                    call,
                    TableName=self.name,
                    ConditionExpression="attribute_not_exists(h)",
                    ReturnValuesOnConditionCheckFailure=asked,
                    **request,
                )
                self.assertEqual(answer.get("Item"), self.item if asked == "ALL_OLD" else None)
        self.assertEqual(self.client.get_item(TableName=self.name, Key=self.key)["Item"], self.item)

    def test_conditions_of_an_absent_item(self):
        key = {"h": {"S": "absent"}}
        self.refused(
            "ConditionalCheckFailedException",
            None,
            self.client.update_item,
            TableName=self.name,
            Key=key,
            UpdateExpression="SET n = n",
            ConditionExpression="attribute_exists(h)",
        )
        self.client.delete_item(TableName=self.name, Key=key, ConditionExpression="attribute_not_exists(h)")
        self.assertNotIn("Item", self.client.get_item(TableName=self.name, Key=key))


class Updates(Case):
    KEY = {"h": {"S": "u"}}
    ITEM = KEY | {
        "n": {"N": "5"},
        "s": {"S": "hello"},
        "l": {"L": [{"N": "0"}, {"N": "1"}, {"N": "2"}]},
        "m": {"M": {"a": {"S": "A"}, "b": {"M": {}}}},
        "ss": {"SS": ["a", "b"]},
    }

    def update(self, expression, values=None, **more):
        self.client.put_item(TableName=self.name, Item=self.ITEM)
        if values:
            more["ExpressionAttributeValues"] = values
        more = {"ReturnValues": "ALL_NEW"} | more
        answer = self.client.update_item(TableName=self.name, Key=self.KEY, UpdateExpression=expression, **more)
        return answer.get("Attributes")

    def changed(self, expression, values=None, **more):
        """What differs from the item before; None where something is gone."""
        after = self.update(expression, values, **more)
        names = self.ITEM.keys() | after.keys()
        return {name: after.get(name) for name in names if after.get(name) != self.ITEM.get(name)}

    def test_what_expressions_do(self):
        one, x = {":v": {"N": "1"}}, {":v": {"S": "x"}}
        elements = {":v": {"L": [{"S": "new"}]}}
        for expression, values, changed in [
            ("SET n = n + :v", one, {"n": {"N": "6"}}),
            ("SET n = :v - n", one, {"n": {"N": "-4"}}),
            ("SET c = n, n = :v", one, {"c": {"N": "5"}, "n": {"N": "1"}}),
            ("SET c = if_not_exists(c, :v), n = if_not_exists(n, :v)", one, {"c": {"N": "1"}}),
            ("SET c = if_not_exists(c, n) + :v", one, {"c": {"N": "6"}}),
            ("SET m.a = :v, m.b.c = :v", x, {"m": {"M": {"a": {"S": "x"}, "b": {"M": {"c": {"S": "x"}}}}}}),
            ("SET l[1] = :v", x, {"l": {"L": [{"N": "0"}, {"S": "x"}, {"N": "2"}]}}),
            ("SET l[90] = :v", x, {"l": {"L": [{"N": "0"}, {"N": "1"}, {"N": "2"}, {"S": "x"}]}}),
            (
                "SET l = list_append(:v, l)",
                elements,
                {"l": {"L": [{"S": "new"}, {"N": "0"}, {"N": "1"}, {"N": "2"}]}},
            ),
            ("SET c = list_append(if_not_exists(c, :v), :v)", elements, {"c": {"L": [{"S": "new"}] * 2}}),
            ("REMOVE l[0], l[2], m.a, absent", None, {"l": {"L": [{"N": "1"}]}, "m": {"M": {"b": {"M": {}}}}}),
            ("ADD n :v, c :v", one, {"n": {"N": "6"}, "c": {"N": "1"}}),
            ("DELETE ss :v", {":v": {"SS": ["a", "z"]}}, {"ss": {"SS": ["b"]}}),
            ("DELETE ss :v", {":v": {"SS": ["a", "b"]}}, {"ss": None}),
            ("set n = :v remove s add c :v", one, {"n": {"N": "1"}, "s": None, "c": {"N": "1"}}),
        ]:
            with self.subTest(expression):
                self.assertEqual(self.changed(expression, values), changed)
        added = self.changed("ADD ss :v", {":v": {"SS": ["b", "c"]}})
        self.assertEqual(sorted(added["ss"]["SS"]), ["a", "b", "c"])

    def test_return_values_of_each_kind(self):
        expression, values = "SET n = :v, m.a = :v, l[1] = :v REMOVE s", {":v": {"N": "7"}}
        for kind, expected in [
            ("NONE", None),
            ("ALL_OLD", self.ITEM),
            (
                "UPDATED_OLD",
                {
                    "n": {"N": "5"},
                    "m": {"M": {"a": {"S": "A"}}},
                    "l": {"L": [{"N": "1"}]},
                    "s": {"S": "hello"},
                },
            ),
            ("UPDATED_NEW", {"n": {"N": "7"}, "m": {"M": {"a": {"N": "7"}}}, "l": {"L": [{"N": "7"}]}}),
        ]:
            with self.subTest(kind):
                self.assertEqual(self.update(expression, values, ReturnValues=kind), expected)

    def test_an_update_makes_an_item_that_is_not_there(self):
        key = {"h": {"S": "made"}}
        made = self.client.update_item(TableName=self.name, Key=key, ReturnValues="ALL_NEW")
        self.assertEqual(made["Attributes"], key)
        self.client.delete_item(TableName=self.name, Key=key)

    def test_counters_lose_no_addition(self):
        from concurrent.futures import ThreadPoolExecutor

        def add(_):
            self.client.update_item(
                TableName=self.name,
                Key={"h": {"S": "counter"}},
                UpdateExpression="ADD n :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(add, range(200)))
        found = self.client.get_item(TableName=self.name, Key={"h": {"S": "counter"}}, ConsistentRead=True)
        self.assertEqual(found["Item"]["n"], {"N": "200"})

    def test_what_does_not_fit_is_refused(self):
        path = "The document path provided in the update expression is invalid for update"
        operand = "An operand in the update expression has an incorrect data type"
        missing = "The provided expression refers to an attribute that does not exist in the item"
        invalid = "1 validation error detected: Invalid UpdateExpression: "
        for expression, values, text in [
            ("SET absent.a = :v", {":v": {"N": "1"}}, path),
            ("SET n.a = :v", {":v": {"N": "1"}}, path),
            ("REMOVE absent.a", None, path),
            ("SET s = s + :v", {":v": {"N": "1"}}, operand),
            ("ADD s :v", {":v": {"N": "1"}}, operand),
            ("SET n = absent", None, missing),
            ("SET h = :v", {":v": {"S": "x"}}, "One or more parameter values were invalid: Cannot update attribute h. This attribute is part of the key"),
            ("SET n = :v, n = :v", {":v": {"N": "1"}}, invalid + "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [n], path two: [n]"),
            ("SET n = :absent", None, invalid + "An expression attribute value used in expression is not defined; attribute value: :absent"),
            ("SET n = #absent", None, invalid + "An expression attribute name used in the document path is not defined; attribute name: #absent"),
            ("SET size = :v", {":v": {"N": "1"}}, invalid + "Attribute name is a reserved keyword; reserved keyword: size"),
            ("SET n == :v", {":v": {"N": "1"}}, invalid + 'Syntax error; token: "=", near: "== :v"'),
            ("SET n = n", {":v": {"N": "1"}}, "1 validation error detected: Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}"),
            ("SET n = foo(:v)", {":v": {"N": "1"}}, invalid + "Invalid function name; function: foo"),
        ]:
            with self.subTest(expression):
                with self.assertRaises(self.client.exceptions.ClientError) as raised:
                    self.update(expression, values)
                self.assertEqual(raised.exception.response["Error"]["Message"], text)
        self.assertEqual(self.client.get_item(TableName=self.name, Key=self.KEY)["Item"]["n"], {"N": "5"})
