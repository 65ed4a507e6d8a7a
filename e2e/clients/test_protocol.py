"""HTTP, the checksum, compression, and signatures."""

import gzip
import http.client
import json
import socket
import unittest
import zlib

import suite
import wire
from server import ACCESS_KEY
from suite import Case, definition


def next_answer(stream):
    """The next answer's status and content, where several follow each other."""
    status = int(stream.readline().split()[1])
    headers = http.client.parse_headers(stream)
    return status, json.loads(stream.read(int(headers["content-length"])))


class Protocol(Case):
    def test_answers_carry_the_checksum_and_an_id(self):
        answer = self.wire().send("ListTables", {})
        self.assertEqual(answer.headers["x-amz-crc32"], str(zlib.crc32(answer.body)))
        self.assertRegex(answer.headers["x-amzn-requestid"], "^[0-9A-Z]{52}$")
        self.assertEqual(answer.headers["content-type"], "application/x-amz-json-1.0")
        failed = self.wire().send("DescribeTable", {"TableName": "absent"})
        self.assertEqual(failed.headers["x-amz-crc32"], str(zlib.crc32(failed.body)))
        self.assertEqual(failed.json["__type"], "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException")

    def test_compressed_requests_and_answers(self):
        connection = self.wire()
        item = {"h": {"S": "z"}, "v": {"S": "x" * 10_000}}
        body = gzip.compress(json.dumps({"TableName": self.name, "Item": item}).encode())
        self.assertEqual(connection.send("PutItem", body, {"Content-Encoding": "gzip"}).status, 200)
        get = {"TableName": self.name, "Key": {"h": {"S": "z"}}}
        answer = connection.send("GetItem", get, {"Accept-Encoding": "gzip"})
        self.assertEqual(answer.headers["content-encoding"], "gzip")
        # The checksum is of the bytes as they were sent.
        self.assertEqual(answer.headers["x-amz-crc32"], str(zlib.crc32(answer.body)))
        self.assertEqual(json.loads(gzip.decompress(answer.body)), {"Item": item})
        # As with DynamoDB.
        self.assertEqual(connection.send("GetItem", b"no gzip", {"Content-Encoding": "gzip"}).status, 500)

    def test_bodies_end_at_16_megabytes(self):
        limit = 16 << 20
        # The request of the largest size is read whole, and refused for what is in it.
        frame = len(json.dumps({"TableName": "absent", "Key": {"h": {"S": ""}}}))
        body = {"TableName": "absent", "Key": {"h": {"S": "x" * (limit - frame)}}}
        self.assertEqual(len(json.dumps(body)), limit)
        self.assertEqual(self.wire().send("GetItem", body).error, "ResourceNotFoundException")
        try:
            answer = self.wire().send("GetItem", json.dumps(body) + " ")
        except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
            return  # refused before all of it was sent
        self.assertEqual(answer.error, "RequestEntityTooLarge")

    def test_small_gzip_bodies_that_unpack_past_the_limit_are_refused(self):
        answer = self.wire().send("ListTables", gzip.compress(b" " * (17 << 20)), {"Content-Encoding": "gzip"})
        self.assertEqual(answer.error, "RequestEntityTooLarge")

    def test_pipelined_requests_are_answered_in_order(self):
        count = 20
        with socket.create_connection((self.server.host, self.server.port), timeout=10) as plug:
            for number in range(count):
                body = json.dumps({"TableName": self.name, "Key": {"h": {"S": f"absent-{number}"}}})
                if number % 2:
                    body = json.dumps({"TableName": f"absent-{number}"})
                operation = "DescribeTable" if number % 2 else "GetItem"
                headers = wire.target(operation) | {
                    "Host": "localhost",
                    "Authorization": wire.UNVERIFIED,
                    "X-Amz-Date": "20260101T000000Z",
                    "Content-Length": str(len(body)),
                }
                head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                plug.sendall(f"POST / HTTP/1.1\r\n{head}\r\n{body}".encode())
            answers = plug.makefile("rb")
            for number in range(count):
                status, message = next_answer(answers)
                self.assertEqual(status, 400 if number % 2 else 200)
                if number % 2:
                    self.assertIn(f"absent-{number} ", message["message"])

    def test_health_and_strange_requests(self):
        connection = self.wire()
        health = connection.request({}, "", method="GET")
        self.assertEqual((health.status, health.body[:8]), (200, b"healthy:"))
        self.assertEqual(connection.request(wire.target("ListTables"), "{}", path="/other").status, 404)
        self.assertEqual(connection.request({}, "", method="GET", path="/other").status, 404)
        self.assertEqual(connection.request({"Content-Type": "text/plain"}, "{}").status, 404)
        unknown = connection.send("Nonsense", {})
        self.assertEqual((unknown.status, unknown.error), (400, "UnknownOperationException"))
        for body in ["", "{", "[", "nonsense", b"\xff\xfe", '{"a":1}{"b":2}']:
            answer = connection.send("ListTables", body)
            self.assertEqual((answer.status, answer.error), (400, "SerializationException"), body)

    def test_a_deep_document_is_refused_and_not_a_crash(self):
        for depth in [33, 100, 1_000, 100_000]:
            value = '{"L":[' * depth + '{"S":"x"}' + "]}" * depth
            answer = self.wire().send("PutItem", f'{{"TableName":"{self.name}","Item":{{"h":{{"S":"a"}},"v":{value}}}}}')
            self.assertEqual(answer.status, 400, depth)
            self.assertIn(answer.error, ["ValidationException", "SerializationException"])
        self.assertEqual(self.wire().send("ListTables", {}).status, 200)


class Signatures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = suite.server(credentials=True)

    def send(self, headers, body="{}"):
        connection = wire.Wire(self.server.host, self.server.port)
        self.addCleanup(connection.close)
        return connection.request(headers, body)

    def outcome(self, headers, body="{}"):
        answer = self.send(headers, body)
        return answer.status, answer.error

    def signed(self, body="{}", **how):
        return wire.signed(self.server.url, "ListTables", body, **how)

    def test_the_clients_signatures_hold(self):
        client = self.server.client()
        client.create_table(**definition("signed"))
        # Keys and values that need care in a canonical request.
        client.put_item(TableName="signed", Item={"h": {"S": "ä €/+ %20\u0000"}})
        self.assertEqual(client.scan(TableName="signed")["Count"], 1)
        client.delete_table(TableName="signed")
        self.assertEqual(self.outcome(self.signed()), (200, ""))

    def test_a_wrong_secret_or_key_is_refused(self):
        self.assertEqual(self.outcome(self.signed(secret="wrong")), (400, "InvalidSignatureException"))
        self.assertEqual(self.outcome(self.signed(access_key="AKIDOTHER")), (400, "UnrecognizedClientException"))
        for client in [self.server.client(secret="wrong"), self.server.client(access_key="AKIDOTHER")]:
            with self.assertRaises(client.exceptions.ClientError):
                client.list_tables()

    def test_a_clock_may_be_off_by_fifteen_minutes(self):
        for skew_s, status in [(-840, 200), (840, 200), (-960, 400), (960, 400), (-86_400, 400)]:
            answer = self.send(self.signed(skew_s=skew_s))
            self.assertEqual(answer.status, status, skew_s)
            if status == 400:
                self.assertEqual(answer.error, "InvalidSignatureException")
                self.assertIn("Signature expired" if skew_s < 0 else "Signature not yet current", answer.message)

    def test_a_body_or_header_changed_after_signing_is_refused(self):
        self.assertEqual(self.outcome(self.signed(), '{"Limit":1}'), (400, "InvalidSignatureException"))
        headers = self.signed()
        headers["X-Amz-Target"] = "DynamoDB_20120810.DescribeLimits"
        self.assertEqual(self.outcome(headers), (400, "InvalidSignatureException"))

    def test_headers_that_matter_must_be_signed(self):
        headers = self.signed()
        authorization = headers["Authorization"]
        headers["Authorization"] = authorization.replace("x-amz-date;", "")
        self.assertEqual(self.outcome(headers)[0], 400)
        # A token that the signature does not cover.
        headers["Authorization"] = authorization
        headers["X-Amz-Security-Token"] = "smuggled"
        self.assertEqual(self.outcome(headers)[0], 400)

    def test_the_region_and_the_service_are_those_signed_for(self):
        self.assertEqual(self.outcome(self.signed(region="eu-west-1")), (400, "InvalidSignatureException"))
        headers = self.signed()
        headers["Authorization"] = headers["Authorization"].replace("/dynamodb/", "/s3/")
        self.assertEqual(self.outcome(headers), (400, "InvalidSignatureException"))

    def test_an_unsigned_or_incomplete_request_is_refused(self):
        self.assertEqual(self.outcome(wire.target("ListTables")), (400, "MissingAuthenticationTokenException"))
        headers = self.signed()
        whole = headers["Authorization"]
        for part in ["Credential", "SignedHeaders", "Signature"]:
            headers["Authorization"] = whole.replace(part + "=", "Other=")
            self.assertEqual(self.outcome(headers), (400, "IncompleteSignatureException"), part)
        headers["Authorization"] = "Basic " + ACCESS_KEY
        self.assertEqual(self.outcome(headers)[0], 400)

    def test_a_signature_covers_the_compressed_bytes(self):
        body = gzip.compress(b"{}")
        headers = self.signed(body) | {"Content-Encoding": "gzip"}
        self.assertEqual(self.outcome(headers, body), (200, ""))
