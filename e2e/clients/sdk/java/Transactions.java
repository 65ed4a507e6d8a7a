import java.util.List;
import java.util.UUID;
import software.amazon.awssdk.enhanced.dynamodb.DynamoDbTable;
import software.amazon.awssdk.enhanced.dynamodb.Expression;
import software.amazon.awssdk.enhanced.dynamodb.Key;
import software.amazon.awssdk.enhanced.dynamodb.TableSchema;
import software.amazon.awssdk.enhanced.dynamodb.model.TransactDeleteItemEnhancedRequest;
import software.amazon.awssdk.enhanced.dynamodb.model.TransactWriteItemsEnhancedRequest;
import software.amazon.awssdk.services.dynamodb.model.CancellationReason;
import software.amazon.awssdk.services.dynamodb.model.IdempotentParameterMismatchException;
import software.amazon.awssdk.services.dynamodb.model.ReturnConsumedCapacity;
import software.amazon.awssdk.services.dynamodb.model.ReturnValuesOnConditionCheckFailure;
import software.amazon.awssdk.services.dynamodb.model.TransactionCanceledException;

/** Several changes or none of them, and several items as of one moment. */
final class Transactions {
    private static final Reading CHECKED = Readings.all().get(2);
    private static final Reading LOGGED = new Reading("tally", 1, 0.0, "counted");

    /** Of an item with a version: a second update that does not know it is refused. */
    private static final Key COUNTER = Readings.key("tally", 0);

    /** Written by an earlier step. */
    private static final Key REMOVED = Readings.key("types", 0);

    private static DynamoDbTable<Locked> counters(Main.Clients clients) {
        return clients.enhanced().table(Readings.TABLE, TableSchema.fromBean(Locked.class));
    }

    /** One change of each kind, and all of it only if the condition holds. */
    private static TransactWriteItemsEnhancedRequest.Builder transaction(Main.Clients clients, Expression condition) {
        Locked counter = new Locked();
        counter.setStation("tally");
        counter.setHour(0);
        return TransactWriteItemsEnhancedRequest.builder()
                .addUpdateItem(counters(clients), counter)
                .addConditionCheck(clients.table(), check -> check
                        .key(CHECKED.key())
                        .conditionExpression(condition)
                        .returnValuesOnConditionCheckFailure(ReturnValuesOnConditionCheckFailure.ALL_OLD))
                .addPutItem(clients.table(), LOGGED)
                .addDeleteItem(clients.table(), TransactDeleteItemEnhancedRequest.builder()
                        .key(REMOVED)
                        .conditionExpression(Readings.THERE)
                        .build());
    }

    private static Locked counted(Main.Clients clients) {
        return counters(clients).getItem(request -> request.key(COUNTER).consistentRead(true));
    }

    /** The SDK's own type has the reasons, and in them the item, if asked. */
    static String cancel(Main.Clients clients) throws Exception {
        var request = transaction(clients, Readings.NOT_THERE).build();
        var canceled = Readings.refused(
                TransactionCanceledException.class, () -> clients.enhanced().transactWriteItemsWithResponse(request));
        List<String> codes = canceled.cancellationReasons().stream().map(CancellationReason::code).toList();
        Readings.same("the codes", codes, List.of("None", "ConditionalCheckFailed", "None", "None"));
        CancellationReason failed = canceled.cancellationReasons().get(1);
        Readings.same("the reason", failed.message(), "The conditional request failed");
        Readings.same("the reason's item", failed.item(), Readings.plain(CHECKED));
        Readings.same("what was counted", counted(clients), null);
        return canceled.awsErrorDetails().errorMessage();
    }

    static String write(Main.Clients clients) throws Exception {
        String token = UUID.randomUUID().toString();
        for (int time = 0; time < 2; time++) {
            var written = clients.enhanced().transactWriteItemsWithResponse(transaction(clients, Readings.THERE)
                    .clientRequestToken(token)
                    .returnConsumedCapacity(ReturnConsumedCapacity.TOTAL)
                    .build());
            double units = written.consumedCapacity().get(0).capacityUnits();
            Readings.holds("a transaction consumes twice the units of its changes", units >= 8);
        }
        Readings.same("the counter's version", counted(clients).getVersion(), 1L);
        var other = transaction(clients, Readings.NOT_THERE).clientRequestToken(token).build();
        Readings.refused(
                IdempotentParameterMismatchException.class,
                () -> clients.enhanced().transactWriteItemsWithResponse(other));
        return "done once, and IdempotentParameterMismatchException for another with its token";
    }

    static String get(Main.Clients clients) {
        var found = clients.enhanced().transactGetItems(request -> request
                .addGetItem(counters(clients), COUNTER)
                .addGetItem(clients.table(), LOGGED.key())
                .addGetItem(clients.table(), CHECKED.key())
                .addGetItem(clients.table(), REMOVED));
        Readings.same("the counter's version", found.get(0).getItem(counters(clients)).getVersion(), 1L);
        Readings.same("what was put", found.get(1).getItem(clients.table()), LOGGED);
        Readings.same("what was checked", found.get(2).getItem(clients.table()), CHECKED);
        Readings.same("what was deleted", found.get(3).getItem(clients.table()), null);
        return "three items, and none where it was deleted";
    }

    private Transactions() {}
}
