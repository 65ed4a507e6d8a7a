"""A table's life through boto3, its client and its resource: prints a line for each step, and ends at the first thing that
is wrong.

Endpoint, region and credentials come from the environment variables that the SDK reads.
"""

import signal
import sys
import traceback

import boto3
import global_indexes
import reads
import streams
import table
import transactions
import values
import writes
from readings import TABLE, Clients

# A run that takes longer hangs.
LONGEST_S = 60

# Each gives what was seen, for the line that is printed.
STEPS = [
    ("a wrong secret is refused", table.refuse_strangers),
    ("create and wait", table.create),
    ("create again", table.create_again),
    ("put", writes.put_one),
    ("batch write", writes.batch_write),
    ("get", reads.get),
    ("batch get", reads.batch_get),
    ("query", reads.query),
    ("query a local index", reads.query_local_index),
    ("scan", reads.scan),
    ("scan in segments", reads.scan_segments),
    ("update", writes.update),
    ("conditions that fail", writes.fail_conditions),
    ("all ten types", values.read_as_written),
    ("all ten types, without the resource", values.read_below),
    ("a transaction that is canceled", transactions.cancel),
    ("a transaction, twice with one token", transactions.write),
    ("transact get", transactions.get),
    ("list and describe", table.list_and_describe),
    ("time to live", table.set_time_to_live),
    ("PartiQL", reads.execute_statement),
    ("delete an item", writes.delete_one),
    ("enable a stream", streams.enable),
    ("changes for the stream", streams.write),
    ("disable the stream", streams.disable),
    ("read the stream", streams.read),
    ("throttled, and got through by the SDK's retries", writes.put_throttled),
    ("delete and wait", table.delete),
    ("create with a global index", global_indexes.create),
    ("query the global index", global_indexes.query),
    ("add a global index", global_indexes.add),
    ("delete the global index", global_indexes.delete),
]


def hanging(*_):
    raise TimeoutError(f"no end after {LONGEST_S} s")


def main():
    signal.signal(signal.SIGALRM, hanging)
    signal.alarm(LONGEST_S)
    resource = boto3.resource("dynamodb")
    clients = Clients(boto3.client("dynamodb"), resource, resource.Table(TABLE), boto3.client("dynamodbstreams"))
    for name, run in STEPS:
        try:
            print(f"{name}: {run(clients)}", flush=True)
        except Exception:  # noqa: BLE001: whatever it is
            print(f"FAILED {name}: {traceback.format_exc()}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
