"""`cairn dev` as a process of the tests."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import boto3
from botocore.config import Config

REGION = "us-east-1"
ACCESS_KEY = "AKIDTEST"
SECRET = "a secret of forty characters, more or less"


class Server:
    """One process and its data folder, which goes away with it."""

    def __init__(self, program, credentials=False, arguments=()):
        self.program = program
        self.folder = Path(tempfile.mkdtemp(prefix="cairn-clients-"))
        self.arguments = list(arguments)
        if credentials:
            file = self.folder / "credentials.json"
            key = {"accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET, "account": "local"}
            file.write_text(json.dumps({"version": 1, "keys": [key]}))
            self.arguments += ["--credentials", str(file)]
        self.start()

    def start(self):
        self.log = open(self.folder / "log", "a+", encoding="utf-8")
        data = self.folder / "data"
        command = [self.program, "dev", "--listen", "127.0.0.1:0", "--data", str(data), *self.arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.environment = {}
        for line in self.process.stdout:
            found = re.search(r"(https?)://(127\.0\.0\.1):(\d+)", line)
            if found:
                self.scheme, self.host, self.port = found[1], found[2], int(found[3])
            # What it tells its user to set.
            self.environment |= dict(re.findall(r"(AWS_\w+)=(\S+)", line))
            if "Stop with Ctrl-C" in line:
                return
        raise RuntimeError(f"cairn dev did not start: {(self.folder / 'log').read_text()}")

    @property
    def url(self):
        return f"{self.scheme}://{self.host}:{self.port}"

    def kill(self):
        """As with kill -9."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def stop(self):
        """As with Ctrl-C; gives the exit code."""
        self.process.terminate()
        code = self.process.wait(timeout=20)
        self.process.stdout.close()
        self.log.close()
        return code

    def remove(self):
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder)

    def client(self, access_key=ACCESS_KEY, secret=SECRET):
        return boto3.client("dynamodb", **self.settings(access_key, secret))

    def streams(self):
        return boto3.client("dynamodbstreams", **self.settings(ACCESS_KEY, SECRET))

    def resource(self):
        return boto3.resource("dynamodb", **self.settings(ACCESS_KEY, SECRET))

    def settings(self, access_key, secret):
        return {
            "endpoint_url": self.url,
            "region_name": REGION,
            "aws_access_key_id": access_key,
            "aws_secret_access_key": secret,
            "config": Config(retries={"max_attempts": 0}, read_timeout=30),
        }
