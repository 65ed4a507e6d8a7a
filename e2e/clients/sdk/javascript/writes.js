// Changes of items.

import assert from "node:assert/strict";
import {
  ConditionalCheckFailedException,
  DynamoDBClient,
  ProvisionedThroughputExceededException,
  PutItemCommand,
  UpdateTableCommand,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { BatchWriteCommand, DeleteCommand, PutCommand, UpdateCommand } from "@aws-sdk/lib-dynamodb";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import { READINGS, TableName, keyOf, sendAll } from "./readings.js";
import { PATIENCE } from "./table.js";

const BATCH_MOST = 25;

// What the table has unused by then lasts for fewer.
const PUTS_MOST = 200;

export async function putOne({ documents }) {
  const put = (Item) => {
    const request = { TableName, Item, ReturnValues: "ALL_OLD", ReturnConsumedCapacity: "TOTAL" };
    return documents.send(new PutCommand(request));
  };
  const earlier = { ...READINGS[0], celsius: -100 };
  const first = await put(earlier);
  assert.equal(first.Attributes, undefined);
  assert.ok(first.ConsumedCapacity.CapacityUnits >= 1);
  const second = await put(READINGS[0]);
  assert.deepEqual(second.Attributes, earlier);
  return "the second gave the first";
}

export async function batchWrite({ documents }) {
  const requests = READINGS.slice(1).map((Item) => ({ PutRequest: { Item } }));
  let calls = 0;
  for (let start = 0; start < requests.length; start += BATCH_MOST) {
    const batch = { [TableName]: requests.slice(start, start + BATCH_MOST) };
    calls += await sendAll(batch, async (RequestItems) => {
      const written = await documents.send(new BatchWriteCommand({ RequestItems }));
      return written.UnprocessedItems;
    });
  }
  return `${requests.length} items in ${calls} calls`;
}

export async function update({ documents }) {
  const updated = await documents.send(
    new UpdateCommand({
      TableName,
      Key: keyOf(READINGS[0]),
      UpdateExpression:
        "SET celsius = celsius + :warmer, #log = list_append(if_not_exists(#log, :none), :entry) ADD changes :one REMOVE note",
      ConditionExpression: "attribute_exists(station) AND celsius < :zero",
      ExpressionAttributeNames: { "#log": "log" },
      ExpressionAttributeValues: { ":warmer": 1.25, ":none": [], ":entry": ["warmer"], ":one": 1, ":zero": 0 },
      ReturnValues: "UPDATED_NEW",
    }),
  );
  assert.deepEqual(updated.Attributes, { celsius: READINGS[0].celsius + 1.25, log: ["warmer"], changes: 1 });
  return JSON.stringify(updated.Attributes);
}

// Of a put, an update and a delete; the SDK's own type has the item, if asked.
export async function failConditions({ documents }) {
  const Item = READINGS[1];
  const condition = {
    TableName,
    ConditionExpression: "attribute_not_exists(station)",
    ReturnValuesOnConditionCheckFailure: "ALL_OLD",
  };
  const commands = [
    new PutCommand({ ...condition, Item }),
    new UpdateCommand({ ...condition, Key: keyOf(Item), UpdateExpression: "REMOVE note" }),
    new DeleteCommand({ ...condition, Key: keyOf(Item) }),
  ];
  for (const command of commands) {
    await assert.rejects(documents.send(command), (error) => {
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
      assert.deepEqual(unmarshall(error.Item), Item);
      return true;
    });
  }
  return `ConditionalCheckFailedException, ${commands.length} times`;
}

export async function deleteOne({ documents }) {
  const last = READINGS.at(-1);
  const remove = () => documents.send(new DeleteCommand({ TableName, Key: keyOf(last), ReturnValues: "ALL_OLD" }));
  assert.deepEqual((await remove()).Attributes, last);
  assert.equal((await remove()).Attributes, undefined);
  return "gave the item, then nothing";
}

// A client that tries once is refused; one that tries again, as they all do if left alone, gets through.
export async function putThrottled({ client }) {
  const ProvisionedThroughput = { ReadCapacityUnits: 5, WriteCapacityUnits: 5 };
  await client.send(new UpdateTableCommand({ TableName, BillingMode: "PROVISIONED", ProvisionedThroughput }));
  await waitUntilTableExists({ client, ...PATIENCE }, { TableName });
  const Item = { station: { S: "busy" }, hour: { N: "0" }, note: { S: "5 units, ".repeat(500) } };
  const put = new PutItemCommand({ TableName, Item });
  const impatient = new DynamoDBClient({ maxAttempts: 1 });
  const exhaust = async () => {
    for (let puts = 0; puts < PUTS_MOST; puts++) await impatient.send(put);
  };
  await assert.rejects(exhaust(), (error) => {
    if (!(error instanceof ProvisionedThroughputExceededException)) throw error;
    assert.equal(error.ThrottlingReasons[0].reason, "TableWriteProvisionedThroughputExceeded");
    return true;
  });
  const patient = new DynamoDBClient({ maxAttempts: 10 });
  const { $metadata } = await patient.send(put);
  assert.ok($metadata.attempts > 1);
  impatient.destroy();
  patient.destroy();
  return "ProvisionedThroughputExceededException, then retried";
}
