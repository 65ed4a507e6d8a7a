// Global indexes, on a table of their own: one from the start, and one that is added to what is there and deleted again.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import {
  CreateTableCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  UpdateTableCommand,
  waitUntilTableExists,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import { BatchWriteCommand, DeleteCommand, QueryCommand, UpdateCommand, paginateQuery } from "@aws-sdk/lib-dynamodb";
import { READINGS, keyOf, sendAll } from "./readings.js";
import { PATIENCE } from "./table.js";

const TableName = "stations.javascript";

// What all stations read at an hour, without their notes; and what a station read, the coldest first, as keys alone.
const BY_HOUR = "by-hour";
const COLDEST_FIRST = "coldest-first";

const ITEMS = READINGS.filter(({ hour }) => hour < 6).map((reading) => ({ ...reading, note: "not in an index" }));
const COLDEST = { station: "east", hour: 1, celsius: -40 };
const GONE = { station: "north", hour: 1 };

const IN_ITS_ORDER = {
  TableName,
  IndexName: COLDEST_FIRST,
  KeyConditionExpression: "station = :station",
  ExpressionAttributeValues: { ":station": "east" },
};

const LOOKS_MOST = 400;
const LOOK_AGAIN_MS = 50;

const key = (AttributeName, KeyType) => ({ AttributeName, KeyType });

// An index follows its table: looks until it is as it should be. Gives the number of looks.
async function eventually(look, wanted) {
  for (let looks = 1; ; looks++) {
    const found = await look();
    if (isDeepStrictEqual(found, wanted)) return looks;
    if (looks === LOOKS_MOST) assert.deepEqual(found, wanted);
    await sleep(LOOK_AGAIN_MS);
  }
}

// Of the table and of its indexes.
async function statuses(client) {
  const { Table } = await client.send(new DescribeTableCommand({ TableName }));
  const indexes = (Table.GlobalSecondaryIndexes ?? []).map(({ IndexName, IndexStatus }) => [IndexName, IndexStatus]);
  return { table: Table.TableStatus, ...Object.fromEntries(indexes) };
}

export async function createWithGlobalIndex({ client }) {
  await client.send(
    new CreateTableCommand({
      TableName,
      AttributeDefinitions: [
        { AttributeName: "hour", AttributeType: "N" },
        { AttributeName: "station", AttributeType: "S" },
      ],
      KeySchema: [key("station", "HASH"), key("hour", "RANGE")],
      GlobalSecondaryIndexes: [
        {
          IndexName: BY_HOUR,
          KeySchema: [key("hour", "HASH"), key("station", "RANGE")],
          Projection: { ProjectionType: "INCLUDE", NonKeyAttributes: ["celsius"] },
        },
      ],
      BillingMode: "PAY_PER_REQUEST",
    }),
  );
  await waitUntilTableExists({ client, ...PATIENCE }, { TableName });
  await eventually(() => statuses(client), { table: "ACTIVE", [BY_HOUR]: "ACTIVE" });
  return `${BY_HOUR} is ACTIVE`;
}

export async function queryGlobalIndex({ documents }) {
  const puts = ITEMS.map((Item) => ({ PutRequest: { Item } }));
  await sendAll({ [TableName]: puts }, async (RequestItems) => {
    const written = await documents.send(new BatchWriteCommand({ RequestItems }));
    return written.UnprocessedItems;
  });
  const colder = {
    UpdateExpression: "SET celsius = :celsius",
    ExpressionAttributeValues: { ":celsius": COLDEST.celsius },
  };
  await documents.send(new UpdateCommand({ TableName, Key: keyOf(COLDEST), ...colder }));
  await documents.send(new DeleteCommand({ TableName, Key: GONE }));

  const request = {
    TableName,
    IndexName: BY_HOUR,
    KeyConditionExpression: "#hour = :hour",
    ExpressionAttributeNames: { "#hour": "hour" },
    ExpressionAttributeValues: { ":hour": 1 },
  };
  const look = async () => {
    const items = [];
    for await (const page of paginateQuery({ client: documents, pageSize: 2 }, { ...request })) {
      items.push(...page.Items);
    }
    return items;
  };
  const others = ITEMS.filter(({ station, hour }) => hour === 1 && ["south", "west"].includes(station));
  const wanted = [COLDEST, ...others.map(({ station, hour, celsius }) => ({ station, hour, celsius }))];
  const looks = await eventually(look, wanted);
  const consistent = documents.send(new QueryCommand({ ...request, ConsistentRead: true }));
  await assert.rejects(consistent, { name: "ValidationException" });
  return `as written at look ${looks}, and ValidationException for a consistent read`;
}

export async function addGlobalIndex({ client, documents }) {
  const index = {
    IndexName: COLDEST_FIRST,
    KeySchema: [key("station", "HASH"), key("celsius", "RANGE")],
    Projection: { ProjectionType: "KEYS_ONLY" },
  };
  await client.send(
    new UpdateTableCommand({
      TableName,
      AttributeDefinitions: [
        { AttributeName: "celsius", AttributeType: "N" },
        { AttributeName: "station", AttributeType: "S" },
      ],
      GlobalSecondaryIndexUpdates: [{ Create: index }],
    }),
  );
  const active = { table: "ACTIVE", [BY_HOUR]: "ACTIVE", [COLDEST_FIRST]: "ACTIVE" };
  const looks = await eventually(() => statuses(client), active);
  const own = ITEMS.filter(({ station, hour }) => station === "east" && hour !== COLDEST.hour);
  const wanted = [COLDEST, ...own.map(({ station, hour, celsius }) => ({ station, hour, celsius }))];
  wanted.sort((a, b) => a.celsius - b.celsius);
  await eventually(async () => (await documents.send(new QueryCommand(IN_ITS_ORDER))).Items, wanted);
  return `ACTIVE at look ${looks}, and ${wanted.length} items in its order`;
}

export async function deleteGlobalIndex({ client, documents }) {
  const GlobalSecondaryIndexUpdates = [{ Delete: { IndexName: COLDEST_FIRST } }];
  await client.send(new UpdateTableCommand({ TableName, GlobalSecondaryIndexUpdates }));
  const looks = await eventually(() => statuses(client), { table: "ACTIVE", [BY_HOUR]: "ACTIVE" });
  await assert.rejects(documents.send(new QueryCommand(IN_ITS_ORDER)), { name: "ValidationException" });
  await client.send(new DeleteTableCommand({ TableName }));
  await waitUntilTableNotExists({ client, ...PATIENCE }, { TableName });
  return `gone at look ${looks}, then the table`;
}
