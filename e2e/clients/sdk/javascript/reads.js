// Reads of items.

import assert from "node:assert/strict";
import {
  BatchGetCommand,
  ExecuteStatementCommand,
  GetCommand,
  QueryCommand,
  paginateQuery,
  paginateScan,
} from "@aws-sdk/lib-dynamodb";
import { LOCAL_INDEX, READINGS, TableName, assertReadings, keyOf, sendAll } from "./readings.js";

export async function get({ documents }) {
  for (const ConsistentRead of [true, false]) {
    const got = await documents.send(new GetCommand({ TableName, Key: keyOf(READINGS[0]), ConsistentRead }));
    assert.deepEqual(got.Item, READINGS[0]);
  }
  const missing = await documents.send(new GetCommand({ TableName, Key: { station: "nowhere", hour: 0 } }));
  assert.equal(missing.Item, undefined);
  return "the item twice, and none where there is none";
}

export async function batchGet({ documents }) {
  const wanted = READINGS.slice(0, 100);
  const items = [];
  await sendAll({ [TableName]: { Keys: wanted.map(keyOf), ConsistentRead: true } }, async (RequestItems) => {
    const got = await documents.send(new BatchGetCommand({ RequestItems }));
    items.push(...got.Responses[TableName]);
    return got.UnprocessedKeys;
  });
  assertReadings(items, wanted);
  return `${items.length} items`;
}

export async function query({ documents }) {
  const pages = paginateQuery(
    { client: documents, pageSize: 8 },
    {
      TableName,
      KeyConditionExpression: "station = :station AND #hour BETWEEN :from AND :to",
      FilterExpression: "celsius <> :zero AND begins_with(note, :start)",
      ProjectionExpression: "#hour, celsius",
      ExpressionAttributeNames: { "#hour": "hour" },
      ExpressionAttributeValues: { ":station": "north", ":from": 3, ":to": 22, ":zero": 0, ":start": "north " },
      ScanIndexForward: false,
    },
  );
  const [found, counts, scanned] = [[], [], []];
  for await (const page of pages) {
    found.push(...page.Items);
    counts.push(page.Count);
    scanned.push(page.ScannedCount);
  }
  const wanted = READINGS.filter(
    ({ station, hour, celsius }) => station === "north" && hour >= 3 && hour <= 22 && celsius !== 0,
  );
  assert.deepEqual(found, wanted.reverse().map(({ hour, celsius }) => ({ hour, celsius })));
  assert.deepEqual(scanned, [8, 8, 4]);
  return `${found.length} items in pages of ${counts}`;
}

// In the index's order, with what the index has; asked for all attributes, with those of the table.
export async function queryLocalIndex({ documents }) {
  const request = {
    TableName,
    IndexName: LOCAL_INDEX,
    KeyConditionExpression: "station = :station AND celsius >= :from",
    ExpressionAttributeValues: { ":station": "south", ":from": 0 },
    ScanIndexForward: false,
    ConsistentRead: true,
  };
  const wanted = READINGS.filter(({ station, celsius }) => station === "south" && celsius >= 0);
  wanted.sort((a, b) => b.celsius - a.celsius);
  const found = [];
  // A paginator keeps where it is in the request that it is given.
  const pages = paginateQuery({ client: documents, pageSize: 5 }, { ...request });
  for await (const page of pages) found.push(...page.Items);
  assert.deepEqual(found, wanted.map(({ station, hour, celsius }) => ({ station, hour, celsius })));
  const warmest = await documents.send(new QueryCommand({ ...request, Select: "ALL_ATTRIBUTES", Limit: 2 }));
  assert.deepEqual(warmest.Items, wanted.slice(0, 2));
  return `${found.length} items from ${found[0].celsius} °C down`;
}

// The items of a scan, or of one segment of it, and in how many pages they came.
async function scanned(documents, request, settings) {
  const items = [];
  let pages = 0;
  for await (const page of paginateScan({ client: documents, ...settings }, { TableName, ...request })) {
    items.push(...page.Items);
    pages++;
  }
  return { items, pages };
}

export async function scan({ documents }) {
  const { items, pages } = await scanned(documents);
  assertReadings(items);
  assert.ok(pages > 1, `more than 1 MB came in ${pages} page`);
  return `${items.length} items in ${pages} pages`;
}

export async function scanSegments({ documents }) {
  const TotalSegments = 4;
  const segments = await Promise.all(
    [...Array(TotalSegments).keys()].map((Segment) =>
      scanned(documents, { Segment, TotalSegments, ConsistentRead: true }, { pageSize: 10 }),
    ),
  );
  const items = segments.flatMap((segment) => segment.items);
  assertReadings(items);
  return `${items.length} items in ${TotalSegments} segments`;
}

export async function executeStatement({ documents }) {
  const selected = await documents.send(
    new ExecuteStatementCommand({
      Statement: `SELECT * FROM "${TableName}" WHERE station = ? AND "hour" >= ?`,
      Parameters: ["west", 28],
    }),
  );
  assertReadings(selected.Items, READINGS.slice(-2));
  return `${selected.Items.length} items`;
}
