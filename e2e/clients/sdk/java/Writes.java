import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import software.amazon.awssdk.enhanced.dynamodb.model.BatchWriteItemEnhancedRequest;
import software.amazon.awssdk.enhanced.dynamodb.model.IgnoreNullsMode;
import software.amazon.awssdk.enhanced.dynamodb.model.PutItemEnhancedRequest;
import software.amazon.awssdk.enhanced.dynamodb.model.UpdateItemEnhancedRequest;
import software.amazon.awssdk.enhanced.dynamodb.model.WriteBatch;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.BillingMode;
import software.amazon.awssdk.services.dynamodb.model.ConditionalCheckFailedException;
import software.amazon.awssdk.services.dynamodb.model.ProvisionedThroughputExceededException;
import software.amazon.awssdk.services.dynamodb.model.ReturnConsumedCapacity;
import software.amazon.awssdk.services.dynamodb.model.ReturnValue;
import software.amazon.awssdk.services.dynamodb.model.ReturnValuesOnConditionCheckFailure;

/** Changes of items. */
final class Writes {
    private static final int BATCH_MOST = 25;
    private static final int ATTEMPTS_MOST = 8;

    /** What the table has unused when it is throttled lasts for fewer. */
    private static final int PUTS_MOST = 200;

    private static final ReturnValuesOnConditionCheckFailure ALL_OLD = ReturnValuesOnConditionCheckFailure.ALL_OLD;

    static String putOne(Main.Clients clients) {
        Reading earlier = Readings.first().warmer(-1);
        Readings.same("the item before the first", put(clients, earlier), null);
        Readings.same("the item before the second", put(clients, Readings.first()), earlier);
        return "the second gave the first";
    }

    /** Gives what was there before. */
    private static Reading put(Main.Clients clients, Reading reading) {
        var put = clients.table().putItemWithResponse(PutItemEnhancedRequest.builder(Reading.class)
                .item(reading)
                .returnValues(ReturnValue.ALL_OLD)
                .returnConsumedCapacity(ReturnConsumedCapacity.TOTAL)
                .build());
        Readings.holds("a put consumes write units", put.consumedCapacity().capacityUnits() >= 1);
        return put.attributes();
    }

    static String batchWrite(Main.Clients clients) throws InterruptedException {
        List<Reading> all = Readings.all();
        int calls = 0;
        for (int start = 1; start < all.size(); start += BATCH_MOST) {
            List<Reading> left = all.subList(start, Math.min(start + BATCH_MOST, all.size()));
            for (int attempt = 0; !left.isEmpty(); attempt++) {
                Readings.holds(left.size() + " items are unprocessed", attempt < ATTEMPTS_MOST);
                Thread.sleep(attempt == 0 ? 0 : 50L << attempt);
                var batch = WriteBatch.builder(Reading.class).mappedTableResource(clients.table());
                left.forEach(batch::addPutItem);
                var written = clients.enhanced().batchWriteItem(
                        BatchWriteItemEnhancedRequest.builder().writeBatches(batch.build()).build());
                left = new ArrayList<>(written.unprocessedPutItemsForTable(clients.table()));
                calls++;
            }
        }
        return all.size() - 1 + " items in " + calls + " calls";
    }

    /** What the enhanced client makes of a whole item: SET of what is there, REMOVE of what is null. */
    static String update(Main.Clients clients) {
        Reading first = Readings.first();
        Reading warmer = new Reading(first.getStation(), first.getHour(), first.getCelsius() + 1.25, null);
        var kept = clients.table().updateItem(UpdateItemEnhancedRequest.builder(Reading.class)
                .item(warmer)
                .ignoreNullsMode(IgnoreNullsMode.SCALAR_ONLY)
                .build());
        Readings.same("the item without its nulls", kept, first.warmer(1.25));
        Readings.same("the whole item", clients.table().updateItem(warmer), warmer);
        return "with the note, then without";
    }

    static String updateWithExpression(Main.Clients clients) {
        Reading second = Readings.all().get(1);
        var updated = clients.client().updateItem(request -> request
                .tableName(Readings.TABLE)
                .key(Readings.plainKey(second.getStation(), second.getHour()))
                .updateExpression("SET celsius = celsius + :warmer, #log = list_append(if_not_exists(#log, :none), :entry)"
                        + " ADD changes :one REMOVE note")
                .conditionExpression("attribute_exists(station) AND celsius < :zero")
                .expressionAttributeNames(Map.of("#log", "log"))
                .expressionAttributeValues(Map.of(
                        ":warmer", AttributeValue.fromN("1.5"),
                        ":none", AttributeValue.fromL(List.of()),
                        ":entry", AttributeValue.fromL(List.of(AttributeValue.fromS("warmer"))),
                        ":one", AttributeValue.fromN("1"),
                        ":zero", AttributeValue.fromN("0")))
                .returnValues(ReturnValue.UPDATED_NEW));
        var wanted = Map.of(
                "celsius", AttributeValue.fromN(String.valueOf(second.getCelsius() + 1.5)),
                "log", AttributeValue.fromL(List.of(AttributeValue.fromS("warmer"))),
                "changes", AttributeValue.fromN("1"));
        Readings.same("the updated attributes", updated.attributes(), wanted);
        return updated.attributes().keySet().toString();
    }

    /** Of a put, an update and a delete; the SDK's own type has the item, if asked. */
    static String failConditions(Main.Clients clients) throws Exception {
        Reading third = Readings.all().get(2);
        List<Readings.Call> calls = List.of(
                () -> clients.table().putItemWithResponse(PutItemEnhancedRequest.builder(Reading.class)
                        .item(third)
                        .conditionExpression(Readings.NOT_THERE)
                        .returnValuesOnConditionCheckFailure(ALL_OLD)
                        .build()),
                () -> clients.table().updateItem(UpdateItemEnhancedRequest.builder(Reading.class)
                        .item(third.warmer(1))
                        .conditionExpression(Readings.NOT_THERE)
                        .returnValuesOnConditionCheckFailure(ALL_OLD)
                        .build()),
                () -> clients.table().deleteItem(request -> request
                        .key(third.key())
                        .conditionExpression(Readings.NOT_THERE)
                        .returnValuesOnConditionCheckFailure(ALL_OLD)));
        String message = "";
        for (Readings.Call call : calls) {
            var failed = Readings.refused(ConditionalCheckFailedException.class, call);
            Readings.same("the exception's item", failed.item(), Readings.plain(third));
            message = failed.awsErrorDetails().errorMessage();
        }
        return message;
    }

    static String deleteOne(Main.Clients clients) {
        List<Reading> all = Readings.all();
        Reading last = all.get(all.size() - 1);
        Readings.same("the deleted item", clients.table().deleteItem(last.key()), last);
        Readings.same("the second time", clients.table().deleteItem(last.key()), null);
        return "gave the item, then nothing";
    }

    /** A client that tries once is refused; one that tries again, as they all do if left alone, gets through. */
    static String putThrottled(Main.Clients clients) throws Exception {
        clients.client().updateTable(request -> request
                .tableName(Readings.TABLE)
                .billingMode(BillingMode.PROVISIONED)
                .provisionedThroughput(units -> units.readCapacityUnits(5L).writeCapacityUnits(5L)));
        Tables.waitUntilActive(clients);
        Map<String, AttributeValue> item = Readings.plain(new Reading("busy", 0, 0.0, "5 units, ".repeat(500)));
        ProvisionedThroughputExceededException throttled;
        try (DynamoDbClient impatient = trying(1)) {
            throttled = Readings.refused(ProvisionedThroughputExceededException.class, () -> {
                for (int puts = 0; puts < PUTS_MOST; puts++) {
                    impatient.putItem(request -> request.tableName(Readings.TABLE).item(item));
                }
                return PUTS_MOST + " puts";
            });
        }
        Readings.same("the reason", throttled.throttlingReasons().get(0).reason(), "TableWriteProvisionedThroughputExceeded");
        try (DynamoDbClient patient = trying(10)) {
            patient.putItem(request -> request.tableName(Readings.TABLE).item(item));
        }
        return throttled.awsErrorDetails().errorCode() + ", then retried";
    }

    private static DynamoDbClient trying(int attempts) {
        return DynamoDbClient.builder()
                .overrideConfiguration(settings -> settings.retryStrategy(retries -> retries.maxAttempts(attempts)))
                .build();
    }

    private Writes() {}
}
