"""Imports of `cairn dev --archive`, from a folder and from S3, as boto3 and the AWS CLI see them."""

import gzip
import json
import os
import subprocess
import tempfile
import time
import unittest
from decimal import Decimal
from pathlib import Path

import suite
import test_backups
from amazon.ion import simpleion
from amazon.ion.core import IonType
from amazon.ion.simple_types import IonPyList
from boto3.dynamodb.types import TypeSerializer

serializer = TypeSerializer()


def line(**attributes):
    """A line as an export of DynamoDB has it."""
    item = {name: serializer.serialize(value) for name, value in attributes.items()}
    return json.dumps({"Item": item}) + "\n"


class Importing(test_backups.Archived):
    """Imports, wherever the source lies: `upload` puts an object into the bucket `source`."""

    def import_table(self, name, prefix, **parameters):
        parameters.setdefault("InputFormat", "DYNAMODB_JSON")
        begun = self.client.import_table(
            S3BucketSource={"S3Bucket": "source", "S3KeyPrefix": prefix},
            TableCreationParameters=suite.definition(name),
            **parameters,
        )["ImportTableDescription"]
        return self.ended(begun["ImportArn"])

    def ended(self, arn):
        for _ in range(400):
            description = self.client.describe_import(ImportArn=arn)["ImportTableDescription"]
            if description["ImportStatus"] != "IN_PROGRESS":
                return description
            time.sleep(0.05)
        self.fail(f"{arn} did not end within twenty seconds")


class Imports:
    def test_compressed_dynamodb_json_becomes_a_table(self):
        packed = [gzip.compress(line(h=f"a-{n}", v=n).encode()) for n in range(20)]
        self.upload("AWSDynamoDB/01-a/data/one.json.gz", b"".join(packed))
        self.upload("AWSDynamoDB/01-a/data/two.json.gz", gzip.compress((line(h="b", v=1) + line(h="b", v=2)).encode()))
        self.upload("AWSDynamoDB/01-a/manifest-summary.json", b"{}")
        done = self.import_table("users", "AWSDynamoDB/01-a/data/", InputCompressionType="GZIP")
        self.assertEqual((done["ImportStatus"], done["ErrorCount"]), ("COMPLETED", 0), done)
        self.assertEqual((done["ProcessedItemCount"], done["ImportedItemCount"]), (22, 22))
        self.assertEqual(self.items("users"), {f"a-{n}": n for n in range(20)} | {"b": 2})
        self.client.get_waiter("table_exists").wait(TableName="users", WaiterConfig={"Delay": 1})

    def test_keys_with_unusual_characters_are_read(self):
        names = ["a b", "a#b", "a%23b", "a+b", "\u00e4", "a&b=c", "a~b"]
        for name in names:
            self.upload(f"odd {name}/{name}.json", line(h=name, v=1).encode())
        done = self.import_table("users", "odd ")
        self.assertEqual((done["ImportStatus"], done["ErrorCount"]), ("COMPLETED", 0), done)
        self.assertEqual(self.items("users"), dict.fromkeys(names, 1))
        done = self.import_table("one", "odd a#b/a#")
        self.assertEqual((done["ImportStatus"], self.items("one")), ("COMPLETED", {"a#b": 1}), done)

    def test_csv_becomes_a_table(self):
        self.upload("people.csv", 'h,name\r\n1,"Dress ""large"", red"\r\n2,\r\n'.encode())
        done = self.import_table("people", "people.csv", InputFormat="CSV")
        self.assertEqual(done["ImportStatus"], "COMPLETED", done)
        items = self.client.scan(TableName="people")["Items"]
        names = {item["h"]["S"]: item["name"]["S"] for item in items}
        self.assertEqual(names, {"1": 'Dress "large", red', "2": ""})

    def test_what_amazons_ion_wrote_becomes_a_table(self):
        text = "every \u00e4 ' \" \\ \r\n\t\0\x7f\x85\u2028 \U0001f600 type"

        def members(kind, values):
            return IonPyList.from_value(IonType.LIST, values, annotations=(f"$dynamodb_{kind}",))

        item = {
            "h": text,
            "n": Decimal("-12345678901234567890123456789012345678"),
            "tiny": Decimal("1E-130"),
            "zero": Decimal(0),
            "b": b"\x00\xff",
            "ss": members("SS", ["y", "x"]),
            "ns": members("NS", [Decimal("1.5"), 600]),
            "bs": members("BS", [b"x"]),
            "yes": True,
            "null": None,
            "$10": ["", {"it's": Decimal("0.05")}],
        }
        lines = [simpleion.dumps({"Item": each}, binary=False) for each in (item, {"h": "float", "v": 1.5})]
        self.upload("data.ion.gz", gzip.compress("\n".join(lines).encode()))
        done = self.import_table("users", "data", InputFormat="ION", InputCompressionType="GZIP")
        self.assertEqual((done["ImportStatus"], done["ImportedItemCount"], done["ErrorCount"]), ("FAILED", 1, 1), done)
        (read,) = self.client.scan(TableName="users")["Items"]
        read["ns"]["NS"].sort(key=Decimal)
        expected = {
            "h": {"S": text},
            "n": {"N": "-12345678901234567890123456789012345678"},
            "tiny": {"N": "0." + "0" * 129 + "1"},
            "zero": {"N": "0"},
            "b": {"B": b"\x00\xff"},
            "ss": {"SS": ["x", "y"]},
            "ns": {"NS": ["1.5", "600"]},
            "bs": {"BS": [b"x"]},
            "yes": {"BOOL": True},
            "null": {"NULL": True},
            "$10": {"L": [{"S": ""}, {"M": {"it's": {"N": "0.05"}}}]},
        }
        self.assertEqual(read, expected)

    def test_what_was_exported_is_imported_again(self):
        self.recoverable("users")
        value = {
            "M": {
                "list": {"L": [{"N": "-1.5E-7"}, {"NULL": True}, {"BOOL": False}, {"S": ""}, {"S": "\u00e4\n\u0000"}]},
                "sets": {"M": {"ss": {"SS": ["a", "b"]}, "ns": {"NS": ["1", "2"]}, "bs": {"BS": [b"\x00", b"\xff"]}}},
                "b": {"B": b"\x00\x01"},
            }
        }
        for n in range(30):
            self.client.put_item(TableName="users", Item={"h": {"S": f"key-{n}"}, "v": value})
        self.restorable("users", test_backups.now())
        source = self.client.describe_table(TableName="users")["Table"]["TableArn"]
        for written in ("DYNAMODB_JSON", "ION"):
            with self.subTest(written):
                self.check_what_was_exported(source, written)

    def check_what_was_exported(self, source, written):
        begun = self.client.export_table_to_point_in_time(TableArn=source, S3Bucket="source", ExportFormat=written)
        export = begun["ExportDescription"]
        for _ in range(400):
            export = self.client.describe_export(ExportArn=export["ExportArn"])["ExportDescription"]
            if export["ExportStatus"] != "IN_PROGRESS":
                break
            time.sleep(0.05)
        prefix = export["ExportManifest"].removesuffix("manifest-summary.json") + "data/"
        done = self.import_table(written, prefix, InputFormat=written, InputCompressionType="GZIP")
        self.assertEqual((done["ImportStatus"], done["ImportedItemCount"]), ("COMPLETED", 30), done)
        tables = [self.client.scan(TableName=name)["Items"] for name in ("users", written)]
        before, after = ({item["h"]["S"]: item for item in items} for items in tables)
        self.assertEqual(after, before)

    def test_an_import_that_fails_leaves_no_table(self):
        missing = self.client.import_table(
            S3BucketSource={"S3Bucket": "no-such-bucket"},
            InputFormat="DYNAMODB_JSON",
            TableCreationParameters=suite.definition("users"),
        )["ImportTableDescription"]
        done = self.ended(missing["ImportArn"])
        self.assertEqual((done["ImportStatus"], done["FailureCode"]), ("FAILED", "S3NoSuchBucket"), done)
        self.assertEqual(self.client.list_tables()["TableNames"], [])

    def test_of_no_objects_an_empty_table_is_made(self):
        self.upload("elsewhere.json", line(h="a", v=1).encode())
        done = self.import_table("users", "nothing-there")
        self.assertEqual((done["ImportStatus"], done["ProcessedItemCount"]), ("COMPLETED", 0), done)
        self.assertNotIn("FailureCode", done)
        self.assertEqual(self.items("users"), {})

    def test_imports_are_listed_in_pages_and_known_after_a_restart(self):
        self.upload("one.json", line(h="a", v=1).encode())
        arns = [self.import_table(f"table-{n}", "one")["ImportArn"] for n in range(3)]
        self.server.kill()
        self.server.start()
        self.connect(self.server)
        first = self.client.list_imports(PageSize=2)
        rest = self.client.list_imports(PageSize=2, NextToken=first["NextToken"])
        listed = [item["ImportArn"] for page in (first, rest) for item in page["ImportSummaryList"]]
        self.assertEqual(listed, arns[::-1])
        self.assertEqual({self.ended(arn)["ImportStatus"] for arn in arns}, {"COMPLETED"})
        self.assertEqual(self.items("table-1"), {"a": 1})


class FromAFolder(Imports, Importing):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cairn-archive-")
        self.addCleanup(folder.cleanup)
        self.source = Path(folder.name) / "buckets" / "source"
        self.source.mkdir(parents=True)
        self.server = self.start(["--archive", f"file://{folder.name}"])

    def upload(self, key, content):
        path = self.source / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def test_a_client_token_stands_for_one_import(self):
        self.upload("one.json", line(h="a", v=1).encode())
        first = self.import_table("users", "one", ClientToken="token")
        with self.assertRaises(self.client.exceptions.ResourceInUseException):
            self.import_table("users", "one", ClientToken="token")
        with self.assertRaises(self.client.exceptions.ImportConflictException):
            self.import_table("others", "one", ClientToken="token")
        with self.assertRaises(self.client.exceptions.ResourceInUseException):
            self.import_table("users", "one")
        with self.assertRaises(self.client.exceptions.ImportNotFoundException):
            self.client.describe_import(ImportArn=first["ImportArn"][:-8] + "00000000")

    def test_the_aws_cli_imports_a_table(self):
        self.upload("one.json", line(h="a", v=1).encode())
        environment = os.environ | self.server.environment
        command = [f"{suite.PROGRAMS}/aws", "dynamodb", "import-table", "--input-format", "DYNAMODB_JSON"]
        command += ["--s3-bucket-source", "S3Bucket=source,S3KeyPrefix=one"]
        command += ["--table-creation-parameters", json.dumps(suite.definition("users"))]
        answer = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
        done = self.ended(json.loads(answer)["ImportTableDescription"]["ImportArn"])
        self.assertEqual(done["ImportStatus"], "COMPLETED", done)
        self.assertEqual(self.items("users"), {"a": 1})


@unittest.skipUnless(suite.S3_SERVER, "versitygw can't be built here")
class FromS3(Imports, Importing):
    def setUp(self):
        self.s3 = test_backups.S3()
        self.addCleanup(self.s3.kill)
        self.bucket = self.s3.client()
        self.addCleanup(self.bucket.close)
        self.bucket.create_bucket(Bucket="source")
        self.server = self.start(self.s3.arguments)

    def upload(self, key, content):
        self.bucket.put_object(Bucket="source", Key=key, Body=content)

    def test_errors_are_told_in_the_archive(self):
        content = line(h="a", v=1) + line(v=1) + "nonsense\n"
        self.upload("folder/data.json", content.encode())
        done = self.import_table("users", "folder/")
        self.assertEqual((done["ImportStatus"], done["FailureCode"]), ("FAILED", "ItemValidationError"), done)
        self.assertEqual((done["ErrorCount"], self.items("users")), (2, {"a": 1}))
        bucket, key = done["CloudWatchLogGroupArn"].removeprefix("arn:aws:s3:::").split("/", 1)
        log = self.bucket.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        errors = [json.loads(text) for text in log.splitlines()]
        self.assertEqual([(error["object"], error["line"]) for error in errors], [("folder/data.json", n) for n in (2, 3)])
        self.assertEqual(errors[1]["item"], "nonsense")
        self.assertIn(done["CloudWatchLogGroupArn"], done["FailureMessage"])

    def test_a_large_object_is_read_in_parts(self):
        count = 40_000
        content = "".join(line(h=f"key-{n}", v=n, text="x" * 200) for n in range(count))
        self.upload("large.json", content.encode())
        done = self.import_table("users", "large.json")
        self.assertEqual((done["ImportStatus"], done["ImportedItemCount"]), ("COMPLETED", count), done)
        self.assertEqual(done["ProcessedSizeBytes"], len(content))
        for n in (0, count // 2, count - 1):
            item = self.client.get_item(TableName="users", Key={"h": {"S": f"key-{n}"}})["Item"]
            self.assertEqual(item["v"], {"N": str(n)})

    def test_a_bucket_that_goes_away_fails_the_import_which_is_known_when_it_is_back(self):
        content = "".join(line(h=f"key-{n}", text="x" * 1_000) for n in range(40_000))
        self.upload("large.json", content.encode())
        begun = self.client.import_table(
            S3BucketSource={"S3Bucket": "source"},
            InputFormat="DYNAMODB_JSON",
            TableCreationParameters=suite.definition("users"),
        )["ImportTableDescription"]
        self.wait_until_read(begun["ImportArn"])
        self.s3.kill()
        for _ in range(600):
            if not self.client.list_tables()["TableNames"]:
                break
            time.sleep(0.1)
        self.s3.start()
        done = self.ended(begun["ImportArn"])
        # Nothing is known against the source itself.
        self.assertEqual((done["ImportStatus"], done["FailureCode"]), ("FAILED", "InternalServerError"), done)
        self.assertIn("large.json", done["FailureMessage"])
        self.assertEqual(self.client.list_tables()["TableNames"], [])

    def wait_until_read(self, arn):
        for _ in range(2_000):
            description = self.client.describe_import(ImportArn=arn)["ImportTableDescription"]
            if description.get("ProcessedSizeBytes", 0) > 0:
                return
            time.sleep(0.005)
        self.fail("nothing was read within ten seconds")
