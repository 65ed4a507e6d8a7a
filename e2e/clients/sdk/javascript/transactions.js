// Several changes or none of them, and several items as of one moment.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { IdempotentParameterMismatchException, TransactionCanceledException } from "@aws-sdk/client-dynamodb";
import { GetCommand, TransactGetCommand, TransactWriteCommand } from "@aws-sdk/lib-dynamodb";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import { READINGS, TableName, keyOf } from "./readings.js";

const CHECKED = READINGS[2];
const COUNTER = { station: "tally", hour: 0 };
const LOGGED = { station: "tally", hour: 1, text: "counted" };

// Written by an earlier step.
const REMOVED = { station: "types", hour: 0 };

// One of each kind, and all of it only if the condition holds.
function write(ConditionExpression, more) {
  const TransactItems = [
    {
      Update: {
        TableName,
        Key: COUNTER,
        UpdateExpression: "ADD transactions :one",
        ExpressionAttributeValues: { ":one": 1 },
      },
    },
    {
      ConditionCheck: {
        TableName,
        Key: keyOf(CHECKED),
        ConditionExpression,
        ReturnValuesOnConditionCheckFailure: "ALL_OLD",
      },
    },
    { Put: { TableName, Item: LOGGED } },
    { Delete: { TableName, Key: REMOVED, ConditionExpression: "attribute_exists(station)" } },
  ];
  return new TransactWriteCommand({ TransactItems, ...more });
}

// The SDK's own type has the reasons, and in them the item, if asked.
export async function cancelTransaction({ documents }) {
  let message;
  await assert.rejects(documents.send(write("attribute_not_exists(station)")), (error) => {
    if (!(error instanceof TransactionCanceledException)) throw error;
    const codes = error.CancellationReasons.map(({ Code }) => Code);
    assert.deepEqual(codes, ["None", "ConditionalCheckFailed", "None", "None"]);
    assert.equal(error.CancellationReasons[1].Message, "The conditional request failed");
    assert.deepEqual(unmarshall(error.CancellationReasons[1].Item), CHECKED);
    message = error.message;
    return true;
  });
  const got = await documents.send(new GetCommand({ TableName, Key: COUNTER, ConsistentRead: true }));
  assert.equal(got.Item, undefined);
  return message;
}

export async function transactWrite({ documents }) {
  const again = { ClientRequestToken: randomUUID(), ReturnConsumedCapacity: "TOTAL" };
  for (let time = 0; time < 2; time++) {
    const { ConsumedCapacity } = await documents.send(write("attribute_exists(station)", again));
    assert.ok(ConsumedCapacity[0].CapacityUnits >= 8);
  }
  const got = await documents.send(new GetCommand({ TableName, Key: COUNTER, ConsistentRead: true }));
  assert.equal(got.Item.transactions, 1);
  const other = documents.send(write("attribute_not_exists(station)", again));
  await assert.rejects(other, IdempotentParameterMismatchException);
  return "done once, and IdempotentParameterMismatchException for another with its token";
}

export async function transactGet({ documents }) {
  const got = await documents.send(
    new TransactGetCommand({
      TransactItems: [
        { Get: { TableName, Key: COUNTER } },
        { Get: { TableName, Key: keyOf(LOGGED) } },
        { Get: { TableName, Key: keyOf(CHECKED), ProjectionExpression: "celsius" } },
        { Get: { TableName, Key: REMOVED } },
      ],
    }),
  );
  assert.deepEqual(
    got.Responses.map(({ Item }) => Item),
    [{ ...COUNTER, transactions: 1 }, LOGGED, { celsius: CHECKED.celsius }, undefined],
  );
  return "three items, and none where it was deleted";
}
