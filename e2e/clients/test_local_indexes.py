"""The same requests on a table with local indexes to Cairn and to dynoxide: their answers must be the same.

What dynoxide does otherwise, the requests keep out of:
a projection of a Query or a Scan names attributes that the index lacks (the reference, Select: "DynamoDB fetches each of these
attributes from the parent table"; dynoxide: nothing); ALL_ATTRIBUTES costs what the items cost together (the developer guide,
reading from a local index: each item fetched is rounded up; so dynoxide in statements), and a Scan's gets no more than is
projected; a Scan of an index is charged to the table (the reference, ReturnConsumedCapacity: INDEXES tells of "each table and
secondary index that was accessed"); a Query's filter asks for what the index lacks (DynamoDB refuses it; dynoxide does in statements).
"""

import json
import os

import test_differential
from suite import definition
from test_differential import NAMES, SEEDS, STEPS, Requests, normalised

# What each shows besides the keys h and r, and its sort key.
INDEXES = {"all": ("a", NAMES), "keys": ("b", ["b"]), "some": ("a", ["a", "c"])}
NUMBERS = ["-1", "0", "1", "1.0", "100", "9.9E+125"]
TEXTS = ["a", "ab", "b", "é"]


def local_index(name, sort, **projection):
    return {
        "IndexName": name,
        "KeySchema": [{"AttributeName": "h", "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}],
        "Projection": projection,
    }


class IndexRequests(Requests):
    """Random requests on a table with the keys h (S) and r (N), and local indexes by a (N) and b (S)."""

    def chance(self, share):
        return self.random.random() < share

    def sort_value(self, name):
        return {"N": self.pick(NUMBERS)} if name == "a" else {"S": self.pick(TEXTS)}

    def item(self):
        item = self.key()
        for name in "ab":
            if self.chance(0.8):
                item[name] = self.sort_value(name)
        if self.chance(0.05):
            item[self.pick("ab")] = self.pick([{"S": ""}, {"BOOL": True}, {"B": "AA=="}, {"N": "1"}])
        return item | {name: self.value() for name in self.some(["c", "d"])}

    def write(self, more):
        more |= {"ReturnConsumedCapacity": "INDEXES"}
        if self.chance(0.3):
            more["ReturnItemCollectionMetrics"] = "SIZE"
        kind = self.random.randrange(10)
        if kind < 5:
            return "PutItem", more | {"Item": self.item()}
        if kind == 5:
            items = {json.dumps(item["h"] | item["r"]): item for item in [self.item(), self.item()]}
            # 1 and 1.0 are one key.
            if len({float(item["r"]["N"]) for item in items.values()}) < len(items):
                items = dict(list(items.items())[:1])
            more["RequestItems"] = {more.pop("TableName"): [{"PutRequest": {"Item": item}} for item in items.values()]}
            return "BatchWriteItem", more
        more["Key"] = self.key()
        if kind == 6:
            return "DeleteItem", more
        name = self.pick("abcd")
        if self.chance(0.3):
            more |= {"UpdateExpression": f"REMOVE {name}", "ConditionExpression": "attribute_exists(h)"}
        else:
            value = self.sort_value(name) if name in "ab" and self.chance(0.9) else self.value()
            more |= {"UpdateExpression": f"SET {name} = :v", "ExpressionAttributeValues": {":v": value}}
        return "UpdateItem", more | {"ReturnValues": self.pick(["ALL_NEW", "UPDATED_OLD"])}

    def read(self, more):
        index = more["IndexName"] = self.pick(list(INDEXES))
        sort, shown = INDEXES[index]
        values = {}
        query = self.chance(0.8)
        if query:
            condition = f"h = {self.operand(values, {'S': self.pick('xy')})}"
            if self.chance(0.6):
                condition += f" AND {self.sort_condition(sort, values)}"
            more |= {"KeyConditionExpression": condition, "ScanIndexForward": self.pick([True, False])}
            if self.chance(0.3):
                more["Limit"] = self.random.randrange(1, 4)
        asked = ["r", *(name for name in shown if name != sort)]
        if self.chance(0.4):
            more["FilterExpression"] = f"{self.pick(asked)} {self.pick(['=', '<>', '<'])} {self.operand(values)}"
        kind = self.random.randrange(6)
        if kind == 0:
            more["ProjectionExpression"] = ", ".join(self.random.sample(asked, self.random.randrange(1, len(asked) + 1)))
        elif kind == 1 and (query or index == "all"):
            more["Select"] = "ALL_ATTRIBUTES"
        elif kind < 4:
            more["Select"] = self.pick(["COUNT", "ALL_PROJECTED_ATTRIBUTES"])
        if index == "all" or more.get("Select") != "ALL_ATTRIBUTES":
            more["ReturnConsumedCapacity"] = "INDEXES" if query else "TOTAL"
        more["ConsistentRead"] = self.pick([True, False])
        if values:
            more["ExpressionAttributeValues"] = values
        return "Query" if query else "Scan", more

    def sort_condition(self, sort, values):
        operator = self.pick(["=", "<", "<=", ">", ">=", "BETWEEN", "begins_with"])
        if operator == "BETWEEN":
            low, high = sorted([self.sort_value(sort), self.sort_value(sort)], key=ordered)
            return f"{sort} BETWEEN {self.operand(values, low)} AND {self.operand(values, high)}"
        if operator == "begins_with":
            return f"begins_with({sort}, {self.operand(values, self.sort_value(sort))})" if sort == "b" else f"{sort} > {self.operand(values, {'N': '0'})}"  # noqa: E501
        return f"{sort} {operator} {self.operand(values, self.sort_value(sort))}"

    def statement(self):
        index = self.pick(list(INDEXES))
        sort, shown = INDEXES[index]
        keyed = self.chance(0.8)
        paths = self.pick(["*", "h, r", ", ".join(self.random.sample("abcd", 2))])
        conditions = [f"h = '{self.pick('xy')}'"] if keyed else []
        parameters = []
        if self.chance(0.6):
            operator = self.pick(["=", "<", "<=", ">", ">="])
            conditions.append(f"{sort} {operator} ?")
            parameters.append(self.sort_value(sort))
        if self.chance(0.4):
            name = self.pick([name for name in (NAMES if keyed else ["r", *shown]) if name != sort])
            conditions.append(f"{name} {self.pick(['=', '<>'])} ?")
            parameters.append(self.value())
        request = {"ReturnConsumedCapacity": "INDEXES", "ConsistentRead": self.pick([True, False])}
        request["Statement"] = f'SELECT {paths} FROM "{self.table}"."{index}"'
        if conditions:
            request["Statement"] += " WHERE " + " AND ".join(conditions)
        if parameters:
            request["Parameters"] = parameters
        return "ExecuteStatement", request

    def request(self):
        kind = self.random.randrange(10)
        if kind < 5:
            return self.write({"TableName": self.table})
        return self.read({"TableName": self.table}) if kind < 8 else self.statement()


def ordered(value):
    ((kind, text),) = value.items()
    return float(text) if kind == "N" else text.encode()


class LocalIndexes(test_differential.Beside):
    tables = {}
    unordered = False

    @classmethod
    def command(cls):
        return test_differential.Differential.command()

    @classmethod
    def definition(cls):
        attributes = {"h": "S", "r": "N", "a": "N", "b": "S"}
        return definition(
            cls.__name__,
            "S",
            "N",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in attributes.items()],
            LocalSecondaryIndexes=[
                local_index("all", "a", ProjectionType="ALL"),
                local_index("keys", "b", ProjectionType="KEYS_ONLY"),
                local_index("some", "a", ProjectionType="INCLUDE", NonKeyAttributes=["c"]),
            ],
        )

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client.create_table(**cls.definition())
        cls.client.get_waiter("table_exists").wait(TableName=cls.__name__, WaiterConfig={"Delay": 1})

    @classmethod
    def tearDownClass(cls):
        cls.client.delete_table(TableName=cls.__name__)
        super().tearDownClass()

    def compared(self, answer):
        compared = super().compared(answer)
        # What is not read by a key comes in no order.
        if compared and self.unordered and "Items" in compared:
            compared["Items"].sort(key=lambda item: json.dumps(item, sort_keys=True))
        return compared

    def pages(self, operation, request, where):
        """Each page in turn, as long as both have more."""
        self.unordered = "KeyConditionExpression" not in request and "WHERE h = " not in request.get("Statement", "")
        decided = self.same(operation, request, where)
        if decided and "Limit" in request:
            last = self.wires[0].send(operation, request).json.get("LastEvaluatedKey")
            if last:
                self.pages(operation, request | {"ExclusiveStartKey": last}, where)
        return decided

    def test_random_requests(self):
        only = os.environ.get("CAIRN_CLIENTS_SEED")
        for seed in [int(only)] if only else range(SEEDS):
            requests = IndexRequests(seed, self.name)
            for step in range(STEPS * 2):
                operation, request = requests.request()
                if not self.pages(operation, request, f"seed {seed}, step {step}"):
                    # The rival may have carried it out: the item starts anew.
                    self.delete_item_of(request)
            self.unordered = True
            for index in INDEXES:
                self.same("Scan", {"TableName": self.name, "IndexName": index, "ConsistentRead": True}, f"seed {seed}")

    def test_refusals_are_worded_alike(self):
        table, key = self.name, {"h": {"S": "a"}, "r": {"N": "1"}}
        put = lambda **more: ("PutItem", {"TableName": table, "Item": key | more})  # noqa: E731
        batch = lambda **more: ("BatchWriteItem", {"RequestItems": {table: [{"PutRequest": {"Item": key | more}}]}})  # noqa: E731
        scan = lambda **more: ("Scan", {"TableName": table, "IndexName": "some"} | more)  # noqa: E731
        statement = lambda text: ("ExecuteStatement", {"Statement": text})  # noqa: E731

        def query(condition="h = :h", value=None, **more):
            values = {":h": {"S": "a"}} | ({":v": value} if value else {})
            request = {"KeyConditionExpression": condition, "ExpressionAttributeValues": values}
            return "Query", {"TableName": table, "IndexName": "some"} | request | more

        def update(value):
            request = {"UpdateExpression": "SET a = :v", "ExpressionAttributeValues": {":v": value}}
            return "UpdateItem", {"TableName": table, "Key": key} | request

        start = lambda **more: {"ExclusiveStartKey": key | more}  # noqa: E731
        for operation, request in [
            *[kind(a=value) for kind in [put, batch] for value in [{"S": "1"}, {"BOOL": True}, {"L": []}, {"NS": ["1"]}]],
            *[kind(b={"S": ""}) for kind in [put, batch]],
            put(a={"S": "x"}, b={"S": ""}),
            *[update(value) for value in [{"S": "1"}, {"M": {}}]],
            ("UpdateItem", {"TableName": table, "Key": key, "UpdateExpression": "SET b = :v", "ExpressionAttributeValues": {":v": {"S": ""}}}),  # noqa: E501
            query(IndexName="absent"),
            scan(IndexName="absent"),
            query("h = :h AND r = :v", {"N": "1"}),
            query("h = :h AND c = :v", {"N": "1"}),
            query("h = :h AND a = :v", {"S": "1"}),
            query("a = :v", {"N": "1"}, ExpressionAttributeValues={":v": {"N": "1"}}),
            query(value={"N": "1"}, FilterExpression="a = :v"),
            query(value={"S": "a"}, FilterExpression="h = :v"),
            *[query(**start(**more)) for more in [{}, {"a": {"S": "1"}}, {"b": {"S": "1"}}, {"a": {"N": "1"}, "b": {"S": "1"}}]],
            *[query("h = :h AND a > :v", {"N": "1"}, **start(**more)) for more in [{"a": {"N": "1"}}, {"h": {"S": "b"}, "a": {"N": "2"}}]],
            query(**start(h={"S": "b"}, a={"N": "1"})),
            *[scan(**start(**more)) for more in [{}, {"a": {"S": "1"}}, {"b": {"S": "1"}}, {"r": {"S": "1"}, "a": {"N": "1"}}]],
            ("Scan", {"TableName": table, "ExclusiveStartKey": {"h": {"S": "a"}, "r": {"S": "1"}}}),
            query(ProjectionExpression="c", Select="ALL_PROJECTED_ATTRIBUTES"),
            query(Select="SPECIFIC_ATTRIBUTES"),
            statement(f'SELECT * FROM "{table}"."absent"'),
            statement(f"SELECT * FROM \"{table}\".\"keys\" WHERE h = 'a' AND c = 1"),
            statement(f"SELECT * FROM \"{table}\".\"keys\" WHERE h IN ['a', 'b'] AND c = 1"),
            statement(f"SELECT * FROM \"{table}\".\"some\" WHERE h = 'a' AND a = 'x'"),
            statement(f"SELECT * FROM \"{table}\".\"some\" WHERE h = 'a' ORDER BY r"),
            statement(f"UPDATE \"{table}\".\"some\" SET c = 1 WHERE h = 'a' AND a = 1"),
            statement(f"INSERT INTO \"{table}\" VALUE {{'h': 'a', 'r': 1, 'a': 'x'}}"),
            statement(f"INSERT INTO \"{table}\" VALUE {{'h': 'a', 'r': 1, 'b': ''}}"),
        ]:
            with self.subTest(operation=operation, request=str(request)[:200]):
                ours, theirs = self.both(operation, request)
                self.assertEqual((ours.status, normalised(ours.json)), (theirs.status, normalised(theirs.json)))
                self.assertEqual(ours.status, 400)
