// The table's stream: what is changed while it is enabled, read from its first record to its end.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { DescribeTableCommand, UpdateTableCommand, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import {
  DescribeStreamCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListStreamsCommand,
} from "@aws-sdk/client-dynamodb-streams";
import { DeleteCommand, PutCommand, UpdateCommand } from "@aws-sdk/lib-dynamodb";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import { TableName, keyOf } from "./readings.js";
import { PATIENCE } from "./table.js";

const VIEW = "NEW_AND_OLD_IMAGES";
const WRITTEN = ["moon", "sun"].flatMap((station) => [0, 1, 2].map((hour) => ({ station, hour, celsius: 0 })));
const WARMER = 1.5;

async function update(client, StreamSpecification) {
  await client.send(new UpdateTableCommand({ TableName, StreamSpecification }));
  await waitUntilTableExists({ client, ...PATIENCE }, { TableName });
  const { Table } = await client.send(new DescribeTableCommand({ TableName }));
  return Table;
}

export async function enableStream({ client }) {
  const wanted = { StreamEnabled: true, StreamViewType: VIEW };
  const { StreamSpecification, LatestStreamArn } = await update(client, wanted);
  assert.deepEqual(StreamSpecification, wanted);
  return LatestStreamArn;
}

// Each item is put, put again as it is, which is no change, then updated and deleted.
export async function writeToStream({ documents }) {
  for (const Item of [...WRITTEN, ...WRITTEN]) await documents.send(new PutCommand({ TableName, Item }));
  for (const item of WRITTEN) {
    const UpdateExpression = "SET celsius = :warmer";
    const ExpressionAttributeValues = { ":warmer": WARMER };
    const Key = keyOf(item);
    await documents.send(new UpdateCommand({ TableName, Key, UpdateExpression, ExpressionAttributeValues }));
  }
  for (const item of WRITTEN) await documents.send(new DeleteCommand({ TableName, Key: keyOf(item) }));
  return `${WRITTEN.length} items put, updated and deleted`;
}

// So that it has an end.
export async function disableStream({ client }) {
  const { StreamSpecification } = await update(client, { StreamEnabled: false });
  assert.equal(StreamSpecification, undefined);
  return "the table has none";
}

export async function readStream({ streams }) {
  const { Streams } = await streams.send(new ListStreamsCommand({ TableName }));
  assert.equal(Streams.length, 1);
  const records = [];
  for await (const shard of shardsOf(streams, Streams[0].StreamArn)) {
    const found = await recordsOf(streams, Streams[0].StreamArn, shard);
    const numbers = found.map(({ dynamodb }) => BigInt(dynamodb.SequenceNumber));
    assert.ok(numbers.every((number, index) => index === 0 || numbers[index - 1] < number), `${numbers} rise`);
    records.push(...found);
  }
  for (const first of WRITTEN) {
    const key = keyOf(first);
    const second = { ...first, celsius: WARMER };
    const own = records.filter(({ dynamodb }) => isSame(unmarshall(dynamodb.Keys), key));
    assert.deepEqual(
      own.map(({ eventName, dynamodb: { OldImage, NewImage } }) => [eventName, image(OldImage), image(NewImage)]),
      [
        ["INSERT", undefined, first],
        ["MODIFY", first, second],
        ["REMOVE", second, undefined],
      ],
    );
  }
  assert.equal(records.length, 3 * WRITTEN.length);
  assert.equal(new Set(records.map(({ eventID }) => eventID)).size, records.length);
  assert.ok(records.every(({ dynamodb }) => dynamodb.StreamViewType === VIEW));
  return `${records.length} records`;
}

// Its shards, each behind the one whose place it took.
async function* shardsOf(streams, StreamArn) {
  let ExclusiveStartShardId;
  do {
    const request = { StreamArn, Limit: 1, ExclusiveStartShardId };
    const { StreamDescription } = await streams.send(new DescribeStreamCommand(request));
    yield* StreamDescription.Shards;
    ExclusiveStartShardId = StreamDescription.LastEvaluatedShardId;
  } while (ExclusiveStartShardId !== undefined);
}

async function recordsOf(streams, StreamArn, { ShardId }) {
  const start = { StreamArn, ShardId, ShardIteratorType: "TRIM_HORIZON" };
  let { ShardIterator } = await streams.send(new GetShardIteratorCommand(start));
  const records = [];
  while (ShardIterator !== undefined) {
    const page = await streams.send(new GetRecordsCommand({ ShardIterator, Limit: 7 }));
    if (page.Records.length === 0) await sleep(50);
    records.push(...page.Records);
    ShardIterator = page.NextShardIterator;
  }
  return records;
}

function image(attributes) {
  return attributes && unmarshall(attributes);
}

function isSame(a, b) {
  return a.station === b.station && a.hour === b.hour;
}
