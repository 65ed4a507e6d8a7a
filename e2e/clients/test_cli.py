"""The AWS CLI, with nothing set but what `cairn dev` says to set."""

import json
import os
import subprocess

import suite
from suite import Case


class CommandLine(Case):
    tables = {}

    def aws(self, *arguments):
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment = inherited | self.server.environment | {"AWS_MAX_ATTEMPTS": "1", "AWS_CONFIG_FILE": os.devnull}
        program = os.path.join(suite.PROGRAMS, "aws")
        command = [program, "dynamodb", *arguments, "--output", "json"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    def done(self, *arguments):
        ended = self.aws(*arguments)
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
