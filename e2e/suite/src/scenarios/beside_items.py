"""A table by manifest with a local index, a stream, and items that expire, through an unmodified boto3."""
import boto3, time
dynamodb = boto3.client("dynamodb")
streams = boto3.client("dynamodbstreams")
NAME = "beside"


def within(seconds, what, condition):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return found


table = dynamodb.describe_table(TableName=NAME)["Table"]
assert [index["IndexName"] for index in table["LocalSecondaryIndexes"]] == ["by-score"], table
assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}, table
within(30, "expiry is enabled", lambda: dynamodb.describe_time_to_live(TableName=NAME)["TimeToLiveDescription"]
       == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ends"})
shards = within(10, "a shard", lambda: streams.describe_stream(StreamArn=table["LatestStreamArn"])["StreamDescription"]["Shards"])
iterator = streams.get_shard_iterator(
    StreamArn=table["LatestStreamArn"], ShardId=shards[0]["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
for score in range(9):
    ends = {"ends": {"N": str(int(time.time()) - 60)}} if score == 4 else {}
    dynamodb.put_item(TableName=NAME, Item={"Id": {"S": "a"}, "At": {"N": str(score)}, "Score": {"N": str(-score)}} | ends)
page = dynamodb.query(
    TableName=NAME, IndexName="by-score", ConsistentRead=True, ReturnConsumedCapacity="INDEXES",
    KeyConditionExpression="Id = :a AND Score > :low", ExpressionAttributeValues={":a": {"S": "a"}, ":low": {"N": "-3"}})
assert [item["Score"]["N"] for item in page["Items"]] == ["-2", "-1", "0"], page
assert page["ConsumedCapacity"]["LocalSecondaryIndexes"]["by-score"]["CapacityUnits"] == 1, page
key = {"Id": {"S": "a"}, "At": {"N": "4"}}
within(60, "the item expires", lambda: "Item" not in dynamodb.get_item(TableName=NAME, Key=key, ConsistentRead=True))
records = []


def read():
    global iterator
    page = streams.get_records(ShardIterator=iterator)
    records.extend(page["Records"])
    iterator = page["NextShardIterator"]
    return len(records) >= 10


within(30, "ten records", read)
assert [record["eventName"] for record in records] == ["INSERT"] * 9 + ["REMOVE"], records
assert records[-1]["userIdentity"] == {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}, records[-1]
assert records[-1]["dynamodb"]["OldImage"]["At"] == {"N": "4"} and "userIdentity" not in records[0], records
numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in records]
assert numbers == sorted(set(numbers)), numbers
dynamodb.create_table(
    TableName="beside-api", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "Id", "KeyType": "HASH"}],
    AttributeDefinitions=[{"AttributeName": "Id", "AttributeType": "S"}])
within(30, "the table is there", lambda: "beside-api" in dynamodb.list_tables()["TableNames"]
       and dynamodb.describe_table(TableName="beside-api")["Table"]["TableStatus"] == "ACTIVE")
dynamodb.update_table(TableName="beside-api", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
# Right behind each other: neither waits for the other.
dynamodb.update_time_to_live(TableName="beside-api", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ends"})
within(30, "the stream is on", lambda: "LatestStreamArn" in dynamodb.describe_table(TableName="beside-api")["Table"])
within(30, "expiry is on", lambda: dynamodb.describe_time_to_live(TableName="beside-api")["TimeToLiveDescription"]
       == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ends"})
print("fine")
