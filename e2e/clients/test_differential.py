"""The same requests to Cairn, to dynoxide and to dynalite: their answers must be the same.

Random requests come from numbered seeds; a failure names its seed, and `CAIRN_CLIENTS_SEED=N` runs that one alone.

Where the two are known to differ, Cairn follows DynamoDB's reference or its older words, and the requests keep out of it:
UPDATED_OLD and UPDATED_NEW give the list elements that were written (dynoxide: the whole list); operands that can never
fit are refused before any item is read (STRICTER below); ALL_OLD of an item that was not there gives nothing; an update that
only takes away makes no item ("nothing happens; there is no attribute to delete"; dynalite makes one too); a statement that
reads several partition keys, lists several sort keys or has several branches costs what a Query of each costs; an empty key
can't be selected; a statement's contains finds the members of a set of binaries; and of a string or a name without its end no more is
told than that the statement isn't well formed (as was captured at DynamoDB).

dynalite is older. It does not know ReturnValuesOnConditionCheckFailure; takes two attributes that are both missing for equal
(a comparison with what is not there is false: dynoxide, and the reference's "if the attribute does not exist, the comparison
evaluates to false"); adds numbers beyond 38 digits (the reference: "numbers can have up to 38 digits of precision; exceeding this
results in an exception"); charges nothing for a page of nothing (SEMANTICS: a read that finds nothing costs the least read);
and dies of `if_not_exists` on a map.
"""

import http.client
import json
import os
import random
import re
import socket
import subprocess
import time
import unittest

import suite
from suite import Case, definition
from wire import Wire

SEEDS = 300
STEPS = 12
# What Cairn refuses from the expression alone.
STRICTER = [
    "must be distinct from the remaining operands",
    "Incorrect operand type for operator or function",
    "The BETWEEN operator requires",
    "Invalid attribute type name found",
    "Two document paths conflict with each other",
]

NUMBERS = ["0", "1", "-1", "2", "0.5", "-7.25", "9" * 38, "1E-130", "9.9E+125", "-9.9E+125", "100", "3.14159"]
TEXTS = ["", "a", "ab", "b", "é", "hello", "Hello", "z" * 50]
BYTES = ["", "AA==", "AAE=", "/w==", "aGVsbG8="]
NAMES = ["a", "b", "c", "d"]


def normalised(value):
    """Sets in one order, and no values that name a moment."""
    if isinstance(value, dict):
        if len(value) == 1:
            ((kind, members),) = value.items()
            if kind in ("SS", "NS", "BS") and isinstance(members, list):
                return {kind: sorted(members)}
        return {key.lower() if key == "Message" else key: normalised(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [normalised(inner) for inner in value]
    return value


class Rival:
    """Another implementation, in memory."""

    def __init__(self, *command):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{command[-1]} did not start")

    def stop(self):
        self.process.kill()
        self.process.wait()


class Requests:
    """Random requests on a table with the keys h (S) and r (N)."""

    def __init__(self, seed, table):
        self.random = random.Random(seed)
        self.table = table

    def pick(self, choices):
        return self.random.choice(choices)

    def scalar(self):
        return self.pick(
            [
                lambda: {"N": self.pick(NUMBERS)},
                lambda: {"S": self.pick(TEXTS)},
                lambda: {"B": self.pick(BYTES)},
                lambda: {"BOOL": self.pick([True, False])},
                lambda: {"NULL": True},
            ]
        )()

    def value(self, depth=0):
        kind = self.random.randrange(10)
        if kind < 6 or depth == 3:
            return self.scalar()
        if kind == 6:
            return self.set()
        if kind == 7:
            return {"L": [self.value(depth + 1) for _ in range(self.random.randrange(4))]}
        return {"M": {name: self.value(depth + 1) for name in self.some(NAMES)}}

    def set(self):
        kind, members = self.pick([("SS", TEXTS), ("NS", NUMBERS), ("BS", BYTES)])
        return {kind: self.random.sample(members, self.random.randrange(1, 4))}

    def some(self, choices):
        return self.random.sample(choices, self.random.randrange(len(choices)))

    def key(self):
        return {"h": {"S": self.pick(["x", "y"])}, "r": {"N": self.pick(["-1", "0", "1", "1.0", "2.5"])}}

    def path(self, root=None, deeper=0.3):
        path = root or self.pick(NAMES)
        while self.random.random() < deeper:
            path += self.pick([f".{self.pick(NAMES)}", f"[{self.random.randrange(4)}]"])
        return path

    def operand(self, values, value=None):
        name = f":v{len(values)}"
        values[name] = value or self.value()
        return name

    def condition(self, values, depth=0):
        kind = self.random.randrange(14)
        path = self.path()
        if kind < 4:
            return f"{path} {self.pick(['=', '<>', '<', '<=', '>', '>='])} {self.operand(values)}"
        if kind == 4:
            return f"{path} IN ({self.operand(values)}, {self.operand(values)})"
        if kind == 5:
            low, high = sorted(self.random.sample([1, 2, 5, 100, -1], 2))
            bounds = [self.operand(values, {"N": str(bound)}) for bound in (low, high)]
            return f"{path} BETWEEN {bounds[0]} AND {bounds[1]}"
        if kind == 6:
            return f"{self.pick(['attribute_exists', 'attribute_not_exists'])}({path})"
        if kind == 7:
            scalar_type = self.pick(["S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"])
            return f"attribute_type({path}, {self.operand(values, {'S': scalar_type})})"
        if kind == 8:
            return f"begins_with({path}, {self.operand(values, {'S': self.pick(TEXTS)})})"
        if kind == 9:
            return f"contains({path}, {self.operand(values)})"
        if kind == 10:
            return f"size({path}) {self.pick(['=', '<', '>='])} {self.operand(values, {'N': self.pick('0123')})}"
        if depth == 2:
            return f"{path} = {self.path()}"
        if kind == 11:
            return f"NOT ({self.condition(values, depth + 1)})"
        joint = self.pick(["AND", "OR"])
        return f"({self.condition(values, depth + 1)}) {joint} ({self.condition(values, depth + 1)})"

    def assigned(self, values):
        kind = self.random.randrange(10)
        if kind == 0:
            return f"{self.path()} {self.pick('+-')} {self.operand(values, {'N': self.pick(NUMBERS)})}"
        if kind == 1:
            return f"if_not_exists({self.path()}, {self.operand(values)})"
        if kind == 2:
            lists = [self.path(), self.operand(values, {"L": [self.value(2)]})]
            self.random.shuffle(lists)
            return f"list_append({lists[0]}, {lists[1]})"
        if kind == 3:
            return self.path()
        return self.operand(values)

    def update(self, values):
        # Mostly, no two paths overlap.
        roots = self.random.sample(NAMES, len(NAMES)) if self.random.random() < 0.9 else NAMES * 2
        target = lambda: self.path(roots.pop(), 0.2)  # noqa: E731
        clauses = []
        for clause in self.some(["SET", "REMOVE", "ADD", "DELETE"]) or ["SET"]:
            actions = {
                "SET": lambda: f"{target()} = {self.assigned(values)}",
                "REMOVE": target,
                "ADD": lambda: f"{target()} {self.operand(values, self.pick([self.set(), {'N': self.pick(NUMBERS)}]))}",
                "DELETE": lambda: f"{target()} {self.operand(values, self.set())}",
            }[clause]
            count = min(self.random.randrange(1, 3), len(roots))
            if count:
                clauses.append(clause + " " + ", ".join(actions() for _ in range(count)))
        return " ".join(clauses)

    def request(self):
        """An operation and its request."""
        values, more = {}, {"TableName": self.table}
        kind = self.random.randrange(10)
        if kind < 3:
            item = {name: self.value() for name in self.some(NAMES)} | self.key()
            operation, more["Item"] = "PutItem", item
        elif kind < 7:
            operation, more["Key"] = "UpdateItem", self.key()
            more |= {"UpdateExpression": self.update(values), "ReturnValues": "ALL_NEW"}
        elif kind == 7:
            operation, more["Key"] = "DeleteItem", self.key()
        elif kind == 8:
            operation = "Query"
            condition = f"h = {self.operand(values, {'S': 'x'})}"
            if self.random.random() < 0.5:
                condition += f" AND r {self.pick(['=', '<', '>', '<=', '>='])} {self.operand(values, {'N': '0'})}"
            more["KeyConditionExpression"] = condition
            more["ScanIndexForward"] = self.pick([True, False])
        else:
            operation = "GetItem"
            more |= {"Key": self.key(), "ProjectionExpression": self.path()}
        if operation in ("PutItem", "UpdateItem", "DeleteItem"):
            if self.random.random() < 0.4:
                more["ConditionExpression"] = self.condition(values)
                more["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
            if not re.search("SET |ADD ", more.get("UpdateExpression", "SET ")):
                # It only takes away: from what is there.
                conditions = [more["ConditionExpression"]] if "ConditionExpression" in more else []
                more["ConditionExpression"] = " AND ".join(f"({one})" for one in [*conditions, "attribute_exists(h)"])
        elif operation == "Query" and self.random.random() < 0.7:
            more["FilterExpression"] = self.condition(values)
        if values:
            more["ExpressionAttributeValues"] = values
        if operation != "GetItem" or self.random.random() < 0.5:
            more["ReturnConsumedCapacity"] = "TOTAL"
        return operation, more


class IndexedRequests(Requests):
    """Those, on items most of which have an attribute g (S), which comes and goes and changes."""

    def request(self):
        operation, more = super().request()
        if operation == "PutItem" and self.random.random() < 0.8:
            more["Item"]["g"] = {"S": self.pick(["p", "q"])}
        if operation == "UpdateItem" and "SET" not in more["UpdateExpression"]:
            more["UpdateExpression"] += " SET g = :g"
            more.setdefault("ExpressionAttributeValues", {})[":g"] = {"S": self.pick(["p", "q"])}
        return operation, more


class Beside(Case):
    """A table here, and the same at a rival's."""

    tables = {"": ("S", "N")}
    command = None
    requests = Requests

    @classmethod
    def setUpClass(cls):
        if not cls.command():
            raise unittest.SkipTest("there is none to compare with")
        super().setUpClass()
        cls.start_rival()

    @classmethod
    def definition(cls):
        partition, sort, *more = cls.tables[""]
        return definition(cls.__name__, partition, sort, **(more[0] if more else {}))

    @classmethod
    def start_rival(cls):
        cls.rival = Rival(*cls.command())
        cls.wires = [Wire(cls.server.host, cls.server.port), Wire("127.0.0.1", cls.rival.port)]
        cls.wires[1].send("CreateTable", cls.definition())
        while cls.wires[1].send("DescribeTable", {"TableName": cls.__name__}).json["Table"]["TableStatus"] != "ACTIVE":
            time.sleep(0.05)

    @classmethod
    def tearDownClass(cls):
        cls.rival.stop()
        super().tearDownClass()

    def both(self, operation, request):
        return [wire.send(operation, request) for wire in self.wires]

    def random_requests(self):
        """Those of each seed, with where they are."""
        only = os.environ.get("CAIRN_CLIENTS_SEED")
        for seed in [int(only)] if only else range(SEEDS):
            requests = self.requests(seed, self.name)
            yield f"seed {seed}", [requests.request() for _ in range(STEPS)]

    # Refusals of ours that tell nothing of theirs.
    undecided = STRICTER

    def compared(self, answer):
        """What of an answer must be the same."""
        return normalised(answer.json) if answer.status == 200 or answer.error == "ConditionalCheckFailedException" else None

    def same(self, operation, request, where):
        """Successes are the same to the byte's meaning, failures at least in their kind. False where nothing can be told."""
        ours, theirs = self.both(operation, request)
        if ours.error == "ValidationException" and any(text in ours.message for text in self.undecided):
            return False
        said = f"{where}: {operation} {json.dumps(request)}\n ours {ours.body}\n theirs {theirs.body}"
        self.assertEqual((ours.status, ours.error), (theirs.status, theirs.error), said)
        self.assertEqual(self.compared(ours), self.compared(theirs), said)
        return True

    def delete_item_of(self, request):
        key = request.get("Key") or {name: request.get("Item", {}).get(name) for name in "hr"}
        if key["h"]:
            self.both("DeleteItem", {"TableName": self.name, "Key": key})

    def assert_same_items(self, where):
        ours, theirs = self.both("Scan", {"TableName": self.name, "ConsistentRead": True})
        by_key = lambda answer: sorted(json.dumps(normalised(item), sort_keys=True) for item in answer.json["Items"])  # noqa: E731
        self.assertEqual(by_key(ours), by_key(theirs), where)


class BesideDynalite(Beside):
    @classmethod
    def command(cls):
        return suite.DYNALITE and ["node", suite.DYNALITE, "--createTableMs", "0"]

    def knows(self, request):
        """Whether dynalite does, and the reference with it, what this asks for."""
        compared = [request.get("ConditionExpression", ""), request.get("FilterExpression", "")]
        # Two attributes that may both be missing.
        return not any(re.search(r"[a-d\]] (=|<>) [a-d]", text) for text in compared)

    undecided = [*STRICTER, "38 significant digits", "Number overflow"]

    def compared(self, answer):
        if answer.status != 200:
            return None
        compared = normalised(answer.json)
        if "ConsumedCapacity" in compared:
            compared["ConsumedCapacity"]["CapacityUnits"] = max(0.5, compared["ConsumedCapacity"]["CapacityUnits"])
        return compared

    def same(self, operation, request, where):
        try:
            return super().same(operation, request, where)
        except (OSError, http.client.HTTPException):
            return False

    def test_random_requests(self):
        compared = asked = 0
        for seed, requests in self.random_requests():
            for operation, request in requests:
                asked += 1
                request.pop("ReturnValuesOnConditionCheckFailure", None)
                if not self.knows(request):
                    continue
                if self.same(operation, request, seed):
                    compared += 1
                else:
                    if self.rival.process.poll() is not None:
                        self.start_rival()
                        for item in self.client.scan(TableName=self.name)["Items"]:
                            key = {name: item[name] for name in "hr"}
                            self.client.delete_item(TableName=self.name, Key=key)
                    # One of them may have carried it out: the item starts anew.
                    self.delete_item_of(request)
            self.assert_same_items(seed)
        self.assertGreater(compared, 0.8 * asked, "most can be told")


class Differential(Beside):
    @classmethod
    def command(cls):
        return suite.RIVAL and [suite.RIVAL]

    def test_random_requests(self):
        for seed, requests in self.random_requests():
            for step, (operation, request) in enumerate(requests):
                if not self.same(operation, request, f"{seed}, step {step}"):
                    # The rival may have carried it out: the item starts anew.
                    self.delete_item_of(request)
            self.assert_same_items(seed)

    def test_refusals_are_worded_alike(self):
        table, key = self.name, {"h": {"S": "a"}, "r": {"N": "1"}}
        put = lambda value: ("PutItem", {"TableName": table, "Item": key | {"v": value}})  # noqa: E731
        get = lambda key: ("GetItem", {"TableName": table, "Key": key})  # noqa: E731
        query = lambda **more: ("Query", {"TableName": table, "KeyConditionExpression": "h = :h", "ExpressionAttributeValues": {":h": {"S": "a"}}} | more)  # noqa: E731,E501
        scan = lambda **more: ("Scan", {"TableName": table} | more)  # noqa: E731
        update = lambda **more: ("UpdateItem", {"TableName": table, "Key": key} | more)  # noqa: E731
        for operation, request in [
            *[put({"N": number}) for number in ["", "x", "1e126", "1e-131", "9" * 39, "NaN", "1_0", " 1"]],
            *[put(value) for value in [{}, {"SS": []}, {"NS": []}, {"BS": []}, {"NULL": False}, {"S": "a", "N": "1"}]],
            *[put(value) for value in [{"SS": ["a", "a"]}, {"NS": ["1", "1.0"]}, {"BS": ["AA==", "AA=="]}]],
            *[get(key) for key in [{}, {"h": {"S": "a"}}, {"h": {"S": ""}, "r": {"N": "1"}}, key | {"x": {"S": "a"}}]],
            *[get({"h": {"S": "x" * 2049}, "r": {"N": "1"}}), get({"h": {"N": "1"}, "r": {"N": "1"}})],
            *[query(Limit=limit) for limit in [0, -1]],
            *[query(Select=select) for select in ["X", "SPECIFIC_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"]],
            *[query(KeyConditionExpression=text) for text in ["", "h > :h", "r = :h", "h = :h AND h = :h"]],
            *[query(ExclusiveStartKey=start) for start in [{}, {"h": {"S": "a"}}, {"h": {"S": "b"}, "r": {"N": "1"}}]],
            query(FilterExpression="h = :h"),
            query(ProjectionExpression="v, v"),
            query(ExpressionAttributeValues={":h": {}}),
            query(ExpressionAttributeValues={":h": {"S": "a"}, ":other": {"S": "a"}}),
            *[scan(TotalSegments=2), scan(Segment=0), scan(TotalSegments=1_000_001, Segment=0)],
            *[scan(Limit=0), scan(ExclusiveStartKey={"h": {"S": "a"}})],
            scan(FilterExpression="v = :v", ExpressionAttributeValues={":v": {}}),
            *[update(**{name: "X"}) for name in ["ReturnValues", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics"]],
            update(ReturnValuesOnConditionCheckFailure="X"),
            *[update(UpdateExpression=text) for text in ["", "SET", "SET v", "SET v = :v", "REMOVE v v", "FOO v", "SET h = v"]],
            *[update(UpdateExpression=text) for text in ["REMOVE v, v", "SET v = v, v.a = v", "SET size = v", "SET v = foo(v)"]],
            update(TableName="!", ReturnValues="X"),
            update(AttributeUpdates={"v": {"Action": "ADD", "Value": {"S": "x"}}}),
            update(AttributeUpdates={"v": {"Action": "DELETE", "Value": {"S": "x"}}}),
            update(AttributeUpdates={"v": {"Action": "put", "Value": {"S": "x"}}}),
            update(AttributeUpdates={"v": {"Value": {"S": "x"}}}, UpdateExpression="REMOVE v"),
            *[(operation, {"TableName": name}) for operation in ["GetItem", "Query", "Scan"] for name in ["", "ab", "a!b"]],
            *[(operation, {"TableName": "absent"}) for operation in ["DescribeTable", "DeleteTable", "Scan"]],
            *[("CreateTable", {"TableName": name}) for name in [None, "", "ab", "a!b", "x" * 256]],
            *[(operation, {"TableName": table, "Key": key, "ConditionExpression": "v = :v", "ExpressionAttributeValues": {":v": value}}) for operation in ["UpdateItem", "DeleteItem"] for value in [{}, {"S": "a", "N": "1"}, {"SS": []}]],  # noqa: E501
            *[scan(AttributesToGet=[""]), scan(ExclusiveStartKey={"": {"S": "a"}}), query(ExclusiveStartKey={"": {"S": "a"}})],
            update(AttributeUpdates={"": {"Value": {"S": "x"}}}),
            ("BatchGetItem", {"RequestItems": {}}),
            ("BatchGetItem", {"RequestItems": {table: {"Keys": []}}}),
            ("BatchGetItem", {"RequestItems": {table: {"Keys": [key, key]}}}),
            ("BatchWriteItem", {"RequestItems": {}}),
            ("BatchWriteItem", {"RequestItems": {table: [{"DeleteRequest": {"Key": key}}] * 2}}),
            ("ListTables", {"Limit": 0}),
            ("ListTables", {"Limit": 101}),
            ("ListTables", {"ExclusiveStartTableName": "a"}),
        ]:
            with self.subTest(operation=operation, request=str(request)[:200]):
                ours, theirs = self.both(operation, request)
                self.assertEqual((ours.status, normalised(ours.json)), (theirs.status, normalised(theirs.json)))
                self.assertEqual(ours.status, 400)

    def test_random_statements(self):
        only = os.environ.get("CAIRN_CLIENTS_SEED")
        for seed in [int(only)] if only else range(SEEDS):
            requests = self.requests(seed, self.name)
            for _ in range(3):
                item = {name: requests.value() for name in NAMES} | requests.key()
                self.same("PutItem", {"TableName": self.name, "Item": item}, f"seed {seed}")
            for statement in [
                f"SELECT * FROM \"{self.name}\" WHERE h = 'x' AND ",
                f"SELECT * FROM \"{self.name}\" WHERE h = 'x' AND r = 1 AND ",
                f"DELETE FROM \"{self.name}\" WHERE h = 'x' AND r = 0 AND ",
            ]:
                values = {}
                condition = requests.condition(values)
                if "contains" in condition and any("B" in value for value in values.values()):
                    continue
                request = {"Statement": statement + "(" + re.sub(r":v\d+", "?", condition) + ")"}
                if values:
                    request["Parameters"] = [values[name] for name in re.findall(r":v\d+", condition)]
                request["ReturnConsumedCapacity"] = "TOTAL"
                if not self.same("ExecuteStatement", request, f"seed {seed}"):
                    # The rival may have carried it out: the item starts anew.
                    key = {"h": {"S": "x"}, "r": {"N": "0"}}
                    self.both("DeleteItem", {"TableName": self.name, "Key": key})

    def test_statements_are_answered_alike(self):
        table = f'"{self.name}"'
        key = "WHERE h = 's' AND r = 1"
        for statement in [
            f"INSERT INTO {table} VALUE {{'h': 's', 'r': 1, 'a': 5, 't': 'it''s', 'm': {{'x': [1, {{'y': 2}}]}}, 's': <<'a'>>}}",
            f"INSERT INTO {table} VALUE {{'h': 's', 'r': 1}}",
            *[f"INSERT INTO {table} VALUE {{'h': 's', 'r': {r}, 'a': {r}}}" for r in [2, 3, 4]],
            f"SELECT * FROM {table} {key}",
            *[f"SELECT {paths} FROM {table} {key}" for paths in ["a, t", "m.x[1].y", "m.x[0], gone", '"a", "h"']],
            *[f"SELECT r FROM {table} WHERE h = 's' AND {more}" for more in ["r > 1 AND r < 4", "r BETWEEN 2 AND 3", "a <> 3"]],
            *[f"SELECT r FROM {table} WHERE h = 's' ORDER BY {order}" for order in ["r", "r DESC", "h", "h, r DESC"]],
            *[f"SELECT r FROM {table} WHERE h = 's' AND {more}" for more in ["t IS MISSING", "t IS NOT MISSING", "size(t) = 4"]],
            *[f"SELECT r FROM {table} WHERE h = 's' AND {more}" for more in ["NOT a = 3", "a IN [3, 4]", "a NOT IN (3, 4)"]],
            *[f"SELECT r FROM {table} WHERE h = 's' AND {more}" for more in ["contains(s, 'a')", "begins_with(t, 'it')", "1 < a"]],
            f"SELECT r FROM {table} WHERE h IN ['s'] AND r IN [1]",
            f"SELECT r FROM {table} WHERE h = 's' AND r = 1 OR h = 's' AND r = 3",
            *[f"UPDATE {table} SET a = a + 1, b = ? {key} RETURNING {what} *" for what in ["ALL OLD", "MODIFIED NEW"]],
            *[f"UPDATE {table} SET s = {name}(s, <<'b'>>) {key} RETURNING ALL NEW *" for name in ["set_add", "set_delete"]],
            f"UPDATE {table} SET l = list_append([1], [2]) REMOVE m.x[0] {key} RETURNING ALL NEW *",
            f"UPDATE {table} SET a = 1 {key} AND a = 1",
            f"UPDATE {table} SET a = 1 WHERE h = 's' AND r = 99",
            f"DELETE FROM {table} {key} AND a = 1",
            f"DELETE FROM {table} {key} AND t = ? RETURNING ALL OLD *",
            f"DELETE FROM {table} {key} RETURNING ALL OLD *",
            # What is no statement, or none for this table.
            *["SELECT", "INSERT", "UPDATE", "DELETE", "SELECT * FROM", f"SELECT * FROM {table} WHERE"],
            *[f"SELECT * FROM {table} {more}" for more in ["x", "AS x", "; SELECT", "WHERE h = 's' x", "ORDER BY r"]],
            *[f"SELECT * FROM {table} WHERE {more}" for more in ["h = 1", "h = {}", "h = 's' AND r = 'x'"]],
            *[f"SELECT * FROM {table} WHERE {more}" for more in ["a = ? AND b = ?", "foo(a)", "a < true", "EXISTS(a)", "a = [{'x': 1e999}]"]],
            *[f"SELECT * FROM {table} WHERE {more}" for more in ["h IN ['s', 's']", "h = 's' ORDER BY a", "a IS INT"]],
            *[f"SELECT * FROM {table} WHERE {more}" for more in ["h IN ['s', 'x'] ORDER BY r", "a = 1 ORDER BY h"]],
            f"SELECT COUNT(*) FROM {table}",
            *[f'SELECT * FROM {table}."{name}"' for name in ["index", ""]],
            *[f"SELECT * FROM {name}" for name in ["absent", f"{table}.a.b"]],
            *[f"UPDATE {table} SET a = 1 {more}" for more in ["", "WHERE h = 's'", "WHERE h = 's' AND r IN [1, 2]"]],
            *[f"UPDATE {table} SET {more} WHERE h = 's' AND r = 2" for more in ["h = 'x'", "a = 1, a = 2", "a = gone + 1"]],
            *[f"UPDATE {table} SET a = {more} WHERE h = 's' AND r = 2" for more in ["set_add(b, <<1>>)", "set_add(a, 1)"]],
            f"UPDATE {table} SET a = set_add(a) WHERE h = 's' AND r = 2",
            f"DELETE FROM {table} WHERE h = 's' AND r = 2 AND r = 3",
            f"DELETE FROM {table} WHERE h = 's' AND r = 2 RETURNING ALL NEW *",
            f'DELETE FROM {table}."index" WHERE h = \'s\' AND r = 2',
            *[f"INSERT INTO {table} VALUE {item}" for item in ["{'h': 's'}", "{'h': 1, 'r': 1}", "{'h': 's', 'r': 9, 'a': <<>>}"]],
            *[f"INSERT INTO {table} VALUE {{'h': 's', 'r': 9, 'a': {value}}}" for value in ["1e400", "9" * 39, "<<'a', 1>>", "<<1, 1>>", "<<'a', 'a'>>"]],
        ]:
            told = "NONE" if " OR h = " in statement else "TOTAL"
            request = {"Statement": statement, "Parameters": [{"S": "it's"}], "ReturnConsumedCapacity": told}
            with self.subTest(statement=statement):
                ours, theirs = self.both("ExecuteStatement", request)
                self.assertEqual((ours.status, normalised(ours.json)), (theirs.status, normalised(theirs.json)))
        read, write = f"SELECT * FROM {table} {key}", f"DELETE FROM {table} {key}"
        for statements in [[], [read, read], [write, write], [read, write], [read, "SELECT", f"SELECT * FROM {table}"]]:
            request = {"Statements": [{"Statement": statement} for statement in statements]}
            with self.subTest(statements=statements):
                ours, theirs = self.both("BatchExecuteStatement", request)
                self.assertEqual((ours.status, normalised(ours.json)), (theirs.status, normalised(theirs.json)))


def index(name, keys, projection):
    return {
        "IndexName": name,
        "KeySchema": [{"AttributeName": key, "KeyType": role} for key, role in zip(keys, ["HASH", "RANGE"])],
        "Projection": projection,
    }


class DifferentialIndexes(Beside):
    """A table with global indexes: they come to show the same, and cost the same on the way."""

    INDEXES = [
        index("whole", ["g", "r"], {"ProjectionType": "ALL"}),
        index("keys", ["g"], {"ProjectionType": "KEYS_ONLY"}),
        index("some", ["g", "h"], {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a", "b"]}),
    ]
    ATTRIBUTES = [{"AttributeName": name, "AttributeType": scalar} for name, scalar in [("h", "S"), ("r", "N"), ("g", "S")]]
    tables = {"": ("S", "N", {"AttributeDefinitions": ATTRIBUTES, "GlobalSecondaryIndexes": INDEXES})}
    requests = IndexedRequests
    # What is written is in an index soon after.
    SECONDS = 20

    @classmethod
    def command(cls):
        return suite.RIVAL and [suite.RIVAL]

    def test_random_requests(self):
        for seed, requests in self.random_requests():
            for step, (operation, request) in enumerate(requests):
                if not self.same(operation, request, f"{seed}, step {step}"):
                    # The rival may have carried it out: the item starts anew.
                    self.delete_item_of(request)
            self.assert_same_items(seed)
            self.assert_same_indexes(seed)

    def assert_same_indexes(self, where):
        for name in [index["IndexName"] for index in self.INDEXES]:
            for value in ["p", "q"]:
                self.assert_same_soon(name, value, f"{where}, {name} of {value}")

    def assert_same_soon(self, name, value, where):
        request = {"TableName": self.name, "IndexName": name, "KeyConditionExpression": "g = :g"}
        request["ExpressionAttributeValues"] = {":g": {"S": value}}
        until = time.monotonic() + self.SECONDS
        while True:
            ours, theirs = self.both("Query", request)
            # Items of one key in the index have no order.
            shown = [sorted(json.dumps(normalised(item), sort_keys=True) for item in answer.json.get("Items", [])) for answer in [ours, theirs]]  # noqa: E501
            if ours.status == 200 and shown[0] == shown[1]:
                return
            if time.monotonic() > until:
                self.assertEqual(ours.status, 200, f"{where}: {ours.body}")
                self.assertEqual(shown[0], shown[1], where)
            time.sleep(0.05)
