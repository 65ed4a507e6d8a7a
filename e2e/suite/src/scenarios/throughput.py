"""Tables by manifest that are held to their throughput, through a boto3 that does not retry."""
import boto3, threading, time
from botocore.config import Config
from botocore.exceptions import ClientError
dynamodb = boto3.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))


def within(seconds, what, condition):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return found


def write(table):
    """Three units."""
    return lambda: dynamodb.put_item(TableName=table, Item={"Id": {"S": "a"}, "Text": {"S": "x" * 3_000}})


def read(table):
    """One unit."""
    return lambda: dynamodb.get_item(TableName=table, Key={"Id": {"S": "a"}}, ConsistentRead=True)


def refusal(call):
    """The error that it is answered with, if any."""
    try:
        call()
    except ClientError as error:
        return error.response
    return None


def exhausted(call):
    """How many calls were served before one was refused, and how that one was."""
    for count in range(5_000):
        if (refused := refusal(call)) is not None:
            return count, refused
    raise AssertionError("it is never throttled")


def reasons(refused):
    """DynamoDB has the member in two spellings."""
    return refused.get("ThrottlingReasons") or refused.get("throttlingReasons")


def arn(table):
    return dynamodb.describe_table(TableName=table)["Table"]["TableArn"]


class Load(threading.Thread):
    """Fifteen units a second, each write of an item of its own, for a table and an index with five; and what became of them."""

    def __init__(self, table):
        super().__init__(daemon=True)
        self.table, self.ended, self.answers = table, threading.Event(), []

    def run(self):
        self.put(0, 70_000)  # With this alone the minute in which it begins is above the target.
        number, began = 1, time.monotonic()
        while not self.ended.wait(max(0.0, began + number / 5 - time.monotonic())):
            self.put(number, 2_400)
            number += 1

    def put(self, number, size):
        item = {"Id": {"S": f"load-{number}"}, "Text": {"S": "x" * size}}
        refused = refusal(lambda: dynamodb.put_item(TableName=self.table, Item=item))
        self.answers.append((time.monotonic(), refused and refused["Error"]["Code"]))

    def since(self, moment):
        return [answer for at, answer in self.answers if at >= moment]


def written_units(table):
    """Write units a second that the table and its one index have."""
    described = dynamodb.describe_table(TableName=table)["Table"]
    shown = [described, *described["GlobalSecondaryIndexes"]]
    return [one["ProvisionedThroughput"]["WriteCapacityUnits"] for one in shown]


# Auto-scaling by consumption takes two minutes that are over: it goes on beside all the rest.
load, load_began, load_minute = Load("grows"), time.monotonic(), time.time() // 60
load.start()

# Provisioned: what was not used since the table was made is there for a burst, far above five units a second.
time.sleep(5)
began = time.monotonic()
burst, refused = exhausted(write("held"))
took = time.monotonic() - began
assert 3 * burst >= 20 + 5 * took, (burst, took)
assert refused["Error"]["Code"] == "ProvisionedThroughputExceededException", refused
assert reasons(refused) == [{"reason": "TableWriteProvisionedThroughputExceeded", "resource": arn("held")}], refused
# Reads have a capacity of their own.
reads, refused = exhausted(read("held"))
assert reads > 5, reads
assert refused["Error"]["Code"] == "ProvisionedThroughputExceededException", refused
assert reasons(refused) == [{"reason": "TableReadProvisionedThroughputExceeded", "resource": arn("held")}], refused
# Both come back with time.
within(30, "writes are served again", lambda: refusal(write("held")) is None)
within(30, "reads are served again", lambda: refusal(read("held")) is None)
# From then on there are five units a second and no more.
exhausted(write("held"))
began, served = time.monotonic(), 0
while time.monotonic() - began < 6:
    served += refusal(write("held")) is None
    time.sleep(0.05)
assert 7 <= served <= 13, f"{served} writes of three units in six seconds"

# Auto-scaling begins with no less than its minimum, and what it does not scale stays.
units = within(30, "the table is scaled to its minimum", lambda: (
    found := dynamodb.describe_table(TableName="scaled")["Table"]["ProvisionedThroughput"])["WriteCapacityUnits"] == 20 and found)
assert units["ReadCapacityUnits"] == 1, units

# On demand: a maximum holds from the first second on, until it is lifted.
capped, refused = exhausted(write("capped"))
assert refused["Error"]["Code"] == "ThrottlingException", refused
assert reasons(refused) == [{"reason": "TableWriteMaxOnDemandThroughputExceeded", "resource": arn("capped")}], refused
_, refused = exhausted(read("capped"))
assert reasons(refused) == [{"reason": "TableReadMaxOnDemandThroughputExceeded", "resource": arn("capped")}], refused

# Five units are not enough for fifteen: the application is throttled until the second minute is over and the nodes were asked.
due = (load_minute + 2) * 60 + 40 - time.time()
scaled = within(max(1, due), "the table and its index have what they consume", lambda: (
    units := written_units("grows")) and min(units) >= 15 and units)
took_to_scale = time.monotonic() - load_began
before = load.since(load_began)
refused = [answer for answer in before if answer]
assert set(refused) == {"ProvisionedThroughputExceededException"}, set(refused)
assert len(refused) > len(before) / 3, f"{len(refused)} of {len(before)} writes were throttled before"
assert max(scaled) <= 25, scaled
# What it had overdrawn by its last writes is made up for in a moment.
time.sleep(3)
scaled_at = time.monotonic()
time.sleep(10)
load.ended.set()
load.join()
after = load.since(scaled_at)
assert len(after) > 20 and not any(after), after
print(f"fine: a burst of {3 * burst} units in {took:.1f} s, then {3 * served / 6:.1f} of 5 a second; "
      f"scaled to {scaled} after {took_to_scale:.0f} s, {len(refused)} of {len(before)} writes throttled before and none after")
