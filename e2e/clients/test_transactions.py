"""Transactions: across tables, all or nothing, once for a token, and with everybody at once."""

import uuid
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError
from suite import Case

ACCOUNTS = 6
START = 100
CANCELED = "TransactionCanceledException"
REASONS = "Transaction cancelled, please refer cancellation reasons for specific reasons "


class Transactions(Case):
    tables = {"": ("S", None), "Other": ("S", None)}

    def put(self, item, table=""):
        return {"Put": {"TableName": self.name + table, "Item": item}}

    def get(self, h, table=""):
        return {"Get": {"TableName": self.name + table, "Key": {"h": {"S": h}}}}

    def test_all_of_it_is_done_in_both_tables_or_nothing(self):
        new = "attribute_not_exists(h)"
        first, second = self.put({"h": {"S": "both"}}), self.put({"h": {"S": "both"}, "n": {"N": "1"}}, "Other")
        first["Put"]["ConditionExpression"] = new
        answer = self.client.transact_write_items(TransactItems=[first, second], ReturnConsumedCapacity="TOTAL")
        self.assertEqual([of["CapacityUnits"] for of in answer["ConsumedCapacity"]], [2.0, 2.0])
        second["Put"]["Item"]["n"]["N"] = "2"
        again = lambda: self.client.transact_write_items(TransactItems=[first, second])
        error = self.refused(CANCELED, REASONS + "[ConditionalCheckFailed, None]", again)
        self.assertEqual([reason["Code"] for reason in error["CancellationReasons"]], ["ConditionalCheckFailed", "None"])
        found = self.client.transact_get_items(TransactItems=[self.get("both", "Other"), self.get("none")])["Responses"]
        self.assertEqual(found, [{"Item": {"h": {"S": "both"}, "n": {"N": "1"}}}, {}])

    def test_one_token_is_one_transaction(self):
        for tables in [[""], ["", "Other"]]:
            h = f"token{len(tables)}"
            add = [
                {"Update": {"TableName": self.name + table, "Key": {"h": {"S": h}}, "UpdateExpression": "ADD n :one",
                            "ExpressionAttributeValues": {":one": {"N": "1"}}}}
                for table in tables
            ]
            token = str(uuid.uuid4())
            for _ in range(3):
                self.client.transact_write_items(TransactItems=add, ClientRequestToken=token)
            self.assertEqual(self.client.get_item(**self.get(h)["Get"])["Item"]["n"], {"N": "1"})
            add[0]["Update"]["UpdateExpression"] = "SET n = :one"
            self.refused(
                "IdempotentParameterMismatchException",
                None,
                lambda: self.client.transact_write_items(TransactItems=add, ClientRequestToken=token),
            )

    def test_statements_are_a_transaction(self):
        table, other = f'"{self.name}"', f'"{self.name}Other"'
        statements = [f"INSERT INTO {table} VALUE {{'h': 'sql'}}", f"INSERT INTO {other} VALUE {{'h': 'sql'}}"]
        run = lambda: self.client.execute_transaction(TransactStatements=[{"Statement": text} for text in statements])
        run()
        self.refused(CANCELED, REASONS + "[DuplicateItem, DuplicateItem]", run)
        statements = [f"SELECT * FROM {table} WHERE h = 'sql'", f"SELECT * FROM {other} WHERE h = 'gone'"]
        self.assertEqual(run()["Responses"], [{"Item": {"h": {"S": "sql"}}}, {}])

    def test_money_moves_between_tables_and_the_sum_stays(self):
        accounts = [(f"account{n}", "Other" if n % 2 else "") for n in range(ACCOUNTS)]
        for h, table in accounts:
            self.client.put_item(TableName=self.name + table, Item={"h": {"S": h}, "n": {"N": str(START)}})

        def move(step):
            pays, gets = accounts[step % ACCOUNTS], accounts[(step * 5 + 1) % ACCOUNTS]
            if pays == gets:
                return
            change = lambda account, expression, **more: {
                "Update": {"TableName": self.name + account[1], "Key": {"h": {"S": account[0]}},
                           "UpdateExpression": expression, "ExpressionAttributeValues": {":n": {"N": "7"}}} | more
            }
            actions = [change(pays, "SET n = n - :n", ConditionExpression="n >= :n"), change(gets, "SET n = n + :n")]
            try:
                self.client.transact_write_items(TransactItems=actions)
            except ClientError as error:
                self.assertEqual(error.response["Error"]["Code"], CANCELED)

        def look(_):
            try:
                found = self.client.transact_get_items(TransactItems=[self.get(*account) for account in accounts])
            except ClientError as error:
                self.assertEqual(error.response["Error"]["Code"], CANCELED)
                return False
            self.assertEqual(sum(int(of["Item"]["n"]["N"]) for of in found["Responses"]), ACCOUNTS * START)
            return True

        with ThreadPoolExecutor(8) as pool:
            moves = [pool.submit(move, step) for step in range(200)]
            looks = [pool.submit(look, step) for step in range(100)]
            for of in moves:
                of.result()
            self.assertTrue(any([of.result() for of in looks]))
        self.assertTrue(look(None))
