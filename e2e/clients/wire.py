"""DynamoDB's protocol by hand, for what the clients would refuse to send."""

import datetime
import hashlib
import http.client
import json
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from server import ACCESS_KEY, REGION, SECRET

UNVERIFIED = (
    "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=host;x-amz-date;x-amz-target, Signature=" + "0" * 64
)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The exception's name."""
        return self.json.get("__type", "").rpartition("#")[2]

    @property
    def message(self):
        return self.json.get("message", self.json.get("Message"))


class Wire:
    """One connection, kept open."""

    def __init__(self, host, port):
        self.connection = http.client.HTTPConnection(host, port, timeout=30)

    def close(self):
        self.connection.close()

    def send(self, operation, body, headers=None):
        """A request that a server without credentials takes; `body` is JSON to be, or text or bytes as they are."""
        more = {"Authorization": UNVERIFIED, "X-Amz-Date": "20260101T000000Z"}
        return self.request(target(operation) | more | (headers or {}), body)

    def request(self, headers, body, method="POST", path="/"):
        self.connection.request(method, path, encoded(body), headers)
        return Answer(self.connection.getresponse())


def target(operation):
    return {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"DynamoDB_20120810.{operation}"}


def encoded(body):
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body)).encode()


def signed(url, operation, body, access_key=ACCESS_KEY, secret=SECRET, region=REGION, skew_s=0):
    """The headers of a request signed as boto3 signs it, with a clock that is `skew_s` off."""
    request = AWSRequest("POST", url + "/", headers=target(operation), data=encoded(body))
    SkewedAuth(Credentials(access_key, secret), region, skew_s).add_auth(request)
    return dict(request.headers.items())


def presigned(url, operation, body, expires_s=60, token=None):
    """The path and the headers of a request signed as boto3 presigns it, whoever sends it then."""
    request = AWSRequest("POST", url + "/", headers=target(operation))
    PresignedAuth(Credentials(ACCESS_KEY, SECRET, token), expires_s, encoded(body)).add_auth(request)
    return "/?" + urlsplit(request.url).query, dict(request.headers.items())


class PresignedAuth(SigV4QueryAuth):
    """Signs a body and leaves it where it is: boto3's own would move it into the query string."""

    def __init__(self, credentials, expires_s, body):
        super().__init__(credentials, "dynamodb", REGION, expires_s)
        self.body = body

    def payload(self, request):
        return hashlib.sha256(self.body).hexdigest()


class SkewedAuth(SigV4Auth):
    def __init__(self, credentials, region, skew_s):
        super().__init__(credentials, "dynamodb", region)
        self.skew = datetime.timedelta(seconds=skew_s)

    def add_auth(self, request):
        now = datetime.datetime.now(datetime.timezone.utc) + self.skew
        request.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
        self._modify_request_before_signing(request)
        canonical = self.canonical_request(request)
        text = self.string_to_sign(request, canonical)
        self._inject_signature_to_request(request, self.signature(text, request))
