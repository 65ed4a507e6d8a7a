"""Backups and point-in-time recovery of `cairn dev`, in a folder and in S3 as boto3 and the AWS CLI see them."""

import datetime
import json
import os
import random
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import boto3
import suite
from botocore.config import Config
from server import Server

ACCESS_KEY, SECRET = "archive-key", "archive-secret"


class S3:
    """versitygw over a folder, with one bucket."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="cairn-s3-"))
        (self.folder / "data" / "backups").mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    def start(self):
        command = [suite.S3_SERVER, "--access", ACCESS_KEY, "--secret", SECRET, "--region", "us-east-1"]
        command += ["--port", f"127.0.0.1:{self.port}", "--quiet", "posix", str(self.folder / "data")]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("versitygw did not start")

    def kill(self):
        self.process.kill()
        self.process.wait()

    @property
    def arguments(self):
        return [
            *("--archive", "s3://backups/some/prefix", "--archive-endpoint", f"http://127.0.0.1:{self.port}"),
            *("--archive-region", "us-east-1"),
            *("--archive-access-key-id", ACCESS_KEY, "--archive-secret-access-key", SECRET),
        ]

    def client(self):
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET,
            config=Config(s3={"addressing_style": "path"}),
        )


def now():
    return datetime.datetime.now(datetime.timezone.utc)


class Archived(unittest.TestCase):
    """A server with an archive, and the calls that the tests share."""

    def start(self, arguments):
        server = Server(suite.PROGRAM, arguments=arguments)
        self.addCleanup(server.remove)
        self.connect(server)
        return server

    def connect(self, server):
        self.client = server.client()
        self.addCleanup(self.client.close)

    def recoverable(self, name):
        self.client.create_table(**suite.definition(name))
        self.client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
        on = {"PointInTimeRecoveryEnabled": True}
        self.client.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=on)

    def put(self, name, key, value):
        self.client.put_item(TableName=name, Item={"h": {"S": key}, "v": {"N": str(value)}})

    def items(self, name):
        scan = self.client.scan(TableName=name, ConsistentRead=True)
        return {item["h"]["S"]: int(item["v"]["N"]) for item in scan["Items"]}

    def restorable(self, name, moment):
        for _ in range(400):
            described = self.client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
            latest = described["PointInTimeRecoveryDescription"].get("LatestRestorableDateTime")
            if latest is not None and latest >= moment:
                return latest
            time.sleep(0.1)
        self.fail(f"{name} can't be restored to {moment} after forty seconds")

    def restore(self, source, target, **when):
        self.client.restore_table_to_point_in_time(SourceTableName=source, TargetTableName=target, **when)
        self.client.get_waiter("table_exists").wait(TableName=target, WaiterConfig={"Delay": 1})
        return self.items(target)


class InAFolder(Archived):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cairn-archive-")
        self.addCleanup(folder.cleanup)
        self.server = self.start(["--archive", f"file://{folder.name}"])

    def test_a_table_goes_back_to_a_second(self):
        self.recoverable("users")
        self.put("users", "a", 1)
        time.sleep(1.1)
        second = now().replace(microsecond=0)
        time.sleep(1.1)
        self.put("users", "a", 2)
        self.put("users", "b", 3)
        self.restorable("users", now())
        self.assertEqual(self.restore("users", "before", RestoreDateTime=second), {"a": 1})
        self.assertEqual(self.restore("users", "latest", UseLatestRestorableTime=True), {"a": 2, "b": 3})
        summary = self.client.describe_table(TableName="before")["Table"]["RestoreSummary"]
        self.assertEqual((summary["RestoreDateTime"], summary["RestoreInProgress"]), (second, False))

    def test_backups_are_made_listed_restored_and_deleted(self):
        self.client.create_table(**suite.definition("users"))
        self.client.get_waiter("table_exists").wait(TableName="users", WaiterConfig={"Delay": 1})
        self.put("users", "a", 1)
        arns = [
            self.client.create_backup(TableName="users", BackupName=f"nightly-{n}")["BackupDetails"]["BackupArn"]
            for n in range(3)
        ]
        self.put("users", "a", 2)
        first = self.client.list_backups(TableName="users", Limit=2)
        rest = self.client.list_backups(TableName="users", ExclusiveStartBackupArn=first["LastEvaluatedBackupArn"])
        listed = [backup["BackupArn"] for page in (first, rest) for backup in page["BackupSummaries"]]
        self.assertEqual(listed, arns)
        self.client.restore_table_from_backup(TargetTableName="again", BackupArn=arns[1])
        self.client.get_waiter("table_exists").wait(TableName="again", WaiterConfig={"Delay": 1})
        self.assertEqual(self.items("again"), {"a": 1})
        for arn in arns:
            self.client.delete_backup(BackupArn=arn)
        self.assertEqual(self.client.list_backups()["BackupSummaries"], [])
        with self.assertRaises(self.client.exceptions.BackupNotFoundException):
            self.client.describe_backup(BackupArn=arns[0])

    def test_the_aws_cli_restores_a_table(self):
        self.recoverable("users")
        self.put("users", "a", 1)
        self.restorable("users", now())
        environment = os.environ | self.server.environment
        restore = ["restore-table-to-point-in-time", "--source-table-name", "users", "--target-table-name", "again"]
        restore.append("--use-latest-restorable-time")
        for arguments in (restore, ["wait", "table-exists", "--table-name", "again"]):
            subprocess.run([f"{suite.PROGRAMS}/aws", "dynamodb", *arguments], env=environment, check=True, capture_output=True)
        self.assertEqual(self.items("again"), {"a": 1})


@unittest.skipUnless(suite.S3_SERVER, "versitygw can't be built here")
class InS3(Archived):
    def setUp(self):
        self.s3 = S3()
        self.addCleanup(self.s3.kill)
        self.server = self.start(self.s3.arguments)

    def test_a_table_is_restored_though_cairn_and_the_bucket_were_killed_in_between(self):
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        random.seed(seed)
        self.recoverable("users")
        self.restorable("users", now())
        record, items = [], {}
        for n in range(240):
            if n == 80:
                self.s3.kill()
            if n == 120:
                self.server.kill()
                self.s3.start()
                self.server.start()
                self.connect(self.server)
                self.client.get_waiter("table_exists").wait(TableName="users", WaiterConfig={"Delay": 1})
            if n == 160:
                self.s3.kill()
            if n == 200:
                self.s3.start()
            key = f"key-{random.randrange(10)}"
            self.put("users", key, n)
            items[key] = n
            time.sleep(0.01)
            record.append((now(), dict(items)))
            time.sleep(0.01)
        self.restorable("users", record[-1][0])
        for n, (moment, expected) in enumerate(random.sample(record, 5)):
            self.assertEqual(self.restore("users", f"restored-{n}", RestoreDateTime=moment), expected, moment)

    def test_a_table_that_is_deleted_stays_until_the_archive_has_its_last_backup(self):
        self.recoverable("users")
        self.restorable("users", now())
        self.s3.kill()
        self.put("users", "a", 1)
        self.client.delete_table(TableName="users")
        time.sleep(2)
        self.assertEqual(self.client.describe_table(TableName="users")["Table"]["TableStatus"], "DELETING")
        self.s3.start()
        self.client.get_waiter("table_not_exists").wait(TableName="users", WaiterConfig={"Delay": 1})
        backup = self.client.list_backups(BackupType="SYSTEM")["BackupSummaries"][0]
        self.client.restore_table_from_backup(TargetTableName="again", BackupArn=backup["BackupArn"])
        self.client.get_waiter("table_exists").wait(TableName="again", WaiterConfig={"Delay": 1})
        self.assertEqual(self.items("again"), {"a": 1})

    def test_boto3_reads_what_lies_in_the_bucket(self):
        self.recoverable("users")
        self.restorable("users", now())
        self.put("users", "a", 1)
        self.restorable("users", now())
        arn = self.client.create_backup(TableName="users", BackupName="first")["BackupDetails"]["BackupArn"]
        s3 = self.s3.client()
        self.addCleanup(s3.close)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="backups", Prefix="some/prefix/dev/local/")
        keys = [item["Key"] for page in pages for item in page["Contents"]]

        def document(ending):
            key = next(key for key in keys if key.endswith(ending))
            return json.loads(s3.get_object(Bucket="backups", Key=key)["Body"].read())

        backup, table = document("/backup.json"), document("/table.json")
        self.assertEqual((backup["version"], backup["arn"], backup["itemCount"]), (1, arn, 1))
        self.assertEqual((table["version"], table["definition"]["tableName"]), (1, "users"))
        for kind in ("/log/", "/snapshots/", "/manifests/", "/closed/"):
            self.assertTrue([key for key in keys if kind in key], f"nothing under {kind}")

    def test_a_damaged_object_is_never_restored_as_if_it_were_whole(self):
        self.recoverable("users")
        self.restorable("users", now())
        self.put("users", "a", 1)
        self.restorable("users", now())
        s3 = self.s3.client()
        self.addCleanup(s3.close)
        listed = s3.list_objects_v2(Bucket="backups", Prefix="some/prefix/dev/local/")["Contents"]
        key = next(item["Key"] for item in listed if "/log/" in item["Key"])
        body = bytearray(s3.get_object(Bucket="backups", Key=key)["Body"].read())
        body[len(body) // 2] ^= 0x40
        s3.put_object(Bucket="backups", Key=key, Body=bytes(body))
        self.client.restore_table_to_point_in_time(
            SourceTableName="users", TargetTableName="restored", UseLatestRestorableTime=True
        )
        for _ in range(200):
            if "restored" not in self.client.list_tables()["TableNames"]:
                return
            time.sleep(0.05)
        self.fail("the table is there")
