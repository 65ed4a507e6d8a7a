// A table's life through the AWS SDK for JavaScript v3 and its document client: prints a line for each step, and ends at the
// first thing that is wrong.
//
// Endpoint, region and credentials come from the environment variables that the SDK reads.

import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBStreamsClient } from "@aws-sdk/client-dynamodb-streams";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { addGlobalIndex, createWithGlobalIndex, deleteGlobalIndex, queryGlobalIndex } from "./globalIndexes.js";
import { batchGet, executeStatement, get, query, queryLocalIndex, scan, scanSegments } from "./reads.js";
import { disableStream, enableStream, readStream, writeToStream } from "./streams.js";
import { createAgain, createTable, deleteTable, listAndDescribe, refuseStrangers, setTimeToLive } from "./table.js";
import { cancelTransaction, transactGet, transactWrite } from "./transactions.js";
import { readAsWritten, readBelow } from "./types.js";
import { batchWrite, deleteOne, failConditions, putOne, putThrottled, update } from "./writes.js";

// A run that takes longer hangs.
const LONGEST_MS = 60_000;

// Of an error, in characters: one that compares items has all of them.
const SHOWN = 3_000;

// Each gives what was seen, for the line that is printed.
const STEPS = [
  ["a wrong secret is refused", refuseStrangers],
  ["create and wait", createTable],
  ["create again", createAgain],
  ["put", putOne],
  ["batch write", batchWrite],
  ["get", get],
  ["batch get", batchGet],
  ["query", query],
  ["query a local index", queryLocalIndex],
  ["scan", scan],
  ["scan in segments", scanSegments],
  ["update", update],
  ["conditions that fail", failConditions],
  ["all ten types", readAsWritten],
  ["all ten types, without the document client", readBelow],
  ["a transaction that is canceled", cancelTransaction],
  ["a transaction, twice with one token", transactWrite],
  ["transact get", transactGet],
  ["list and describe", listAndDescribe],
  ["time to live", setTimeToLive],
  ["PartiQL", executeStatement],
  ["delete an item", deleteOne],
  ["enable a stream", enableStream],
  ["changes for the stream", writeToStream],
  ["disable the stream", disableStream],
  ["read the stream", readStream],
  ["throttled, and got through by the SDK's retries", putThrottled],
  ["delete and wait", deleteTable],
  ["create with a global index", createWithGlobalIndex],
  ["query the global index", queryGlobalIndex],
  ["add a global index", addGlobalIndex],
  ["delete the global index", deleteGlobalIndex],
];

const client = new DynamoDBClient({});
const documents = DynamoDBDocumentClient.from(client);
const streams = new DynamoDBStreamsClient({});
let underWay = "nothing";

const hanging = setTimeout(() => {
  console.error(`FAILED ${underWay}: no end after ${LONGEST_MS} ms`);
  process.exit(1);
}, LONGEST_MS);

for (const [name, run] of STEPS) {
  underWay = name;
  try {
    console.log(`${name}: ${await run({ client, documents, streams })}`);
  } catch (error) {
    console.error(`FAILED ${name}: ${(error.stack ?? String(error)).slice(0, SHOWN)}`);
    process.exit(1);
  }
}
clearTimeout(hanging);
client.destroy();
streams.destroy();
