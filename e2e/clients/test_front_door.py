"""What stands before the operations: presigned requests, session tokens, pages in browsers, TLS."""

import http.client
import shutil
import ssl
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import boto3
import suite
import wire
from botocore.exceptions import ClientError, SSLError
from server import ACCESS_KEY, SECRET, Server
from suite import definition

PAGE = "https://shop.example"


class Presigned(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = suite.server(credentials=True)

    def send(self, path, headers, body="{}"):
        connection = wire.Wire(self.server.host, self.server.port)
        self.addCleanup(connection.close)
        return connection.request(headers, body, path=path)

    def presigned(self, **how):
        return wire.presigned(self.server.url, "ListTables", "{}", **how)

    def test_whoever_has_it_may_send_it(self):
        path, headers = self.presigned()
        for _ in range(2):
            self.assertEqual(self.send(path, headers).status, 200)

    def test_it_ends_when_it_said(self):
        path, headers = self.presigned(expires_s=1)
        time.sleep(2.1)
        answer = self.send(path, headers)
        self.assertEqual((answer.status, answer.error), (400, "InvalidSignatureException"))
        self.assertIn("Signature expired", answer.message)
        path, headers = self.presigned(expires_s=604_801)
        self.assertEqual(self.send(path, headers).error, "IncompleteSignatureException")

    def test_nothing_in_it_can_be_changed(self):
        path, headers = self.presigned()
        self.assertEqual(self.send(path, headers, '{"Limit":1}').error, "InvalidSignatureException")
        self.assertEqual(self.send(path + "&Limit=1", headers).error, "InvalidSignatureException")
        longer = path.replace("X-Amz-Expires=60", "X-Amz-Expires=61")
        self.assertEqual(self.send(longer, headers).error, "InvalidSignatureException")
        other = headers | {"X-Amz-Target": "DynamoDB_20120810.DescribeLimits"}
        self.assertEqual(self.send(path, other).error, "InvalidSignatureException")
        cut = path.partition("&X-Amz-Signature")[0]
        self.assertEqual(self.send(cut, headers).error, "IncompleteSignatureException")

    def test_one_signature_is_enough(self):
        path, _ = self.presigned()
        answer = self.send(path, wire.signed(self.server.url, "ListTables", "{}"))
        self.assertEqual(answer.error, "InvalidSignatureException")
        self.assertIn("Found both", answer.message)

    def test_session_tokens_are_of_no_use(self):
        settings = self.server.settings(ACCESS_KEY, SECRET)
        client = boto3.client("dynamodb", aws_session_token="of another service", **settings)
        with self.assertRaises(ClientError) as raised:
            client.list_tables()
        error = raised.exception.response["Error"]
        self.assertEqual(error["Code"], "UnrecognizedClientException")
        self.assertEqual(error["Message"], "The security token included in the request is invalid.")
        path, headers = self.presigned(token="of another service")
        self.assertEqual(self.send(path, headers).error, "UnrecognizedClientException")

    def test_where_any_credentials_do_so_does_any_token(self):
        server = suite.server()
        settings = server.settings("any", "any")
        client = boto3.client("dynamodb", aws_session_token="any", **settings)
        self.assertEqual(client.list_tables()["ResponseMetadata"]["HTTPStatusCode"], 200)


class Pages(unittest.TestCase):
    def preflight(self, server, origin):
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,x-amz-target",
        }
        connection = wire.Wire(server.host, server.port)
        self.addCleanup(connection.close)
        return connection.request(asked, "", method="OPTIONS")

    def test_any_page_may_call_with_a_signature(self):
        server = suite.server(credentials=True)
        answer = self.preflight(server, PAGE)
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(answer.headers["access-control-allow-origin"], "*")
        self.assertEqual(answer.headers["access-control-allow-methods"], "POST")
        self.assertEqual(answer.headers["access-control-allow-headers"], "authorization,x-amz-target")
        connection = wire.Wire(server.host, server.port)
        self.addCleanup(connection.close)
        answer = connection.request(wire.signed(server.url, "ListTables", "{}") | {"Origin": PAGE}, "{}")
        self.assertEqual((answer.status, answer.headers["access-control-allow-origin"]), (200, "*"))
        self.assertIn("x-amzn-RequestId", answer.headers["access-control-expose-headers"])

    def test_only_pages_of_this_machine_may_without_one(self):
        server = suite.server()
        ours = "http://localhost:3000"
        self.assertEqual(self.preflight(server, ours).headers["access-control-allow-origin"], ours)
        refused = self.preflight(server, PAGE)
        self.assertEqual((refused.status, refused.headers["access-control-allow-origin"]), (404, None))


class Https(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="cairn-tls-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.certificate = cls.folder / "tls.crt"
        cls.renew()
        cls.server = Server(suite.PROGRAM, arguments=["--client-tls-dir", str(cls.folder)])
        cls.addClassCleanup(cls.server.remove)

    @classmethod
    def renew(cls):
        """A certificate that signs itself, in place of the one before."""
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=cairn"
        names = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
        files = ["-keyout", cls.folder / "tls.key", "-out", cls.certificate]
        subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)

    def connect(self, certificate, protocols):
        context = ssl.create_default_context(cadata=certificate)
        context.set_alpn_protocols(protocols)
        plug = http.client.HTTPSConnection(self.server.host, self.server.port, context=context, timeout=10)
        self.addCleanup(plug.close)
        plug.connect()
        return plug

    def test_clients_that_trust_the_certificate_are_served(self):
        client = boto3.client("dynamodb", verify=str(self.certificate), **self.server.settings("any", "any"))
        client.create_table(**definition("secret"))
        client.put_item(TableName="secret", Item={"h": {"S": "a"}})
        self.assertEqual(client.scan(TableName="secret")["Count"], 1)
        client.delete_table(TableName="secret")

    def test_others_do_not_go_on(self):
        with self.assertRaises(SSLError):
            self.server.client().list_tables()

    def test_the_versions_of_http_are_agreed_on(self):
        for offered, agreed in [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1")]:
            plug = self.connect(self.certificate.read_text(), offered)
            self.assertEqual(plug.sock.selected_alpn_protocol(), agreed)

    def test_a_new_certificate_is_taken_over_and_old_connections_go_on(self):
        before = self.connect(self.certificate.read_text(), ["http/1.1"])
        self.renew()
        deadline = time.monotonic() + 60
        while True:
            try:
                self.connect(self.certificate.read_text(), ["http/1.1"])
                break
            except ssl.SSLCertVerificationError:
                self.assertLess(time.monotonic(), deadline, "the old certificate is still shown")
                time.sleep(0.5)
        before.request("GET", "/")
        self.assertEqual(before.getresponse().status, 200)
