"""Operations on tables."""

from datetime import datetime, timezone

import suite
from suite import Case, definition


class Tables(Case):
    tables = {}

    def create(self, name, **more):
        request = definition(name) | more
        created = self.client.create_table(**{key: value for key, value in request.items() if value is not None})
        self.addCleanup(self.discard, name)
        self.client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
        return created["TableDescription"]

    def discard(self, name):
        try:
            self.client.delete_table(TableName=name)
        except self.client.exceptions.ResourceNotFoundException:
            pass

    def describe(self, name):
        return self.client.describe_table(TableName=name)["Table"]

    def updated(self, name):
        self.client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
        return self.describe(name)

    def test_a_table_is_created_described_and_deleted(self):
        created = self.create("life", **definition("life", "S", "N"))
        self.assertEqual(created["TableStatus"], "CREATING")
        self.assertNotIn("WarmThroughput", created)
        table = self.describe("life")
        self.assertEqual(table["TableStatus"], "ACTIVE")
        self.assertEqual(table["KeySchema"], definition("life", "S", "N")["KeySchema"])
        self.assertEqual(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST")
        self.assertEqual(table["TableArn"].rpartition(":")[2], "table/life")
        self.refused(
            "ResourceInUseException", "Table already exists: life", self.client.create_table, **definition("life")
        )
        deleted = self.client.delete_table(TableName="life")
        self.assertEqual(deleted["TableDescription"]["TableStatus"], "DELETING")
        self.assertEqual(deleted["TableDescription"]["TableId"], table["TableId"])
        self.assertFalse({"KeySchema", "AttributeDefinitions", "CreationDateTime"} & deleted["TableDescription"].keys())
        self.client.get_waiter("table_not_exists").wait(TableName="life", WaiterConfig={"Delay": 1})
        self.refused(
            "ResourceNotFoundException",
            "Requested resource not found: Table: life not found",
            self.client.describe_table,
            TableName="life",
        )

    def test_a_table_has_the_local_indexes_it_was_made_with(self):
        indexes = [
            {
                "IndexName": name,
                "KeySchema": [
                    {"AttributeName": "h", "KeyType": "HASH"},
                    {"AttributeName": sort, "KeyType": "RANGE"},
                ],
                "Projection": projection,
            }
            for name, sort, projection in [
                ("by-rank", "rank", {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["team"]}),
                ("by-age", "age", {"ProjectionType": "ALL"}),
            ]
        ]
        keys = definition("indexed", "S", "N")
        attributes = [{"AttributeName": name, "AttributeType": "N"} for name in ("rank", "age")]
        made = keys | {
            "AttributeDefinitions": keys["AttributeDefinitions"] + attributes,
            "LocalSecondaryIndexes": indexes,
        }
        self.create("indexed", **made)
        item = {"h": {"S": "a"}, "r": {"N": "1"}, "rank": {"N": "5"}, "team": {"S": "red"}, "name": {"S": "ada"}}
        self.client.put_item(TableName="indexed", Item=item)
        table = self.describe("indexed")
        told = {index["IndexName"]: index for index in table["LocalSecondaryIndexes"]}
        for index in indexes:
            described = told[index["IndexName"]]
            self.assertEqual(described | index, described)
            self.assertEqual(described["IndexArn"], f"{table['TableArn']}/index/{index['IndexName']}")
        # h and "a", r and its number, rank and its number, team and "red".
        self.assertEqual((told["by-rank"]["ItemCount"], told["by-rank"]["IndexSizeBytes"]), (1, 2 + 3 + 6 + 7))
        self.assertEqual((told["by-age"]["ItemCount"], told["by-age"]["IndexSizeBytes"]), (0, 0))
        self.assertEqual(
            {attribute["AttributeName"] for attribute in table["AttributeDefinitions"]}, {"h", "r", "rank", "age"}
        )
        self.client.delete_table(TableName="indexed")
        self.client.get_waiter("table_not_exists").wait(TableName="indexed", WaiterConfig={"Delay": 1})
        self.refused(
            "ValidationException",
            "One or more parameter values were invalid: Duplicate index name: by-rank",
            self.client.create_table,
            **(made | {"LocalSecondaryIndexes": indexes[:1] + [indexes[1] | {"IndexName": "by-rank"}]}),
        )

    def test_a_table_made_anew_under_a_name_is_empty(self):
        self.create("again")
        self.client.put_item(TableName="again", Item={"h": {"S": "a"}})
        self.client.delete_table(TableName="again")
        self.client.get_waiter("table_not_exists").wait(TableName="again", WaiterConfig={"Delay": 1})
        self.create("again")
        self.assertEqual(self.client.scan(TableName="again")["Count"], 0)

    def test_changes_of_a_table_follow_each_other_at_once(self):
        self.create("changing")
        units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
        self.client.update_table(TableName="changing", BillingMode="PROVISIONED", ProvisionedThroughput=units)
        table = self.updated("changing")
        self.assertEqual(table["ProvisionedThroughput"] | units, table["ProvisionedThroughput"])
        self.assertEqual(table["BillingModeSummary"]["BillingMode"], "PROVISIONED")
        self.assertEqual(table["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"], table["CreationDateTime"])
        self.refused(
            "ValidationException",
            None,
            self.client.update_table,
            TableName="changing",
            ProvisionedThroughput=units,
        )
        changing = self.client.update_table(TableName="changing", TableClass="STANDARD_INFREQUENT_ACCESS")
        self.assertNotIn("TableClassSummary", changing["TableDescription"])
        self.assertEqual(self.updated("changing")["TableClassSummary"]["TableClass"], "STANDARD_INFREQUENT_ACCESS")
        self.client.update_table(TableName="changing", BillingMode="PAY_PER_REQUEST")
        table = self.updated("changing")
        self.assertEqual(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST")
        self.assertEqual(table["ProvisionedThroughput"]["ReadCapacityUnits"], 0)

    def test_a_protected_table_is_not_deleted(self):
        self.create("protected", DeletionProtectionEnabled=True)
        self.assertTrue(self.describe("protected")["DeletionProtectionEnabled"])
        self.refused(
            "ValidationException",
            "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
            self.client.delete_table,
            TableName="protected",
        )
        self.client.update_table(TableName="protected", DeletionProtectionEnabled=False)
        self.client.delete_table(TableName="protected")

    def test_tags_are_put_listed_and_removed(self):
        arn = self.create("tagged", Tags=[{"Key": "env", "Value": "prod"}])["TableArn"]
        self.client.tag_resource(
            ResourceArn=arn, Tags=[{"Key": "env", "Value": "test"}, {"Key": "team", "Value": ""}, {"Key": "x", "Value": "y"}]
        )
        self.client.untag_resource(ResourceArn=arn, TagKeys=["x", "never set"])
        pages = self.client.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn)
        tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
        self.assertEqual(tags, {"env": "test", "team": ""})
        self.refused(
            "ValidationException",
            "Tag Key cannot be prefixed with aws:, Key: aws:x",
            self.client.tag_resource,
            ResourceArn=arn,
            Tags=[{"Key": "aws:x", "Value": "y"}],
        )
        self.refused(
            "ValidationException",
            "Number of Tags exceed the current limit for the provided ResourceArn",
            self.client.tag_resource,
            ResourceArn=arn,
            Tags=[{"Key": str(number), "Value": ""} for number in range(49)],
        )
        gone = arn.replace("tagged", "never-made")
        self.refused(
            "ResourceNotFoundException",
            f"Requested resource not found: ResourceArn: {gone} not found",
            self.client.list_tags_of_resource,
            ResourceArn=gone,
        )

    def test_a_table_is_reached_by_its_arn(self):
        arn = self.create("by-arn")["TableArn"]
        self.assertEqual(self.describe(arn)["TableName"], "by-arn")
        item = {"h": {"S": "a"}}
        put = self.client.put_item(TableName=arn, Item=item, ReturnConsumedCapacity="TOTAL")
        self.assertEqual(put["ConsumedCapacity"]["TableName"], arn)
        self.assertEqual(self.client.get_item(TableName=arn, Key=item)["Item"], item)
        got = self.client.batch_get_item(RequestItems={arn: {"Keys": [item]}})
        self.assertEqual(got["Responses"], {arn: [item]})
        elsewhere = arn.replace(self.client.meta.region_name, "elsewhere-1")
        self.refused(
            "ValidationException",
            f"1 validation error detected: Invalid AWS region in '{elsewhere}'",
            self.client.get_item,
            TableName=elsewhere,
            Key=item,
        )
        parts = arn.split(":")
        stranger = ":".join([*parts[:4], "stranger", parts[5]])
        self.refused("AccessDeniedException", "Access is denied", self.client.get_item, TableName=stranger, Key=item)
        self.client.delete_table(TableName=arn)

    def test_a_description_counts_what_was_written_just_before(self):
        self.create("counted")
        for count in range(1, 6):
            self.client.put_item(TableName="counted", Item={"h": {"S": str(count)}})
            self.assertEqual(self.describe("counted")["ItemCount"], count)
        self.client.delete_item(TableName="counted", Key={"h": {"S": "1"}})
        table = self.describe("counted")
        self.assertEqual((table["ItemCount"], table["TableSizeBytes"]), (4, 8))

    def test_the_throughput_goes_down_four_times_a_day_and_then_once_an_hour(self):
        units = {"ReadCapacityUnits": 10, "WriteCapacityUnits": 10}
        self.create("shrinking", BillingMode="PROVISIONED", ProvisionedThroughput=units)
        self.assertNotIn("LastDecreaseDateTime", self.describe("shrinking")["ProvisionedThroughput"])
        for _ in range(4):
            units["ReadCapacityUnits"] -= 1
            self.client.update_table(TableName="shrinking", ProvisionedThroughput=units)
        throughput = self.updated("shrinking")["ProvisionedThroughput"]
        self.assertEqual(throughput["NumberOfDecreasesToday"], 4)
        self.assertEqual(throughput["LastDecreaseDateTime"].date(), datetime.now(timezone.utc).date())
        less = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 20}
        self.refused(
            "LimitExceededException",
            None,
            self.client.update_table,
            TableName="shrinking",
            ProvisionedThroughput=less,
        )

    def test_tables_are_listed_in_pages(self):
        names = [f"list.{number}" for number in range(5)]
        for name in names:
            self.create(name)
        pages = self.client.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 2})
        listed = [page["TableNames"] for page in pages]
        self.assertTrue(all(len(page) <= 2 for page in listed))
        self.assertEqual([name for page in listed for name in page if name in names], names)
        page = self.client.list_tables(ExclusiveStartTableName="list.2x", Limit=1)
        self.assertEqual(page["TableNames"], ["list.3"])
        self.assertEqual(page["LastEvaluatedTableName"], "list.3")

    def test_limits_and_endpoints_are_described(self):
        self.assertEqual(self.client.describe_limits()["TableMaxReadCapacityUnits"], 40_000)
        endpoint = self.client.describe_endpoints()["Endpoints"][0]
        self.assertEqual(endpoint["Address"], f"{self.server.host}:{self.server.port}")

    def test_what_is_not_there_yet_is_refused_by_name(self):
        self.refused(
            "ValidationException",
            "One or more parameter values were invalid: SSESpecification is not supported by this version of Cairn",
            self.client.create_table,
            **definition("encrypted"),
            SSESpecification={"Enabled": True},
        )
        self.refused("UnknownOperationException", None, self.client.describe_contributor_insights, TableName="any")


class Persistence(Case):
    tables = {}

    def test_what_was_acknowledged_survives_a_kill_and_a_stop(self):
        own = suite.Server(suite.PROGRAM)
        self.addCleanup(own.remove)
        client = own.client()
        client.create_table(**definition("kept"))
        for number in range(50):
            client.put_item(TableName="kept", Item={"h": {"S": str(number)}})
        own.kill()
        own.start()
        self.assertEqual(own.client().scan(TableName="kept", ConsistentRead=True)["Count"], 50)
        own.client().put_item(TableName="kept", Item={"h": {"S": "last"}})
        self.assertEqual(own.stop(), 0)
        own.start()
        self.assertEqual(own.client().scan(TableName="kept", ConsistentRead=True)["Count"], 51)
        self.assertEqual(own.client().describe_table(TableName="kept")["Table"]["TableStatus"], "ACTIVE")
