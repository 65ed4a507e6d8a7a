"""A table's life through the SDKs, unmodified, in the programs of `sdk`; their signatures are verified.

Their steps are the same; each does them as one does with its SDK.
"""

import os
import subprocess
import sys
import unittest
from pathlib import Path

import suite
from server import ACCESS_KEY, REGION, SECRET, Server

# They end themselves before that, and say at which step.
LONGEST_S = 90


class Sdks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(suite.PROGRAM, credentials=True, arguments=["--throttle"])

    @classmethod
    def tearDownClass(cls):
        cls.server.remove()

    def passes(self, *command):
        """The program finds nothing wrong with a server of the suite."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment = own | {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.server.url,
            "AWS_REGION": REGION,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        ended = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LONGEST_S
        )
        self.assertEqual(ended.returncode, 0, f"{command} failed:\n{ended.stdout}")

    def test_a_tables_life_through_boto3_its_client_and_its_resource(self):
        self.passes(sys.executable, Path(__file__).parent / "sdk/python/main.py")

    def test_a_tables_life_through_the_javascript_sdk_and_its_document_client(self):
        if suite.SDK_JAVASCRIPT is None:
            self.skipTest("no program of the SDK for JavaScript given")
        self.passes("node", suite.SDK_JAVASCRIPT)

    def test_a_tables_life_through_the_go_sdk(self):
        if suite.SDK_GO is None:
            self.skipTest("no program of the SDK for Go given")
        self.passes(suite.SDK_GO)

    def test_a_tables_life_through_the_java_sdk_and_its_enhanced_client(self):
        if suite.SDK_JAVA is None:
            self.skipTest("no program of the SDK for Java given")
        folder = Path(suite.SDK_JAVA)
        self.passes("java", "-cp", f"{folder / 'classes'}:{folder / 'lib'}/*", "Main")

    def test_a_tables_life_through_the_rust_sdk(self):
        if suite.SDK_RUST is None:
            self.skipTest("no program of the SDK for Rust given")
        self.passes(suite.SDK_RUST)
