"""PartiQL: statements, batches of them, and their pages."""

from decimal import Decimal

from suite import Case

DUPLICATE = "Duplicate primary key exists in table"
FAILED = "The conditional request failed"


class Statements(Case):
    tables = {"": ("S", "N")}

    def execute(self, statement, *parameters, **more):
        request = {"Statement": statement.replace("TABLE", f'"{self.name}"')} | more
        if parameters:
            request["Parameters"] = list(parameters)
        return self.client.execute_statement(**request)

    def fails(self, error, text, statement, *parameters, **more):
        return self.refused(error, text, lambda: self.execute(statement, *parameters, **more))

    def test_what_is_inserted_is_selected(self):
        self.execute(
            "INSERT INTO TABLE VALUE {'h': 'types', 'r': 1, 'text': 'it''s', 'list': [1, 'x', [], true, null], "
            "'map': {'deep': {'n': -1.5e1}}, 'texts': <<'a', 'b'>>, 'numbers': <<1, 2>>, 'binary': ?}",
            {"B": b"\x00\xff"},
        )
        found = self.execute("SELECT * FROM TABLE WHERE h = ? AND r = ?", {"S": "types"}, {"N": "1"})["Items"]
        for kind in ["texts", "numbers"]:
            found[0][kind] = {key: sorted(members) for key, members in found[0][kind].items()}
        item = {
            "h": {"S": "types"},
            "r": {"N": "1"},
            "text": {"S": "it's"},
            "list": {"L": [{"N": "1"}, {"S": "x"}, {"L": []}, {"BOOL": True}, {"NULL": True}]},
            "map": {"M": {"deep": {"M": {"n": {"N": "-15"}}}}},
            "texts": {"SS": ["a", "b"]},
            "numbers": {"NS": ["1", "2"]},
            "binary": {"B": b"\x00\xff"},
        }
        self.assertEqual(found, [item])
        found = self.execute("SELECT map.deep.n, \"list\"[1] FROM TABLE WHERE h = 'types' AND r = 1")["Items"]
        self.assertEqual(found, [{"n": {"N": "-15"}, "list[1]": {"S": "x"}}])

    def test_an_item_is_inserted_once(self):
        statement = "INSERT INTO TABLE VALUE {'h': 'once', 'r': 1}"
        self.execute(statement)
        self.fails("DuplicateItemException", DUPLICATE, statement)

    def test_updates_and_deletes_are_of_items_that_are_as_said(self):
        self.execute("INSERT INTO TABLE VALUE {'h': 'u', 'r': 1, 'n': 5}")
        key = "WHERE h = 'u' AND r = 1"
        found = self.execute(f"UPDATE TABLE SET n = n + 1 SET s = <<'a'>> {key} AND n = 5 RETURNING ALL NEW *")["Items"]
        self.assertEqual(found, [{"h": {"S": "u"}, "r": {"N": "1"}, "n": {"N": "6"}, "s": {"SS": ["a"]}}])
        found = self.execute(f"UPDATE TABLE SET s = set_add(s, <<'b'>>) REMOVE n {key} RETURNING MODIFIED NEW *")["Items"]
        self.assertEqual(sorted(found[0]["s"]["SS"]), ["a", "b"])
        error = self.fails(
            "ConditionalCheckFailedException",
            FAILED,
            f"UPDATE TABLE SET n = 1 {key} AND n = 5",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        self.assertEqual(error["Item"]["h"], {"S": "u"})
        self.fails("ConditionalCheckFailedException", FAILED, "UPDATE TABLE SET n = 1 WHERE h = 'u' AND r = 2")
        self.fails("ConditionalCheckFailedException", FAILED, f"DELETE FROM TABLE {key} AND n = 5")
        found = self.execute(f"DELETE FROM TABLE {key} AND n IS MISSING RETURNING ALL OLD *")["Items"]
        self.assertEqual(len(found), 1)
        self.assertEqual(self.execute(f"DELETE FROM TABLE {key}")["Items"], [])

    def test_a_select_follows_its_tokens_through_partitions_and_in_order(self):
        for h in ["page1", "page2"]:
            for r in range(5):
                self.execute("INSERT INTO TABLE VALUE {'h': ?, 'r': ?}", {"S": h}, {"N": str(r)})
        statement = "SELECT * FROM TABLE WHERE h IN ['page1', 'page2'] AND r > 0 ORDER BY h DESC, r DESC"
        for limit in [1, 3, 100]:
            found, more = [], {"Limit": limit}
            while True:
                page = self.execute(statement, **more)
                found += [(item["h"]["S"], int(item["r"]["N"])) for item in page["Items"]]
                if "NextToken" not in page:
                    break
                more["NextToken"] = page["NextToken"]
            self.assertEqual(found, [(h, r) for h in ["page2", "page1"] for r in [4, 3, 2, 1]])
        token = self.execute(statement, Limit=1)["NextToken"]
        other = "SELECT * FROM TABLE WHERE h = 'page1'"
        self.fails("ValidationException", "NextToken does not match request", other, NextToken=token)
        self.fails("ValidationException", "Invalid NextToken", statement, NextToken="x" + token)

    def test_statements_cost_what_their_operations_cost(self):
        def units(statement, *parameters, **more):
            answer = self.execute(statement, *parameters, ReturnConsumedCapacity="TOTAL", **more)
            return answer["ConsumedCapacity"]["CapacityUnits"]

        insert = "INSERT INTO TABLE VALUE {'h': 'cost', 'r': 1, 'v': ?}"
        self.assertEqual(units(insert, {"S": "x" * 3_000}), 3)
        select = "SELECT h FROM TABLE WHERE h = 'cost' AND r = 1"
        self.assertEqual(units(select), 0.5)
        self.assertEqual(units(select, ConsistentRead=True), 1)
        self.assertEqual(units("DELETE FROM TABLE WHERE h = 'cost' AND r = 1"), 3)

    def test_what_is_no_statement_for_the_table_is_refused(self):
        malformed = "Statement wasn't well formed, can't be processed: "
        mandatory = "Where clause does not contain a mandatory equality on all key attributes"
        for statement, text in [
            ("SELECT", malformed + "Unexpected term"),
            ("SELECT * FROM TABLE WHERE h = 'x", malformed),
            ("SELECT * FROM TABLE; SELECT * FROM TABLE", malformed + "Unexpected token after semicolon. (Only one query is allowed.)"),
            ("SELECT COUNT(*) FROM TABLE", "Unexpected path component at 1:8:5"),
            ("SELECT * FROM TABLE WHERE h = ?", "Number of parameters in request and statement don't match."),
            ("UPDATE TABLE SET v = 1 WHERE h = 'x'", mandatory),
            ("DELETE FROM TABLE WHERE h = 'x' AND r IN [1]", mandatory),
            (
                "SELECT * FROM TABLE WHERE h = 1",
                "Key attribute's data type should match its data type in table's schema: Key h",
            ),
            ('SELECT * FROM TABLE."index"', "The table does not have the specified index"),
        ]:
            self.fails("ValidationException", text, statement)
        self.refused(
            "ResourceNotFoundException",
            "Requested resource not found",
            self.client.execute_statement,
            Statement="SELECT * FROM absent",
        )

    def test_boto3s_resource_executes_statements(self):
        self.execute("INSERT INTO TABLE VALUE {'h': 'resource', 'r': 1, 'n': 1.5}")
        client = self.server.resource().meta.client
        statement = f'SELECT * FROM "{self.name}" WHERE h = ? AND n < ?'
        found = client.execute_statement(Statement=statement, Parameters=["resource", Decimal(2)])["Items"]
        self.assertEqual(found, [{"h": "resource", "r": Decimal(1), "n": Decimal("1.5")}])


class BatchesOfStatements(Case):
    tables = {"": ("S", None)}

    def batch(self, *statements, **more):
        statements = [
            statement if isinstance(statement, dict) else {"Statement": statement} for statement in statements
        ]
        for statement in statements:
            statement["Statement"] = statement["Statement"].replace("TABLE", f'"{self.name}"')
        return self.client.batch_execute_statement(Statements=statements, **more)

    def test_each_statement_has_its_own_answer(self):
        answer = self.batch(*[f"INSERT INTO TABLE VALUE {{'h': '{at}', 'n': {at}}}" for at in range(25)])
        self.assertEqual(answer["Responses"], [{"TableName": self.name}] * 25)
        answer = self.batch(
            "INSERT INTO TABLE VALUE {'h': '1'}",
            "UPDATE TABLE SET n = n + 10 WHERE h = '2' RETURNING ALL NEW *",
            {"Statement": "DELETE FROM TABLE WHERE h = '3' AND n = 4", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"},
            "DELETE FROM absent WHERE h = '3'",
            "nonsense",
        )["Responses"]
        self.assertEqual(answer[0]["Error"], {"Code": "DuplicateItem", "Message": DUPLICATE})
        self.assertEqual(answer[1]["Item"], {"h": {"S": "2"}, "n": {"N": "12"}})
        self.assertEqual(
            answer[2]["Error"],
            {"Code": "ConditionalCheckFailed", "Message": FAILED, "Item": {"h": {"S": "3"}, "n": {"N": "3"}}},
        )
        self.assertEqual(answer[3]["Error"]["Code"], "ResourceNotFound")
        self.assertEqual(answer[4]["Error"]["Code"], "ValidationError")
        answer = self.batch(
            {"Statement": "SELECT * FROM TABLE WHERE h = ?", "Parameters": [{"S": "2"}], "ConsistentRead": True},
            "SELECT n FROM TABLE WHERE h = '3'",
            "SELECT * FROM TABLE WHERE h = 'gone'",
            "SELECT * FROM TABLE",
            ReturnConsumedCapacity="TOTAL",
        )
        items = [response.get("Item") for response in answer["Responses"]]
        self.assertEqual(items, [{"h": {"S": "2"}, "n": {"N": "12"}}, {"n": {"N": "3"}}, None, None])
        self.assertEqual(answer["Responses"][3]["Error"]["Code"], "ValidationError")
        self.assertEqual(answer["ConsumedCapacity"], [{"TableName": self.name, "CapacityUnits": 2.0}])

    def test_a_batch_reads_or_writes_each_item_once(self):
        read, write = "SELECT * FROM TABLE WHERE h = 'x'", "DELETE FROM TABLE WHERE h = 'x'"
        for statements, text in [
            ([read, write], "Read and write requests together in the same batch is not supported."),
            ([read, read], "Provided list of item keys contains duplicates"),
            ([write, write], "Provided list of item keys contains duplicates"),
        ]:
            self.refused("ValidationException", text, lambda statements=statements: self.batch(*statements))
