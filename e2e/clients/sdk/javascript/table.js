// The table itself.

import assert from "node:assert/strict";
import {
  CreateTableCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  DynamoDBClient,
  ListTablesCommand,
  ResourceInUseException,
  ResourceNotFoundException,
  UpdateTimeToLiveCommand,
  paginateListTables,
  waitUntilTableExists,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import { LOCAL_INDEX, TableName } from "./readings.js";

export const PATIENCE = { maxWaitTime: 20, minDelay: 1, maxDelay: 1 };

const DEFINITION = {
  TableName,
  AttributeDefinitions: [
    { AttributeName: "celsius", AttributeType: "N" },
    { AttributeName: "hour", AttributeType: "N" },
    { AttributeName: "station", AttributeType: "S" },
  ],
  KeySchema: [
    { AttributeName: "station", KeyType: "HASH" },
    { AttributeName: "hour", KeyType: "RANGE" },
  ],
  LocalSecondaryIndexes: [
    {
      IndexName: LOCAL_INDEX,
      KeySchema: [
        { AttributeName: "station", KeyType: "HASH" },
        { AttributeName: "celsius", KeyType: "RANGE" },
      ],
      Projection: { ProjectionType: "KEYS_ONLY" },
    },
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
  const [{ IndexName, KeySchema, Projection }] = Table.LocalSecondaryIndexes;
  assert.deepEqual([{ IndexName, KeySchema, Projection }], DEFINITION.LocalSecondaryIndexes);
  assert.equal(Table.BillingModeSummary.BillingMode, "PAY_PER_REQUEST");
  assert.ok(Table.CreationDateTime instanceof Date);
  const ageMs = Date.now() - Table.CreationDateTime;
  assert.ok(ageMs > -1_000 && ageMs < 61_000, `a table made just now is ${ageMs} ms old`);
  return Table.TableArn;
}

export async function setTimeToLive({ client }) {
  const described = async () => {
    const { TimeToLiveDescription } = await client.send(new DescribeTimeToLiveCommand({ TableName }));
    return TimeToLiveDescription;
  };
  assert.deepEqual(await described(), { TimeToLiveStatus: "DISABLED" });
  const TimeToLiveSpecification = { AttributeName: "expires", Enabled: true };
  const updated = await client.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification }));
  assert.deepEqual(updated.TimeToLiveSpecification, TimeToLiveSpecification);
  const { AttributeName, TimeToLiveStatus } = await described();
  assert.equal(AttributeName, "expires");
  assert.match(TimeToLiveStatus, /^(ENABLING|ENABLED)$/);
  return `by ${AttributeName}, ${TimeToLiveStatus}`;
}

export async function deleteTable({ client }) {
  await client.send(new DeleteTableCommand({ TableName }));
  const waited = await waitUntilTableNotExists({ client, ...PATIENCE }, { TableName });
  assert.equal(waited.state, "SUCCESS");
  await assert.rejects(client.send(new DescribeTableCommand({ TableName })), ResourceNotFoundException);
  return "ResourceNotFoundException";
}
