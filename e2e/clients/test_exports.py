"""Exports of `cairn dev`'s tables, in a folder and in S3 as boto3 and the AWS CLI see them."""

import base64
import gzip
import hashlib
import json
import os
import subprocess
import tempfile
import time
import unittest
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import suite
from amazon.ion import simpleion
from amazon.ion.core import IonType
from test_backups import S3, Archived, now

BUCKET = "exports"


class Exported(Archived):
    """An archived server, the calls about exports, and the bucket as a reader sees it."""

    def export(self, **more):
        """The export of the table `users`, once it has ended."""
        arn = self.client.describe_table(TableName="users")["Table"]["TableArn"]
        begun = self.client.export_table_to_point_in_time(TableArn=arn, S3Bucket=BUCKET, **more)["ExportDescription"]
        self.assertEqual((begun["ExportStatus"], begun["S3Bucket"]), ("IN_PROGRESS", BUCKET))
        return self.ended(begun["ExportArn"])

    def ended(self, arn):
        for _ in range(400):
            export = self.client.describe_export(ExportArn=arn)["ExportDescription"]
            if export["ExportStatus"] != "IN_PROGRESS":
                return export
            time.sleep(0.1)
        self.fail(f"{arn} did not end in forty seconds")

    def lines(self, export):
        return list(map(json.loads, self.texts(export)))

    def texts(self, export, output_format="DYNAMODB_JSON"):
        """The lines of a complete export's data files; everything that is said of them is checked."""
        self.assertEqual(export["ExportStatus"], "COMPLETED", export)
        summary = json.loads(self.checked(export["ExportManifest"]))
        self.assertEqual((summary["exportArn"], summary["tableArn"]), (export["ExportArn"], export["TableArn"]))
        self.assertEqual(summary["tableId"], export["TableId"])
        self.assertEqual((summary["outputFormat"], summary["exportType"]), (output_format, export["ExportType"]))
        self.assertEqual(export["ExportFormat"], output_format)
        lines = []
        for entry in map(json.loads, self.checked(summary["manifestFilesS3Key"]).splitlines()):
            data = self.read(entry["dataFileS3Key"])
            self.assertEqual(md5(data), entry["md5Checksum"])
            self.assertTrue(entry["etag"])
            found = gzip.decompress(data).decode().split("\n")
            self.assertEqual(found.pop(), "")
            self.assertEqual(len(found), entry["itemCount"])
            lines += found
        self.assertEqual((len(lines), len(lines)), (summary["itemCount"], export["ItemCount"]))
        return lines

    def checked(self, key):
        document = self.read(key)
        self.assertEqual(md5(document), self.read(key.removesuffix(".json") + ".md5").decode())
        return document

    def exported(self, export):
        return {line["Item"]["h"]["S"]: int(line["Item"]["v"]["N"]) for line in self.lines(export)}


def md5(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


class InAFolder(Exported):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="cairn-archive-"))
        # A quarter of an hour, which is DynamoDB's, is long to wait for.
        spans = ["--export-span-min-seconds", "0"]
        self.server = self.start(["--archive", f"file://{self.folder}", *spans])

    def read(self, key):
        return (self.folder / "buckets" / BUCKET / key).read_bytes()

    def test_a_table_is_exported_as_it_was_between_two_writes(self):
        self.recoverable("users")
        self.restorable("users", now())
        self.put("users", "a", 1)
        self.put("users", "b", 1)
        time.sleep(0.1)
        between = now()
        time.sleep(0.1)
        self.put("users", "a", 2)
        self.client.delete_item(TableName="users", Key={"h": {"S": "b"}})
        export = self.export(ExportTime=between, S3Prefix="some/prefix")
        self.assertEqual(self.exported(export), {"a": 1, "b": 1})
        self.assertLessEqual(abs(export["ExportTime"] - between), timedelta(milliseconds=1))
        self.assertTrue(export["ExportManifest"].startswith("some/prefix/AWSDynamoDB/"))
        self.assertEqual(self.exported(self.export()), {"a": 2})

    def test_all_types_are_exported_in_dynamodb_json(self):
        self.recoverable("users")
        self.restorable("users", now())
        item = {
            "h": {"S": "every \u00e4 \" \\ \n type"},
            "n": {"N": "-1.5"},
            "b": {"B": b"\x00\xff"},
            "ss": {"SS": ["x", "y"]},
            "ns": {"NS": ["1", "2"]},
            "bs": {"BS": [b"x"]},
            "yes": {"BOOL": True},
            "null": {"NULL": True},
            "list": {"L": [{"S": ""}, {"M": {"deep": {"N": "1"}}}]},
        }
        self.client.put_item(TableName="users", Item=item)
        (line,) = self.lines(self.export())
        expected = item | {"b": {"B": "AP8="}, "bs": {"BS": ["eA=="]}}
        self.assertEqual(line, {"Item": expected})

    def test_amazons_ion_reads_an_export_in_ion(self):
        self.recoverable("users")
        self.restorable("users", now())
        text = "every \u00e4 ' \" \\ \r\n\t\0\x7f\x85\u2028 type"
        item = {
            "h": {"S": text},
            "n": {"N": "-12345678901234567890123456789012345678"},
            "tiny": {"N": "1E-130"},
            "b": {"B": b"\x00\xff"},
            "ss": {"SS": ["x", "y"]},
            "ns": {"NS": ["1.5", "600"]},
            "bs": {"BS": [b"x"]},
            "yes": {"BOOL": True},
            "null": {"NULL": True},
            "$10": {"L": [{"S": ""}, {"M": {"it's": {"N": "0.05"}}}]},
        }
        self.client.put_item(TableName="users", Item=item)
        (line,) = self.texts(self.export(ExportFormat="ION"), "ION")
        self.assertTrue(line.startswith("$ion_1_0 {Item:{"), line)
        read = simpleion.loads(line)["Item"]
        self.assertEqual(set(read), set(item))
        sets = {name: (read[name].ion_annotations[0].text, sorted(read[name])) for name in ("ss", "ns", "bs")}
        self.assertEqual(sets["ss"], ("$dynamodb_SS", ["x", "y"]))
        self.assertEqual(sets["ns"], ("$dynamodb_NS", [Decimal("1.5"), 600]))
        self.assertEqual(sets["bs"], ("$dynamodb_BS", [b"x"]))
        self.assertEqual((read["h"], bytes(read["b"])), (text, b"\x00\xff"))
        self.assertEqual((read["n"], read["tiny"]), (Decimal(item["n"]["N"]), Decimal("1E-130")))
        self.assertIsInstance(read["n"], Decimal)
        self.assertEqual((bool(read["yes"]), read["null"].ion_type), (True, IonType.NULL))
        self.assertEqual(read["$10"], ["", {"it's": Decimal("0.05")}])

    def test_an_incremental_export_has_what_changed(self):
        self.recoverable("users")
        self.restorable("users", now())
        for key in ("kept", "changed", "deleted"):
            self.put("users", key, 1)
        time.sleep(0.1)
        since = now()
        self.put("users", "changed", 2)
        self.put("users", "new", 2)
        self.client.delete_item(TableName="users", Key={"h": {"S": "deleted"}})
        time.sleep(0.1)
        until = now()
        self.put("users", "later", 3)
        for view in ("NEW_AND_OLD_IMAGES", "NEW_IMAGE"):
            span = {"ExportFromTime": since, "ExportToTime": until, "ExportViewType": view}
            export = self.export(ExportType="INCREMENTAL_EXPORT", IncrementalExportSpecification=span)
            shown = {}
            for line in self.lines(export):
                written = int(line["Metadata"]["WriteTimestampMicros"]["N"]) / 1e6
                self.assertLess(since.timestamp(), written)
                self.assertLess(written, until.timestamp())
                images = {name: int(line[name]["v"]["N"]) for name in ("NewImage", "OldImage") if name in line}
                shown[line["Keys"]["h"]["S"]] = images
            expected = {
                "changed": {"NewImage": 2, "OldImage": 1},
                "new": {"NewImage": 2},
                "deleted": {"OldImage": 1},
            }
            if view == "NEW_IMAGE":
                expected = {"changed": {"NewImage": 2}, "new": {"NewImage": 2}, "deleted": {}}
            self.assertEqual(shown, expected)

    def test_a_token_stands_for_its_first_request(self):
        self.recoverable("users")
        self.restorable("users", now())
        export = self.export(ClientToken="once")
        again = self.export_again(ClientToken="once")
        self.assertEqual(again["ExportArn"], export["ExportArn"])
        with self.assertRaises(self.client.exceptions.ExportConflictException):
            self.export_again(ClientToken="once", S3Prefix="other")
        # boto3 makes a token where none is given.
        other = self.export_again()
        self.assertNotEqual(other["ExportArn"], export["ExportArn"])
        self.assertTrue(other["ClientToken"])

    def export_again(self, **more):
        arn = self.client.describe_table(TableName="users")["Table"]["TableArn"]
        return self.client.export_table_to_point_in_time(TableArn=arn, S3Bucket=BUCKET, **more)["ExportDescription"]

    def test_what_cannot_be_exported_is_refused(self):
        self.recoverable("users")
        self.restorable("users", now())
        table = self.client.describe_table(TableName="users")["Table"]["TableArn"]
        exceptions = self.client.exceptions
        for more, refusal in (
            ({"ExportTime": now() - timedelta(days=1)}, exceptions.InvalidExportTimeException),
            ({"ExportTime": now() + timedelta(days=1)}, exceptions.InvalidExportTimeException),
            ({"TableArn": table.replace("users", "others")}, exceptions.TableNotFoundException),
        ):
            with self.assertRaises(refusal):
                self.client.export_table_to_point_in_time(**({"TableArn": table, "S3Bucket": BUCKET} | more))
        self.client.create_table(**suite.definition("plain"))
        with self.assertRaises(exceptions.PointInTimeRecoveryUnavailableException):
            self.client.export_table_to_point_in_time(TableArn=table.replace("users", "plain"), S3Bucket=BUCKET)
        with self.assertRaises(exceptions.ExportNotFoundException):
            self.client.describe_export(ExportArn=f"{table}/export/01700000000000-abcdef12")
        self.assertEqual(self.client.list_exports()["ExportSummaries"], [])

    def test_the_aws_cli_exports_a_table_and_lists_it(self):
        self.recoverable("users")
        self.restorable("users", now())
        self.put("users", "a", 1)
        table = self.client.describe_table(TableName="users")["Table"]["TableArn"]

        def aws(*arguments):
            command = [f"{suite.PROGRAMS}/aws", "dynamodb", *arguments, "--output", "json"]
            run = subprocess.run(command, env=os.environ | self.server.environment, check=True, capture_output=True)
            return json.loads(run.stdout)

        begun = aws("export-table-to-point-in-time", "--table-arn", table, "--s3-bucket", BUCKET)
        arn = begun["ExportDescription"]["ExportArn"]
        self.assertEqual(self.exported(self.ended(arn)), {"a": 1})
        self.assertEqual(aws("describe-export", "--export-arn", arn)["ExportDescription"]["ItemCount"], 1)
        summary = {"ExportArn": arn, "ExportStatus": "COMPLETED", "ExportType": "FULL_EXPORT"}
        self.assertEqual(aws("list-exports", "--table-arn", table)["ExportSummaries"], [summary])


@unittest.skipUnless(suite.S3_SERVER, "versitygw can't be built here")
class InS3(Exported):
    def setUp(self):
        self.s3 = S3()
        self.addCleanup(self.s3.kill)
        self.server = self.start(self.s3.arguments)
        self.bucket = self.s3.client()
        self.addCleanup(self.bucket.close)

    def read(self, key):
        return self.bucket.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def test_boto3_reads_an_export_out_of_its_bucket(self):
        self.recoverable("users")
        self.restorable("users", now())
        # Without its bucket, it fails as DynamoDB's does.
        export = self.export()
        self.assertEqual((export["ExportStatus"], export["FailureCode"]), ("FAILED", "S3NoSuchBucket"))
        self.assertIn("The specified bucket does not exist", export["FailureMessage"])
        self.bucket.create_bucket(Bucket=BUCKET)
        for n in range(100):
            self.put("users", f"key-{n}", n)
        export = self.export(S3Prefix="a/b")
        self.assertEqual(self.exported(export), {f"key-{n}": n for n in range(100)})
        export_id = export["ExportArn"].rsplit("/", 1)[1]
        folder = f"a/b/AWSDynamoDB/{export_id}/"
        listed = [item["Key"] for item in self.bucket.list_objects_v2(Bucket=BUCKET)["Contents"]]
        self.assertTrue(all(key.startswith(folder) for key in listed), listed)
        names = {key.removeprefix(folder) for key in listed if "/data/" not in key}
        documents = {f"manifest-{name}.{kind}" for name in ("files", "summary") for kind in ("json", "md5")}
        self.assertEqual(names, documents | {"_started"})
        for entry in map(json.loads, self.read(folder + "manifest-files.json").splitlines()):
            head = self.bucket.head_object(Bucket=BUCKET, Key=entry["dataFileS3Key"])
            self.assertEqual(head["ETag"].strip('"'), entry["etag"])

    def test_an_export_goes_on_after_cairn_and_the_bucket_were_killed(self):
        self.recoverable("users")
        self.restorable("users", now())
        self.bucket.create_bucket(Bucket=BUCKET)
        self.put("users", "a", 1)
        arn = self.client.describe_table(TableName="users")["Table"]["TableArn"]
        begun = self.client.export_table_to_point_in_time(TableArn=arn, S3Bucket=BUCKET)["ExportDescription"]
        self.s3.kill()
        self.server.kill()
        self.s3.start()
        self.server.start()
        self.connect(self.server)
        self.assertEqual(self.exported(self.ended(begun["ExportArn"])), {"a": 1})
