// The table itself.

import assert from "node:assert/strict";
import {
  CreateTableCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  ListTablesCommand,
  ResourceInUseException,
  ResourceNotFoundException,
  paginateListTables,
  waitUntilTableExists,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import { TableName } from "./readings.js";

const PATIENCE = { maxWaitTime: 20, minDelay: 1, maxDelay: 1 };

const DEFINITION = {
  TableName,
  AttributeDefinitions: [
    { AttributeName: "hour", AttributeType: "N" },
    { AttributeName: "station", AttributeType: "S" },
  ],
  KeySchema: [
    { AttributeName: "station", KeyType: "HASH" },
    { AttributeName: "hour", KeyType: "RANGE" },
  ],
  BillingMode: "PAY_PER_REQUEST",
};

export async function refuseStrangers({ client }) {
  const { accessKeyId } = await client.config.credentials();
  const stranger = new DynamoDBClient({ credentials: { accessKeyId, secretAccessKey: "not the secret" } });
  await assert.rejects(stranger.send(new ListTablesCommand({})), (error) => {
    if (error.name !== "InvalidSignatureException") throw error;
    return true;
  });
  stranger.destroy();
  return "InvalidSignatureException";
}

export async function createTable({ client }) {
  const created = await client.send(new CreateTableCommand(DEFINITION));
  assert.equal(created.TableDescription.TableStatus, "CREATING");
  const waited = await waitUntilTableExists({ client, ...PATIENCE }, { TableName });
  assert.equal(waited.state, "SUCCESS");
  return "ACTIVE";
}

export async function createAgain({ client }) {
  await assert.rejects(client.send(new CreateTableCommand(DEFINITION)), ResourceInUseException);
  return "ResourceInUseException";
}

export async function listAndDescribe({ client }) {
  const listed = [];
  for await (const page of paginateListTables({ client, pageSize: 1 }, {})) {
    listed.push(...page.TableNames);
  }
  assert.ok(listed.includes(TableName), `${TableName} is not among ${listed}`);
  const { Table } = await client.send(new DescribeTableCommand({ TableName }));
  assert.deepEqual(Table.KeySchema, DEFINITION.KeySchema);
  const attributes = Table.AttributeDefinitions.sort((a, b) => a.AttributeName.localeCompare(b.AttributeName));
  assert.deepEqual(attributes, DEFINITION.AttributeDefinitions);
  assert.equal(Table.BillingModeSummary.BillingMode, "PAY_PER_REQUEST");
  assert.ok(Table.CreationDateTime instanceof Date);
  const ageMs = Date.now() - Table.CreationDateTime;
  assert.ok(ageMs > -1_000 && ageMs < 61_000, `a table made just now is ${ageMs} ms old`);
  return Table.TableArn;
}

export async function deleteTable({ client }) {
  await client.send(new DeleteTableCommand({ TableName }));
  const waited = await waitUntilTableNotExists({ client, ...PATIENCE }, { TableName });
  assert.equal(waited.state, "SUCCESS");
  await assert.rejects(client.send(new DescribeTableCommand({ TableName })), ResourceNotFoundException);
  return "ResourceNotFoundException";
}
