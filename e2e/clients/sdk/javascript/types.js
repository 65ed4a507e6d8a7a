// All ten types, read back as they were written.

import assert from "node:assert/strict";
import { GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, GetCommand, NumberValue, PutCommand } from "@aws-sdk/lib-dynamodb";
import { TableName } from "./readings.js";

const DIGITS_38 = "-1234567890.1234567890123456789012345678";
const TEXT = "ä, 語 and 🜁";

export async function readAsWritten({ client }) {
  const exact = DynamoDBDocumentClient.from(client, {
    unmarshallOptions: { wrapNumbers: (text) => (text === DIGITS_38 ? NumberValue.from(text) : Number(text)) },
  });
  const Item = {
    station: "types",
    hour: 0,
    text: TEXT,
    number: NumberValue.from(DIGITS_38),
    binary: new Uint8Array([0, 255, 128]),
    yes: true,
    nothing: null,
    list: ["a", 1.5, [], null, false],
    map: { deep: { "a b.c[0]": 2 }, none: "" },
    texts: new Set(["", "a", "b"]),
    numbers: new Set([-1, 0.5, 10]),
    binaries: new Set([new Uint8Array([0]), new Uint8Array([1, 2])]),
  };
  await exact.send(new PutCommand({ TableName, Item }));
  const got = await exact.send(new GetCommand({ TableName, Key: { station: "types", hour: 0 }, ConsistentRead: true }));
  assert.deepEqual(got.Item, Item);
  return "as written";
}

export async function readBelow({ client }) {
  const Item = {
    station: { S: "types" },
    hour: { N: "1" },
    text: { S: TEXT },
    number: { N: DIGITS_38 },
    binary: { B: new Uint8Array([0, 255, 128]) },
    yes: { BOOL: true },
    nothing: { NULL: true },
    list: { L: [{ S: "a" }, { N: "1.5" }, { L: [] }, { NULL: true }, { BOOL: false }] },
    map: { M: { deep: { M: { "a b.c[0]": { N: "2" } } }, none: { S: "" } } },
    texts: { SS: ["", "a", "b"] },
    numbers: { NS: ["-1", "0.5", "10"] },
    binaries: { BS: [new Uint8Array([0]), new Uint8Array([1, 2])] },
  };
  await client.send(new PutItemCommand({ TableName, Item }));
  const Key = { station: Item.station, hour: Item.hour };
  const got = await client.send(new GetItemCommand({ TableName, Key, ConsistentRead: true }));
  // Sets have no order.
  got.Item.texts.SS.sort();
  got.Item.numbers.NS.sort();
  got.Item.binaries.BS.sort();
  assert.deepEqual(got.Item, Item);
  return "as written";
}
